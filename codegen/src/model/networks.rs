//! The networks that `social(…)` in a spec may name.

/// Networks whose pages `kernel::input::social` knows.
pub const NETWORKS: [&str; 11] = [
    "instagram",
    "facebook",
    "youtube",
    "linkedin",
    "x",
    "tiktok",
    "mastodon",
    "threads",
    "bluesky",
    "whatsapp",
    "telegram",
];
