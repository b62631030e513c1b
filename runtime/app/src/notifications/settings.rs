//! The settings of notifications.

use std::time::Duration;

/// Notifications.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// The maximum number of messages that a process sends through one service at the same time.
    #[arg(long, env = "NOTIFICATIONS_SENDS_AT_ONCE", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub notifications_sends_at_once: u16,
    /// How long mails of the less urgent types are collected, to be sent as one mail. 0: each is sent by itself.
    #[arg(long, env = "NOTIFICATIONS_DIGEST_MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=10_080))]
    pub notifications_digest_minutes: u32,
    /// When guests are reminded: `absolute`, 24 hours before the event; `wall-clock`, at the same local time on the day
    /// before, which differs if the clocks change in between.
    #[arg(long, env = "NOTIFICATIONS_REMINDER", default_value = "absolute")]
    pub notifications_reminder: Reminder,
    /// A reminder that is late, because the event was moved or no worker was running, is sent only if the event is at
    /// least this far away.
    #[arg(long, env = "NOTIFICATIONS_REMINDER_LEAST_MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub notifications_reminder_least_minutes: u32,
    /// Whether members who get a ticket after the other guests were reminded are reminded at once.
    #[arg(long, env = "NOTIFICATIONS_REMIND_LATE_BUYERS", default_value_t = false, action = clap::ArgAction::Set)]
    pub notifications_remind_late_buyers: bool,
    /// The number of days after which notifications are deleted.
    #[arg(long, env = "NOTIFICATIONS_KEPT_DAYS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(7..=3_650))]
    pub notifications_kept_days: u32,
    /// How often the database is queried for new notifications of members with an open stream, in milliseconds.
    #[arg(long, env = "NOTIFICATIONS_STREAM_PAUSE_MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(50..=10_000))]
    pub notifications_stream_pause_ms: u32,
    /// How often the account and session of a member with an open stream are checked while there are no new
    /// notifications.
    #[arg(long, env = "NOTIFICATIONS_STREAM_CHECK_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub notifications_stream_check_seconds: u32,
    /// The maximum number of open streams of a member in one process of the server.
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
