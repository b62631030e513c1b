//! The page that a link means, where its path is not simply the name: what buttons for sharing and following make, what
//! opens an app, and former addresses.

use super::{Network, completed};

/// The path of the page that a path and query mean. `None` if they mean none.
pub(super) fn page_of(network: Network, host: &str, path: &str, query: &str) -> Option<String> {
    let given = |key: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    };
    let without = |starts: &[&str]| {
        let mut starts = starts.iter();
        let found = starts.find_map(|start| path.strip_prefix(start));
        found.unwrap_or(path).to_owned()
    };
    let path = match network {
        Network::Facebook if path == "profile.php" => format!("profile.php?id={}", given("id")?),
        // A chat with the page.
        Network::Facebook if host.ends_with("messenger.com") => path.strip_prefix("t/")?.to_owned(),
        Network::Facebook => without(&["pg/"]),
        Network::Instagram if host == "ig.me" => path.strip_prefix("m/")?.to_owned(),
        Network::Instagram => without(&["_u/"]),
        // The page of whoever opens it.
        Network::Linkedin if path == "in/me" || path.starts_with("in/me/") => return None,
        Network::Linkedin => without(&["comm/", "mwlite/"]),
        Network::X if ["intent/user", "intent/follow"].contains(&path) => {
            given("screen_name")?.to_owned()
        }
        // The preview of a channel in a browser, without the app.
        Network::Telegram => without(&["s/"]),
        Network::Whatsapp if path == "send" => number(given("phone")?),
        // What a business sells, under its number.
        Network::Whatsapp if path.starts_with("message/") || path.starts_with("qr/") => {
            path.to_owned()
        }
        Network::Whatsapp => number(&without(&["c/", "catalog/", "invite/"])),
        Network::Bluesky if path.starts_with("profile/") => {
            let name = path[8..].split('/').next().unwrap_or_default();
            path.replacen(name, &completed(name.trim_start_matches('@')), 1)
        }
        _ => path.to_owned(),
    };
    Some(path)
}

/// A number as people write it, without what is between its digits; any other text as it is.
fn number(text: &str) -> String {
    let plain = text.replace("%2B", "+").replace("%20", " ");
    let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '+');
    match plain.chars().all(|c| c.is_ascii_digit() || is_between(c)) {
        true => plain.chars().filter(char::is_ascii_digit).collect(),
        false => text.to_owned(),
    }
}
