//! The settings of the audit log.

/// Sealing the audit log.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// How often the audit log is sealed.
    #[arg(long, env = "SEAL_EVERY_SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seal_every_seconds: u64,
}
