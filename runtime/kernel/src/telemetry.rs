//! Logs: one JSON line per event, on standard error, with the fields of the request's span.
//!
//! JSON escapes line breaks, so nothing in a request can forge a line. No header, query string or body is
//! ever a field.

use tracing_subscriber::{EnvFilter, fmt};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For machines.
    Json,
    /// For a person at a terminal.
    Text,
}

/// `filter` as in `RUST_LOG`: `info,kernel=debug`. Does nothing when logging has been set up already.
pub fn init(filter: &str, format: Format) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        Format::Text => builder.compact().try_init(),
    };
    Ok(())
}
