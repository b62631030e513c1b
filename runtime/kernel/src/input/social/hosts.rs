//! Hosts that are none of the networks here, by what they are.

/// The host of Facebook's short links.
pub(super) const SHORT_LINKS: &str = "fb.me";

/// Hosts of networks that no network here has, and on which `@name` is no member of Mastodon. Others that look alike
/// (Flipboard, WordPress) do take part in the Fediverse.
pub(super) const OTHER_HOSTS: &[&str] = &[
    "bsky.social",
    "fb.watch",
    "kick.com",
    "linktr.ee",
    "lnkd.in",
    "medium.com",
    "odysee.com",
    "patreon.com",
    "pinterest.com",
    "rumble.com",
    "snapchat.com",
    "substack.com",
    "t.co",
    "telegram.org",
    "twitch.tv",
    "vimeo.com",
    "vk.com",
    "youtu.be",
];

/// Hosts of mail, where `name@host` is an address of mail and no member of a Mastodon server.
pub(super) const MAIL_HOSTS: &[&str] = &[
    "163.com",
    "bigpond.com",
    "bluewin.ch",
    "fastmail.com",
    "free.fr",
    "googlemail.com",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "mac.com",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "posteo.de",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "seznam.cz",
    "t-online.de",
    "uol.com.br",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
];

/// Services of mail with a host in each country: `gmx.ch`, `yahoo.co.jp`.
pub(super) const MAIL_SERVICES: &[&str] = &[
    "aol", "gmail", "gmx", "hotmail", "live", "outlook", "yahoo", "yandex",
];
