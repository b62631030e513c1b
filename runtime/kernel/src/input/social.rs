//! Pages of people and organisations on social networks: the forms that people paste, and the one address that is
//! stored.
//!
//! `sec.is_social` holds the same addresses in the database; a test compares the two.

use super::address::{ascii_host, is_host};

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

/// One kind of page: `https://<host>/<path><name>`.
struct Page {
    host: &'static str,
    path: &'static str,
    least: usize,
    most: usize,
    /// Characters that names may contain besides letters and digits.
    signs: &'static str,
}

/// A network. The first kind of page is the one that a bare name means, if bare names are accepted.
struct Data {
    wants: &'static str,
    /// Hosts of the network; their subdomains `www.`, `m.`, `de.` are accepted as well.
    hosts: &'static [&'static str],
    names: bool,
    pages: &'static [Page],
    /// First path segments that are pages of this network and no names of members, besides [`PAGES_OF_NETWORKS`].
    own: &'static [&'static str],
}

const fn page(
    host: &'static str,
    path: &'static str,
    (least, most): (usize, usize),
    signs: &'static str,
) -> Page {
    Page {
        host,
        path,
        least,
        most,
        signs,
    }
}

const fn data(
    wants: &'static str,
    hosts: &'static [&'static str],
    names: bool,
    pages: &'static [Page],
) -> Data {
    Data {
        wants,
        hosts,
        names,
        pages,
        own: &[],
    }
}

impl Data {
    const fn besides(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self
    }
}

static INSTAGRAM: Data = data(
    "must be an Instagram profile such as @name or https://www.instagram.com/name",
    &["instagram.com", "instagr.am"],
    true,
    &[page("www.instagram.com", "", (1, 30), "._")],
)
.besides(&[
    "_n",
    "_u",
    "api",
    "ar",
    "ads",
    "business",
    "challenge",
    "channel",
    "create",
    "developer",
    "direct",
    "directory",
    "emails",
    "developers",
    "download",
    "invites",
    "legal",
    "lite",
    "locations",
    "nametag",
    "o",
    "oauth",
    "popular",
    "press",
    "privacy",
    "s",
    "session",
    "settings",
    "terms",
    "topics",
    "tv",
    "web",
]);
static FACEBOOK: Data = data(
    "must be a Facebook page such as @name or https://www.facebook.com/name",
    &["facebook.com", "fb.com", "fb.me"],
    true,
    &[
        page("www.facebook.com", "", (1, 75), ".-"),
        page("www.facebook.com", "profile.php?id=", (1, 20), ""),
        page("www.facebook.com", "people/", (1, 150), ".%/_-"),
        page("www.facebook.com", "groups/", (1, 150), ".%_-"),
        page("www.facebook.com", "pages/", (1, 150), ".%/_-"),
        page("www.facebook.com", "p/", (1, 150), ".%_-"),
        // The links that Facebook's app makes for sharing a page.
        page("www.facebook.com", "share/", (6, 40), "_-"),
    ],
)
.besides(&[
    "ads",
    "bookmarks",
    "business",
    "careers",
    "checkpoint",
    "connect",
    "creators",
    "dialog",
    "directory",
    "fundraisers",
    "friends",
    "games",
    "gaming",
    "jobs",
    "l",
    "latest",
    "legal",
    "live",
    "login_alerts",
    "marketplace",
    "me",
    "media",
    "memories",
    "messages",
    "mobile",
    "notes",
    "notifications",
    "offers",
    "permalink",
    "pg",
    "photo",
    "photos",
    "plugins",
    "policies",
    "policy",
    "privacy",
    "profile",
    "r",
    "recover",
    "saved",
    "settings",
    "sharer",
    "story",
    "terms",
    "tr",
    "v",
    "video",
    "videos",
    "weather",
]);
static YOUTUBE: Data = data(
    "must be a YouTube channel such as @name or https://www.youtube.com/@name",
    &["youtube.com"],
    true,
    &[
        page("www.youtube.com", "@", (1, 180), "._%-"),
        page("www.youtube.com", "channel/", (1, 60), "_-"),
        page("www.youtube.com", "c/", (1, 100), "._%-"),
        page("www.youtube.com", "user/", (1, 100), "._%-"),
    ],
)
.besides(&[
    "account",
    "ads",
    "attribution_link",
    "clip",
    "creators",
    "featured",
    "feeds",
    "hype",
    "kids",
    "learning",
    "new",
    "news",
    "oembed",
    "originals",
    "podcasts",
    "post",
    "redirect",
    "reporthistory",
    "select_site",
    "show",
    "source",
    "sports",
    "store",
    "subscription_center",
    "t",
    "terms",
    "trending",
    "yt",
]);
static LINKEDIN: Data = data(
    "must be a LinkedIn page such as https://www.linkedin.com/in/name or https://www.linkedin.com/company/name",
    &["linkedin.com"],
    // A bare name does not say whether it is a person or a company, so it is not accepted.
    false,
    &[
        page("www.linkedin.com", "in/", (1, 150), "._%-"),
        page("www.linkedin.com", "company/", (1, 150), "._%-"),
        page("www.linkedin.com", "school/", (1, 150), "._%-"),
        page("www.linkedin.com", "showcase/", (1, 150), "._%-"),
    ],
);
static X: Data = data(
    "must be a profile on X such as @name or https://x.com/name",
    &["x.com", "twitter.com"],
    true,
    &[page("x.com", "", (1, 15), "_")],
)
.besides(&[
    "bookmarks",
    "communities",
    "compose",
    "download",
    "explore_trending",
    "follower_requests",
    "jobs",
    "lists",
    "logout",
    "messages",
    "notifications",
    "oauth",
    "personalization",
    "privacy",
    "settings",
    "signup",
    "tos",
    "who_to_follow",
]);
static TIKTOK: Data = data(
    "must be a TikTok profile such as @name or https://www.tiktok.com/@name",
    &["tiktok.com"],
    true,
    &[page("www.tiktok.com", "@", (1, 24), "._")],
)
.besides(&[
    "business", "coin", "effect", "friends", "inbox", "legal", "messages", "place", "poi",
    "question", "sticker", "topics", "view",
]);
static MASTODON: Data = data(
    "must be a Mastodon profile such as @name@mastodon.social or https://mastodon.social/@name",
    &[],
    false,
    &[],
);
static THREADS: Data = data(
    "must be a Threads profile such as @name or https://www.threads.com/@name",
    &["threads.com", "threads.net"],
    true,
    &[page("www.threads.com", "@", (1, 30), "._")],
)
.besides(&[
    "activity",
    "direct",
    "following_requests",
    "for_you",
    "insights",
    "legal",
    "liked",
    "messages",
    "post",
    "saved",
    "settings",
]);
static BLUESKY: Data = data(
    "must be a Bluesky profile such as @name.bsky.social or https://bsky.app/profile/name.bsky.social",
    &["bsky.app"],
    true,
    &[page("bsky.app", "profile/", (3, 100), ".:-")],
);
static WHATSAPP: Data = data(
    "must be a WhatsApp number or link such as +41446681800 or https://wa.me/41446681800",
    &["wa.me", "whatsapp.com"],
    false,
    &[
        page("wa.me", "", (7, 15), ""),
        // The short link of a business.
        page("wa.me", "message/", (8, 40), ""),
        page("chat.whatsapp.com", "", (10, 40), ""),
        page("whatsapp.com", "channel/", (10, 40), ""),
    ],
);
static TELEGRAM: Data = data(
    "must be a Telegram name or link such as @name or https://t.me/name",
    &["t.me", "telegram.me", "telegram.dog"],
    true,
    &[
        page("t.me", "", (3, 32), "_"),
        page("t.me", "+", (10, 40), "_-"),
        page("t.me", "joinchat/", (10, 40), "_-"),
    ],
)
.besides(&[
    "addemoji",
    "addlist",
    "addstickers",
    "addtheme",
    "apps",
    "bg",
    "blog",
    "boost",
    "c",
    "call",
    "confirmphone",
    "contact",
    "dl",
    "faq",
    "giftcode",
    "iv",
    "invoice",
    "joinchat",
    "m",
    "nft",
    "privacy",
    "proxy",
    "s",
    "setlanguage",
    "socks",
    "tos",
]);

const ALL: [Network; 11] = [
    Network::Instagram,
    Network::Facebook,
    Network::Youtube,
    Network::Linkedin,
    Network::X,
    Network::Tiktok,
    Network::Mastodon,
    Network::Threads,
    Network::Bluesky,
    Network::Whatsapp,
    Network::Telegram,
];

/// First path segments that are pages of a network itself and not names of members, on most networks. Others are in
/// [`Data::own`].
const PAGES_OF_NETWORKS: [&str; 20] = [
    "about", "accounts", "events", "explore", "hashtag", "help", "home", "i", "intent", "login",
    "p", "pages", "people", "groups", "reel", "reels", "search", "share", "stories", "watch",
];

/// Pages of networks where names begin with a sign, so that every other first segment is a page of the network.
const PAGES_BESIDE_NAMES: [&str; 19] = [
    "c",
    "channel",
    "discover",
    "embed",
    "feed",
    "following",
    "foryou",
    "gaming",
    "live",
    "music",
    "playlist",
    "premium",
    "results",
    "shorts",
    "t",
    "tag",
    "upload",
    "user",
    "video",
];

/// The host of Facebook's short links.
const SHORT_LINKS: &str = "fb.me";

/// Path segments that come between a name and a single post or video.
const POSTS: [&str; 7] = ["p", "photo", "post", "posts", "reel", "status", "video"];

impl Network {
    fn data(self) -> &'static Data {
        match self {
            Network::Instagram => &INSTAGRAM,
            Network::Facebook => &FACEBOOK,
            Network::Youtube => &YOUTUBE,
            Network::Linkedin => &LINKEDIN,
            Network::X => &X,
            Network::Tiktok => &TIKTOK,
            Network::Mastodon => &MASTODON,
            Network::Threads => &THREADS,
            Network::Bluesky => &BLUESKY,
            Network::Whatsapp => &WHATSAPP,
            Network::Telegram => &TELEGRAM,
        }
    }

    pub fn wants(self) -> &'static str {
        self.data().wants
    }

    /// The address of the page that a name or link means; `None` if it is not one of this network.
    pub fn address(self, text: &str) -> Option<String> {
        let text = text.trim();
        match self {
            Network::Mastodon => return mastodon(text),
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

    fn named(self, text: &str) -> Option<String> {
        let data = self.data();
        let name = text.strip_prefix(['@', '＠']).unwrap_or(text);
        let page = data.pages.first().filter(|_| data.names)?;
        if page.path.is_empty() && self.is_own(name) {
            return None;
        }
        if self == Network::Youtube && name == text && is_channel(name) {
            return Some(channel(name));
        }
        match self {
            Network::Bluesky => page.of(&completed(name)),
            _ => page.of(&encoded(name)),
        }
    }

    /// Whether the first segment of a path is a page of the network, and no name.
    fn is_own(self, first: &str) -> bool {
        let first = first.to_ascii_lowercase();
        PAGES_OF_NETWORKS.contains(&first.as_str())
            || self.data().own.contains(&first.as_str())
            // `photo.php`, `story.php`, `l.php`: programs.
            || (self == Network::Facebook && first.ends_with(".php"))
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
        let known = data.hosts.iter().find(|known| is_under(host, known))?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = encoded(path.trim_matches('/'));
        // The two kinds of pages whose name is in the query string.
        let given = |key: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        };
        let path = match (self, path.as_str()) {
            (Network::Facebook, "profile.php") => format!("profile.php?id={}", given("id")?),
            (Network::Whatsapp, "send") => given("phone")?.trim_start_matches("%2B").to_owned(),
            // The preview of a channel in a browser, without the app.
            (Network::Telegram, preview) if preview.starts_with("s/") => preview[2..].to_owned(),
            // The links by which apps are opened, and the former addresses of pages.
            (Network::Instagram, link) if link.starts_with("_u/") => link[3..].to_owned(),
            (Network::Facebook, page) if page.starts_with("pg/") => page[3..].to_owned(),
            (Network::Bluesky, page) if page.starts_with("profile/") => {
                let name = page[8..].split('/').next().unwrap_or_default();
                page.replacen(name, &completed(name), 1)
            }
            _ => path,
        };
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
        fits(name).then(|| format!("https://{}/{}{name}", self.host, self.path))
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
    let is_link = scheme.is_some() || rest.contains('/') || host.starts_with("www.") || known();
    is_link.then_some((host, path))
}

/// Letters of other scripts as addresses have them: `%C3%BC`.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte.is_ascii() {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// `@name@host`, `name@host`, `https://host/@name`, `https://host/users/name`: every server has its own host, but
/// hosts of other networks are refused. On a server, `/@name@host` is a member of another server.
fn mastodon(text: &str) -> Option<String> {
    let pair = |text: &str| {
        let (name, host) = text.strip_prefix('@').unwrap_or(text).split_once('@')?;
        Some((name.to_owned(), host.to_owned()))
    };
    let (name, host) = match link(text) {
        Some((host, path)) => {
            let path = path.split('?').next()?.trim_matches('/');
            let path = path.strip_prefix("web/").unwrap_or(path);
            let name = path
                .strip_prefix('@')
                .or_else(|| path.strip_prefix("users/"))?;
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

/// A host of one of the networks that have hosts of their own.
fn is_of_another(host: &str) -> bool {
    let mut known = ALL.iter().flat_map(|network| network.data().hosts);
    known.any(|known| is_under(host, known))
}

/// The host itself, or one under it such as `www.`, `m.`, `de.`
fn is_under(host: &str, known: &str) -> bool {
    let rest = host.strip_suffix(known);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
