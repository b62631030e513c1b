//! The log: one JSON object per line on standard error, or text for people.
//!
//! JSON escapes line breaks and control characters, so no value can forge a line.

use crate::settings::{Common, LogFormat};
use anyhow::{Context, Result, bail};
use std::io::{self, Write, stderr};
use tracing_subscriber::EnvFilter;

/// Where the driver logs notices of PostgreSQL.
const NOTICES: &str = "sqlx::postgres::notice";

/// Where the library that fetches access tokens logs the responses it gets, verbatim.
const ACCESS: &str = "gcp_auth";

pub fn start(settings: &Common) -> Result<()> {
    let filter = filter(&settings.log).with_context(|| format!("LOG: {}", settings.log))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Unfailing(stderr()))
        // It would say on standard error that nothing can be written there, and panic because that fails as well.
        .log_internal_errors(false);
    match settings.log_format {
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .init(),
        LogFormat::Text => log.with_ansi(false).init(),
    }
    Ok(())
}

/// Writes as long as somebody reads. A log that nobody takes any more (the program behind the pipe has ended, the disk
/// is full) must not stop the server: an error would be a panic in every request.
struct Unfailing<W>(W);

impl<W: Write> Write for Unfailing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The rest of a line that could only be written in part is given up too.
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// The names of levels. Any other word alone would be taken for a target, and everything else would not be logged.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The log filter. Two libraries log too much, or secrets, so they are off unless the filter names them.
pub fn filter(log: &str) -> Result<EnvFilter> {
    for directive in log.split(',').map(str::trim) {
        let is_word = directive
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_word && !LEVELS.contains(&directive.to_ascii_lowercase().as_str()) {
            bail!(
                "`{directive}` is no level; levels are {}, and `target=level` sets that of a part of the program",
                LEVELS.join(", ")
            );
        }
    }
    let mut filter = EnvFilter::try_new(log)?;
    if !log.contains(NOTICES) {
        // Notices of PostgreSQL, such as `already exists, skipping`, are not events worth logging.
        filter = filter.add_directive(format!("{NOTICES}=warn").parse()?);
    }
    if !log.contains(ACCESS) {
        filter = filter.add_directive(format!("{ACCESS}=off").parse()?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that nobody reads any more.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nothing() {
        assert!(Closed.write_all(b"line").is_err());
        let mut log = Unfailing(Closed);
        log.write_all(b"line").unwrap();
        log.flush().unwrap();
    }

    #[test]
    fn a_misspelt_level_does_not_switch_the_log_off() {
        for good in [
            "info",
            "INFO",
            "off",
            "info,sqlx=warn",
            "warn,kernel::jobs=debug",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["inof", "garbage", "", "info,garbage", "info,sqlx", "3x"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
