//! What can be set about notifications.

use std::time::Duration;

/// Notifications.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// Messages that a process hands to one service at the same time.
    #[arg(long, env = "NOTIFICATIONS_SENDS_AT_ONCE", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub notifications_sends_at_once: u16,
    /// How long mail of the less urgent types is collected, so that several become one. 0: each is a mail.
    #[arg(long, env = "NOTIFICATIONS_DIGEST_MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=10_080))]
    pub notifications_digest_minutes: u32,
    /// When guests are reminded: `absolute`, 24 hours before the event; `wall-clock`, at the same time of the day before,
    /// which is another hour where the clocks change in between.
    #[arg(long, env = "NOTIFICATIONS_REMINDER", default_value = "absolute")]
    pub notifications_reminder: Reminder,
    /// A reminder that is late, because the event was moved or nobody was there to send it, is sent only while the event is
    /// at least this far away.
    #[arg(long, env = "NOTIFICATIONS_REMINDER_LEAST_MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub notifications_reminder_least_minutes: u32,
    /// Whether who gets a ticket after the others have been reminded is reminded at once.
    #[arg(long, env = "NOTIFICATIONS_REMIND_LATE_BUYERS", default_value_t = false, action = clap::ArgAction::Set)]
    pub notifications_remind_late_buyers: bool,
    /// Notifications are kept for so many days.
    #[arg(long, env = "NOTIFICATIONS_KEPT_DAYS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(7..=3_650))]
    pub notifications_kept_days: u32,
    /// How often, in milliseconds, the database is asked what is new for those who listen to their notifications.
    #[arg(long, env = "NOTIFICATIONS_STREAM_PAUSE_MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(50..=10_000))]
    pub notifications_stream_pause_ms: u32,
    /// How often it is asked whether account and session of one who listens are still good, if nothing new comes.
    #[arg(long, env = "NOTIFICATIONS_STREAM_CHECK_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub notifications_stream_check_seconds: u32,
    /// At so many places, of one process of the server, a member may listen at the same time.
    #[arg(long, env = "NOTIFICATIONS_STREAMS_PER_MEMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub notifications_streams_per_member: u16,
}

impl Settings {
    pub(super) fn stream_pause(&self) -> Duration {
        Duration::from_millis(self.notifications_stream_pause_ms.into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Reminder {
    Absolute,
    WallClock,
}
