//! The log: one JSON object per line on standard error, or text for people.
//!
//! JSON escapes line breaks and control characters, so no value can forge a line.

use crate::settings::{Common, LogFormat};
use anyhow::{Context, Result};
use std::io::stderr;
use tracing_subscriber::EnvFilter;

/// Where the driver logs what PostgreSQL remarks.
const NOTICES: &str = "sqlx::postgres::notice";

/// Where the library that fetches access tokens logs what it was answered, word by word.
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

/// What is logged. Two libraries log more than anybody should read, unless they are named.
pub fn filter(log: &str) -> Result<EnvFilter> {
    let mut filter = EnvFilter::try_new(log)?;
    if !log.contains(NOTICES) {
        // What PostgreSQL remarks, such as `already exists, skipping`, is nothing that happened.
        filter = filter.add_directive(format!("{NOTICES}=warn").parse()?);
    }
    if !log.contains(ACCESS) {
        filter = filter.add_directive(format!("{ACCESS}=off").parse()?);
    }
    Ok(filter)
}
