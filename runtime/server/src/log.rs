//! The log: one JSON object per line on standard error, or text for people.
//!
//! JSON escapes line breaks and control characters, so no value can forge a line.

use crate::settings::{Common, LogFormat};
use anyhow::{Context, Result};
use std::io::stderr;
use tracing_subscriber::EnvFilter;

/// Where the driver logs notices of PostgreSQL.
const NOTICES: &str = "sqlx::postgres::notice";

/// Where the library that fetches access tokens logs the responses it gets, verbatim.
const ACCESS: &str = "gcp_auth";

pub fn start(settings: &Common) -> Result<()> {
    let filter = filter(&settings.log).with_context(|| format!("LOG: {}", settings.log))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
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

/// The log filter. Two libraries log too much, or secrets, so they are off unless the filter names them.
pub fn filter(log: &str) -> Result<EnvFilter> {
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
