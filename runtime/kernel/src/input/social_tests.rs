//! What people paste into links to networks.

use super::social::Network::{self, *};

#[test]
fn what_people_paste_is_one_address() {
    let cases: &[(Network, &str, &[&str])] = &[
        (
            Instagram,
            "https://www.instagram.com/foo",
            &[
                "@foo",
                "foo",
                " foo ",
                "instagram.com/foo",
                "HTTPS://Instagram.com/foo/",
                "http://m.instagram.com/foo?hl=de#x",
                "www.instagram.com/@foo",
                "https://www.instagram.com/foo/reels/",
                "www.instagram.com/foo/?igsh=MXY%3D%3D",
                "//instagram.com/foo",
                "＠foo",
            ],
        ),
        (
            Facebook,
            "https://www.facebook.com/foo.bar",
            &[
                "foo.bar",
                "fb.com/foo.bar",
                "https://de-de.facebook.com/foo.bar/",
            ],
        ),
        (
            Facebook,
            "https://www.facebook.com/profile.php?id=123",
            &["facebook.com/profile.php?ref=x&id=123"],
        ),
        (
            Facebook,
            "https://www.facebook.com/p/Foo-Bar-100012345",
            &["https://m.facebook.com/p/Foo-Bar-100012345/?mibextid=x"],
        ),
        (
            Facebook,
            "https://www.facebook.com/share/1AbCdEf",
            &["https://www.facebook.com/share/1AbCdEf/?mibextid=x"],
        ),
        (
            Youtube,
            "https://www.youtube.com/@foo",
            &[
                "@foo",
                "foo",
                "youtube.com/@foo/videos",
                "youtube.com/foo",
                "https://www.youtube.com/@foo?si=x",
            ],
        ),
        (
            Youtube,
            "https://www.youtube.com/@%E6%9D%B1%E4%BA%AC",
            &["@東京", "youtube.com/@東京"],
        ),
        (
            Youtube,
            "https://www.youtube.com/channel/UCabc_-1",
            &["m.youtube.com/channel/UCabc_-1"],
        ),
        (
            Linkedin,
            "https://www.linkedin.com/in/foo-bar",
            &[
                "de.linkedin.com/in/foo-bar/",
                "https://linkedin.com/in/foo-bar/details/",
            ],
        ),
        (
            Linkedin,
            "https://www.linkedin.com/in/j%C3%BCrgen",
            &["linkedin.com/in/jürgen"],
        ),
        (
            X,
            "https://x.com/foo",
            &[
                "@foo",
                "twitter.com/foo",
                "https://mobile.twitter.com/foo?s=20",
            ],
        ),
        (
            Tiktok,
            "https://www.tiktok.com/@foo",
            &["@foo", "foo", "tiktok.com/@foo?lang=de", "tiktok.com/foo"],
        ),
        (
            Mastodon,
            "https://mastodon.social/@foo",
            &[
                "@foo@mastodon.social",
                "foo@Mastodon.social",
                "https://mastodon.social/@foo",
                "mastodon.social/users/foo",
                "https://mastodon.social/web/@foo",
                "https://chaos.social/@foo@mastodon.social",
            ],
        ),
        (
            Mastodon,
            "https://xn--bcher-kva.example/@foo",
            &["@foo@bücher.example"],
        ),
        (
            Threads,
            "https://www.threads.com/@foo",
            &[
                "@foo",
                "https://www.threads.net/@foo",
                "threads.net/foo",
                "https://www.threads.com/@foo?xmt=x",
            ],
        ),
        (
            Bluesky,
            "https://bsky.app/profile/foo.bsky.social",
            &[
                "@foo",
                "foo.bsky.social",
                "@foo.bsky.social",
                "bsky.app/profile/foo.bsky.social",
                "https://foo.bsky.social/",
            ],
        ),
        (
            Whatsapp,
            "https://wa.me/41446681800",
            &[
                "+41 44 668 18 00",
                "wa.me/41446681800",
                "wa.me/+41446681800",
                "https://api.whatsapp.com/send?phone=41446681800&text=x",
                "https://api.whatsapp.com/send/?phone=%2B41446681800",
            ],
        ),
        (
            Whatsapp,
            "https://wa.me/message/ABCDEF1234",
            &["wa.me/message/ABCDEF1234"],
        ),
        (
            Whatsapp,
            "https://chat.whatsapp.com/AbcDef1234567",
            &["chat.whatsapp.com/AbcDef1234567"],
        ),
        (
            Telegram,
            "https://t.me/foobar",
            &[
                "@foobar",
                "t.me/foobar",
                "t.me/@foobar",
                "https://t.me/s/foobar",
                "https://telegram.me/foobar",
            ],
        ),
        (Telegram, "https://t.me/foo", &["t.me/foo", "@foo"]),
        (
            Telegram,
            "https://t.me/+AbcDef1234567",
            &["t.me/+AbcDef1234567"],
        ),
    ];
    for (network, address, texts) in cases {
        for text in texts.iter().chain([address]) {
            assert_eq!(
                network.address(text).as_deref(),
                Some(*address),
                "{network:?} {text:?}"
            );
        }
    }
}

#[test]
fn what_is_of_another_network_is_of_none() {
    let cases: &[(Network, &[&str])] = &[
        (
            Instagram,
            &[
                "https://example.org/foo",
                "https://instagram.com.example.org/foo",
                "https://notinstagram.com/foo",
                "instagram.com",
                "https://instagram.com/",
                "https://www.instagram.com/p/abc",
                "facebook.com",
                "@",
                "",
                "foo bar",
                "https://u@instagram.com/foo",
                "javascript:alert(1)",
                "ftp://instagram.com/foo",
                "https://instagram.com@example.org/foo",
            ],
        ),
        (Linkedin, &["@foo", "foo", "https://www.linkedin.com/feed"]),
        (
            X,
            &[
                "https://x.com/foo/status/1",
                "https://instagram.com/foo",
                "a_name_that_is_too_long",
            ],
        ),
        (
            Mastodon,
            &[
                "@foo",
                "foo",
                "https://mastodon.social",
                "@foo@localhost",
                "@foo@1.2.3.4",
                "https://www.tiktok.com/@foo",
                "https://www.youtube.com/@foo",
                "@foo@threads.net",
                "https://mastodon.social/@foo/1234",
            ],
        ),
        (
            Tiktok,
            &[
                "https://vm.tiktok.com/ZMabc/",
                "https://www.tiktok.com/t/ZMabc/",
                "https://www.tiktok.com/foryou",
            ],
        ),
        // Where a short link leads, its path does not say.
        (Facebook, &["fb.me/foo", "https://fb.me/e/1AbCdEf"]),
        (Whatsapp, &["044 668 18 00", "@foo", "wa.me/foo"]),
        (
            Youtube,
            &[
                "https://www.youtube.com/watch?v=abc",
                "https://youtu.be/abc",
                "https://www.youtube.com/shorts/abc",
                "https://www.youtube.com/playlist?list=abc",
                "https://music.youtube.com/foo",
            ],
        ),
    ];
    for (network, texts) in cases {
        for text in *texts {
            assert_eq!(network.address(text), None, "{network:?} {text:?}");
        }
    }
}
