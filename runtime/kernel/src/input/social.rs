//! Pages of people and organisations on social networks: the forms that people paste, and the one address that is
//! stored.
//!
//! `sec.is_social` holds the same addresses in the database; a test compares the two.

mod hosts;
mod networks;
mod pasted;

use super::{
    address::{ascii_host, is_host, undelimited},
    line::{normal_line, out_of_line},
};
use hosts::{MAIL_HOSTS, MAIL_SERVICES, OTHER_HOSTS, SHORT_LINKS};
use networks::{ALL, MASTODON_TABS, PAGES_BESIDE_NAMES, PAGES_OF_NETWORKS, POSTS, Page};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Instagram,
    Facebook,
    Youtube,
    Linkedin,
    X,
    Tiktok,
    Mastodon,
    Threads,
    Bluesky,
    Whatsapp,
    Telegram,
}

impl Network {
    pub fn wants(self) -> &'static str {
        self.data().wants
    }

    /// The address of the page that a name or link means; `None` if it is not one of this network.
    pub fn address(self, text: &str) -> Option<String> {
        let text = self.unlabelled(undelimited(text.trim()));
        // The comma or semicolon of a list: no name or address ends with one.
        let text = text.trim_end_matches([',', ';']);
        // `twitter.com/#!/name`, as addresses were before browsers could change a path.
        if let Some((site, name)) = text.split_once("/#!/") {
            return self.address(&format!("{site}/{name}"));
        }
        match self {
            Network::Mastodon => return mastodon(text),
            // `in/name`, as LinkedIn itself shows addresses.
            Network::Linkedin => {
                let path = text.trim_start_matches('/');
                let mut pages = self.data().pages.iter();
                if pages.any(|page| path.starts_with(page.path)) {
                    return self.page("www.linkedin.com", path);
                }
            }
            // What opens the app.
            Network::Telegram if text.starts_with("tg://") => {
                let name = text.strip_prefix("tg://resolve?domain=")?;
                return self.named(name.split('&').next()?);
            }
            // The address bar of Telegram in a browser.
            Network::Telegram if text.contains("web.telegram.org/") => {
                let (_, name) = text.split_once("#@")?;
                return self.named(name);
            }
            Network::Whatsapp => {
                if let Some(digits) =
                    super::phone::e164(text).and_then(|n| Some(n.strip_prefix('+')?.to_owned()))
                {
                    return Some(format!("https://wa.me/{digits}"));
                }
            }
            _ => {}
        }
        match link(text) {
            Some((host, path)) => self.page(&host, path),
            None => self.named(text),
        }
    }

    /// `Instagram: @name`, as on cards and posters.
    fn unlabelled(self, text: &str) -> &str {
        let is_own = |label: &str| {
            let label = label.trim().to_ascii_lowercase();
            label == format!("{self:?}").to_ascii_lowercase()
                || self.data().labels.contains(&label.as_str())
        };
        match text.split_once([':', '：']) {
            // `tg://…` is the address of an app.
            Some((label, name)) if is_own(label) && !name.starts_with("//") => name.trim(),
            _ => text,
        }
    }

    fn named(self, text: &str) -> Option<String> {
        let data = self.data();
        let name = text.strip_prefix(['@', '＠']).unwrap_or(text);
        let name = name.trim_end_matches('.');
        let page = data.pages.first().filter(|_| data.names)?;
        if page.path.is_empty() && self.is_own(name) {
            return None;
        }
        if self == Network::Youtube && name == text && is_channel(name) {
            return Some(channel(name));
        }
        match self {
            Network::Bluesky => page.of(&completed(name)),
            _ => page.of(&encoded(name)?),
        }
    }

    /// Whether the first segment of a path is a page of the network, and no name.
    fn is_own(self, first: &str) -> bool {
        let first = first.trim_end_matches('.').to_ascii_lowercase();
        PAGES_OF_NETWORKS.contains(&first.as_str())
            || self.data().own.contains(&first.as_str())
            // `photo.php`, `story.php`, `l.php`: programs.
            || (self == Network::Facebook && first.ends_with(".php"))
    }

    /// Whether a host shows the network's pages: its own one, in another language or for telephones. Help, developers,
    /// advertisers and short links have others, under which a path is no name.
    fn is_site(self, host: &str, known: &str) -> bool {
        let Some(sub) = host.strip_suffix(known) else {
            return false;
        };
        let sub = match sub.strip_suffix('.') {
            Some(sub) => sub,
            None => return sub.is_empty(),
        };
        let is_region = || {
            let mut parts = sub.split('-');
            parts.all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_alphabetic()))
        };
        let data = self.data();
        ["www", "m", "mobile"].contains(&sub)
            || data.sites.contains(&sub)
            || (data.regions && is_region())
    }

    fn page(self, host: &str, path: &str) -> Option<String> {
        let data = self.data();
        // Where a short link leads, only its service knows: its path is no name.
        if is_under(host, SHORT_LINKS) {
            return None;
        }
        // A name on Bluesky is a host, which leads to the page of that name.
        if self == Network::Bluesky && host.ends_with(".bsky.social") {
            return path
                .trim_matches('/')
                .is_empty()
                .then(|| self.named(host))?;
        }
        // `name.t.me`, and `name.t.me/123` for a post of a channel.
        if self == Network::Telegram
            && let Some(name) = host.strip_suffix(".t.me").filter(|sub| *sub != "www")
        {
            return self.named(name);
        }
        let known = data.hosts.iter().find(|known| self.is_site(host, known))?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = pasted::page_of(self, host, &encoded(path.trim_matches('/'))?, query)?;
        // The same page on a country's or a mobile host; some kinds of pages have a host of their own.
        let own = data.pages.iter().any(|page| page.host == host);
        let pages = data.pages.iter().filter(|page| !own || page.host == host);
        pages
            .filter(|page| !page.path.is_empty())
            .find_map(|page| page.of(path.strip_prefix(page.path)?))
            .or_else(|| {
                let page = data
                    .pages
                    .iter()
                    .find(|page| page.path.is_empty() && (!own || page.host == host))?;
                let name = path.strip_prefix('@').unwrap_or(&path);
                let name = name
                    .strip_prefix('+')
                    .filter(|_| self == Network::Whatsapp)
                    .unwrap_or(name);
                let first = name.split('/').next().unwrap_or_default();
                (!self.is_own(first)).then(|| page.of(name)).flatten()
            })
            .or_else(|| {
                // `tiktok.com/name`: the sign before the name is easily forgotten. Short links have hosts of their own.
                let is_main = ["", "www.", "m."].contains(&host.strip_suffix(*known)?);
                let is_name = !path.contains('/')
                    && !self.is_own(&path)
                    && !PAGES_BESIDE_NAMES.contains(&path.as_str());
                let page = data.pages.first().filter(|page| page.path == "@")?;
                match is_main && is_name {
                    true if self == Network::Youtube && is_channel(&path) => Some(channel(&path)),
                    true => page.of(&path),
                    false => None,
                }
            })
    }
}

impl Page {
    fn of(&self, rest: &str) -> Option<String> {
        let name = match rest.split_once('/').filter(|_| !self.signs.contains('/')) {
            // Belongs to a member, but is not their page.
            Some((_, more)) if is_post(more) => return None,
            // The path after a name is a tab of the same page.
            Some((name, _)) => name,
            None => rest,
        };
        // The full stop of a sentence: no name ends with one.
        let name = name.trim_end_matches('.');
        let is_number = self.host == "wa.me" && self.path.is_empty();
        let digits = is_number || self.path.ends_with("id=");
        let fits = |name: &str| {
            (self.least..=self.most).contains(&name.len())
                && name.bytes().all(|b| match digits {
                    true => b.is_ascii_digit(),
                    false => b.is_ascii_alphanumeric() || self.signs.as_bytes().contains(&b),
                })
        };
        if is_number {
            let number = name.strip_prefix("00").unwrap_or(name);
            let number = fits(number).then(|| super::phone::e164(&format!("+{number}")))??;
            return Some(format!("https://wa.me/{}", number.strip_prefix('+')?));
        }
        // Names on Bluesky are hosts; those with a colon are ids.
        let is_known = self.host != "bsky.app" || name.contains(':') || is_host(name);
        (fits(name) && is_known).then(|| format!("https://{}/{}{name}", self.host, self.path))
    }
}

/// Whether a path after a name leads to one post. Without its id it is the list of all, a part of the page.
fn is_post(more: &str) -> bool {
    let mut segments = more.split('/');
    let is_kind = segments.next().is_some_and(|kind| POSTS.contains(&kind));
    is_kind && segments.next().is_some_and(|id| !id.is_empty())
}

/// Whether a name on YouTube is the id of a channel.
fn is_channel(name: &str) -> bool {
    let is_sign = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    name.starts_with("UC") && name.len() == 24 && name.bytes().all(is_sign)
}

fn channel(id: &str) -> String {
    format!("https://www.youtube.com/channel/{id}")
}

/// Names on Bluesky are hosts, most of them of `bsky.social`. Those with a colon are ids (`did:plc:…`).
fn completed(name: &str) -> String {
    match name.is_empty() || name.contains(['.', ':']) {
        true => name.to_owned(),
        false => format!("{name}.bsky.social"),
    }
}

/// The host in lower case, and the rest without its fragment. `None` if the text is a name.
fn link(text: &str) -> Option<(String, &str)> {
    let text = text.split('#').next().unwrap_or_default();
    let text = text.trim_start_matches("//");
    let scheme = text.split_once("://");
    if scheme.is_some_and(|(scheme, _)| {
        !["https", "http"]
            .iter()
            .any(|s| scheme.eq_ignore_ascii_case(s))
    }) {
        // The host of no known network.
        return Some((String::new(), ""));
    }
    let rest = scheme.map_or(text, |(_, rest)| rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.to_ascii_lowercase();
    let known = || {
        ALL.iter()
            .flat_map(|network| network.data().hosts)
            .any(|known| host == *known)
    };
    let is_link = scheme.is_some()
        || rest.contains('/')
        || host.starts_with("www.")
        || host.ends_with(".t.me")
        || known();
    is_link.then_some((host, path))
}

/// Letters of other scripts as addresses have them: `%C3%BC`. They are names like others, in one normal form and without
/// characters that nobody sees, however they are sent; `None` if they are not.
fn encoded(path: &str) -> Option<String> {
    let letters = String::from_utf8(letters(path.as_bytes())).ok()?;
    let name = normal_line(&letters);
    if out_of_line(&name).is_some() {
        return None;
    }
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte.is_ascii() {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(text)
}

/// Without the escapes of letters that are not ASCII. Others stay: they stand for characters with a meaning, such as `/`.
fn letters(mut path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    while let Some((first, rest)) = path.split_first() {
        let escaped = (rest.split_at_checked(2))
            .filter(|_| *first == b'%')
            .and_then(|(digits, rest)| Some((std::str::from_utf8(digits).ok()?, rest)))
            .and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)))
            .filter(|(byte, _)| !byte.is_ascii());
        let (byte, rest) = escaped.unwrap_or((*first, rest));
        bytes.push(byte);
        path = rest;
    }
    bytes
}

/// `@name@host`, `name@host`, `https://host/@name`, `https://host/users/name`: every server has its own host, but
/// hosts of other networks are refused. On a server, `/@name@host` is a member of another server.
fn mastodon(text: &str) -> Option<String> {
    let text = text.strip_prefix("acct:").unwrap_or(text);
    let pair = |text: &str| {
        let (name, host) = text.strip_prefix('@').unwrap_or(text).split_once('@')?;
        (!is_mail(host)).then(|| (name.to_owned(), host.to_owned()))
    };
    let (name, host) = match link(text) {
        Some((host, path)) => {
            let path = path.split('?').next()?.trim_matches('/');
            let mut apps = ["web/", "deck/"].into_iter();
            let path = apps.find_map(|app| path.strip_prefix(app)).unwrap_or(path);
            let name = path
                .strip_prefix('@')
                .or_else(|| path.strip_prefix("users/"))?;
            // A tab of the same page; a post has a number there.
            let (name, tab) = name.split_once('/').unwrap_or((name, ""));
            if !tab.is_empty() && !MASTODON_TABS.contains(&tab) {
                return None;
            }
            pair(name).unwrap_or_else(|| (name.to_owned(), host))
        }
        None => pair(text)?,
    };
    let host = ascii_host(&host).filter(|host| is_host(host) && !is_of_another(host))?;
    let fits = (1..=60).contains(&name.len())
        && host.len() <= 200
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits.then(|| format!("https://{host}/@{name}"))
}

/// A host where `name@host` is an address of mail. The large services have one in each country.
fn is_mail(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let service = host.split('.').next().unwrap_or_default();
    MAIL_HOSTS.contains(&host.as_str()) || MAIL_SERVICES.contains(&service)
}

/// A host of a network that has hosts of its own.
fn is_of_another(host: &str) -> bool {
    let known = ALL.iter().flat_map(|network| network.data().hosts);
    known.chain(OTHER_HOSTS).any(|known| is_under(host, known))
}

/// The host itself, or one under it such as `www.`, `m.`, `de.`
fn is_under(host: &str, known: &str) -> bool {
    let rest = host.strip_suffix(known);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
