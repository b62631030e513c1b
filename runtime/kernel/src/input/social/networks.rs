//! What is known of each network: its hosts, the form of its names, and its own pages, which are nobody's.

use super::Network;

/// One kind of page: `https://<host>/<path><name>`.
pub(super) struct Page {
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
    /// Characters that names may contain besides letters and digits.
    pub(super) signs: &'static str,
}

/// A network. The first kind of page is the one that a bare name means, if bare names are accepted.
pub(super) struct Data {
    pub(super) wants: &'static str,
    /// Hosts of the network; `www.`, `m.` and `mobile.` may stand before each.
    pub(super) hosts: &'static [&'static str],
    /// What else may stand before them, because it shows the same pages.
    pub(super) sites: &'static [&'static str],
    /// Whether it has a host for each language or country: `de.`, `pt-br.`
    pub(super) regions: bool,
    pub(super) names: bool,
    pub(super) pages: &'static [Page],
    /// What stands before names on cards and posters besides the name of the network: `IG: @name`. In lower case.
    pub(super) labels: &'static [&'static str],
    /// First path segments that are pages of this network and no names of members, besides [`PAGES_OF_NETWORKS`].
    pub(super) own: &'static [&'static str],
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
        sites: &[],
        regions: false,
        names,
        pages,
        labels: &[],
        own: &[],
    }
}

impl Data {
    const fn besides(mut self, own: &'static [&'static str]) -> Self {
        self.own = own;
        self
    }

    const fn at(mut self, sites: &'static [&'static str]) -> Self {
        self.sites = sites;
        self
    }

    const fn labelled(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    const fn in_regions(mut self) -> Self {
        self.regions = true;
        self
    }
}

static INSTAGRAM: Data = data(
    "must be an Instagram profile such as @name or https://www.instagram.com/name",
    &["instagram.com", "instagr.am", "ig.me"],
    true,
    &[page("www.instagram.com", "", (1, 30), "._")],
)
.labelled(&["insta", "ig"])
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
    &["facebook.com", "fb.com", "fb.me", "m.me", "messenger.com"],
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
        page("www.facebook.com", "share/g/", (6, 40), "_-"),
    ],
)
.labelled(&["fb"])
.at(&["business", "mbasic", "touch", "web"])
.in_regions()
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
    // The chats of groups (`m.me/j/…`).
    "j",
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
.labelled(&["yt"])
.at(&["gaming", "music", "studio"])
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
)
.in_regions();
static X: Data = data(
    "must be a profile on X such as @name or https://x.com/name",
    &["x.com", "twitter.com"],
    true,
    &[page("x.com", "", (1, 15), "_")],
)
.labelled(&["twitter"])
.besides(&[
    "bookmarks",
    "communities",
    "compose",
    "download",
    "en",
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
        // The same as a QR code.
        page("wa.me", "qr/", (8, 40), ""),
        page("chat.whatsapp.com", "", (10, 40), ""),
        page("whatsapp.com", "channel/", (10, 40), ""),
    ],
)
.labelled(&["wa"])
.at(&["api", "chat", "web"]);
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
.labelled(&["tg"])
.besides(&[
    "addcontact",
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
    "fragment",
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

pub(super) const ALL: [Network; 11] = [
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
pub(super) const PAGES_OF_NETWORKS: [&str; 20] = [
    "about", "accounts", "events", "explore", "hashtag", "help", "home", "i", "intent", "login",
    "p", "pages", "people", "groups", "reel", "reels", "search", "share", "stories", "watch",
];

/// Pages of networks where names begin with a sign, so that every other first segment is a page of the network.
pub(super) const PAGES_BESIDE_NAMES: [&str; 19] = [
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

/// What follows a name on Mastodon within the same page.
pub(super) const MASTODON_TABS: [&str; 5] = [
    "with_replies",
    "media",
    "featured",
    "followers",
    "following",
];

/// Path segments that come between a name and a single post or video.
pub(super) const POSTS: [&str; 11] = [
    "events",
    "p",
    "permalink",
    "photo",
    "photos",
    "post",
    "posts",
    "reel",
    "status",
    "video",
    "videos",
];

impl Network {
    pub(super) fn data(self) -> &'static Data {
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
}
