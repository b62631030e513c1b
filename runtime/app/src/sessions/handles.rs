//! Reserved handles.
//!
//! `reserved_handles.txt` lists names that could speak for the platform, and words that occur in its addresses.
//! Handles that only look like one of them are refused as well.

use std::{collections::HashSet, sync::LazyLock};

const LIST: &str = include_str!("reserved_handles.txt");

/// The line that begins the second part of the list: names that are reserved by themselves, but not within others.
const EXACT: &str = "# Only as they are";

/// The skeletons of both parts: names that could speak for the platform, also together with a number or a filler word,
/// and names that are reserved by themselves.
static RESERVED: LazyLock<[HashSet<String>; 2]> = LazyLock::new(|| {
    let (speaking, exact) = LIST.split_once(EXACT).expect("the list has both parts");
    [speaking, exact].map(|part| {
        let lines = part.lines().skip_while(|line| line.starts_with(':'));
        let handles = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        handles.map(skeleton).collect()
    })
});

/// Whether the handle is reserved, or could be mistaken for one that is. `admin_7`, `the_support` and `cu1turepass`
/// are, and so are such names written together; `ticketmaster` only contains one and is allowed.
pub fn is_reserved(handle: &str) -> bool {
    if !handle.is_ascii() {
        return false;
    }
    let [speaking, exact] = &*RESERVED;
    let whole = skeleton(handle);
    if speaking.contains(&whole) || exact.contains(&whole) {
        return true;
    }
    let numbered = handle.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    let words: Vec<&str> = handle.split('_').filter(|word| !word.is_empty()).collect();
    let without_fillers: String = words
        .iter()
        .filter(|word| !is_filler(word))
        .copied()
        .collect();
    let speaks = |name: &str| speaking.contains(&skeleton(name));
    speaks(numbered)
        || speaks(&without_fillers)
        || (words.iter().any(|word| speaks(word))
            && words.iter().all(|word| is_filler(word) || speaks(word)))
        || whole.replace(&*PASSION, "").contains(&*PLATFORM)
        || speaks_together(numbered)
}

/// Whether the handle consists of names that speak for the platform and of filler words, written together:
/// `supportteam`.
fn speaks_together(handle: &str) -> bool {
    let [speaking, _] = &*RESERVED;
    let text = skeleton(handle);
    // For each place in the text: whether what stands before it consists of such words, and whether one of them speaks.
    let mut ends: Vec<Option<bool>> = vec![None; text.len() + 1];
    ends[0] = Some(false);
    for end in 1..=text.len() {
        for start in 0..end {
            let (Some(before), word) = (ends[start], &text[start..end]) else {
                continue;
            };
            let speaks = speaking.contains(word);
            if speaks || FILLERS.iter().any(|filler| skeleton(filler) == word) {
                ends[end] = Some(before || speaks || ends[end] == Some(true));
            }
        }
    }
    ends[text.len()] == Some(true)
}

const FILLERS: [&str; 6] = ["the", "real", "official", "team", "desk", "x"];

/// Whether the word adds no meaning to a name beside it: a filler word or a number.
fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The platform's own name is reserved together with anything else.
static PLATFORM: LazyLock<String> = LazyLock::new(|| skeleton("culturepass"));

/// Another word, which only begins with that name.
static PASSION: LazyLock<String> = LazyLock::new(|| skeleton("culturepassion"));

/// Maps handles that look alike to the same text. Handles are ASCII, so there are no other look-alikes.
fn skeleton(handle: &str) -> String {
    let plain = handle
        .replace('_', "")
        .replace("rn", "m")
        .replace("vv", "w")
        .replace("cl", "d");
    plain
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | 'l' | '!' => 'i',
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            '7' => 't',
            '8' => 'b',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::input::Format;

    #[test]
    fn names_that_speak_for_the_platform_are_nobodys() {
        for handle in [
            "admin",
            "adm1n",
            "admin_",
            "admin7",
            "a_d_m_i_n",
            "adrnin",
            "support",
            "supp0rt",
            "root",
            "r00t",
            "the_admin",
            "official_support",
            "support_team",
            "culturepass",
            "cu1turepass",
            "culturepass_help",
            "administrator",
            "moderator",
            "me",
            "api",
            "security",
            "help",
            "null",
            "undefined",
            "postmaster",
            "admin_support",
            "payments_help",
            "support_24_security",
            "aclmin",
            "moclerator",
            "supportteam",
            "therealadmin",
            "officialhelpdesk2",
            "superadmin",
            "moderators",
            "culturepassteam",
            "culturepass2026",
            "myculturepass",
            "cultur3passnews",
        ] {
            assert!(is_reserved(handle), "{handle}");
        }
        for handle in [
            "ana",
            "ben",
            "carla",
            "platform9",
            "ticketmaster",
            "adminia",
            "rooted",
            "supportive",
            "helper",
            "melanie",
            "apiary",
            "mehdi",
            "roots_festival",
            "norman",
            "clara",
            "claudia_help_me",
            "x_24",
            "culture_passion",
            "teamwork",
            "theodora",
            "presley",
            "modesty",
            "rooter",
            "desktop",
        ] {
            assert!(!is_reserved(handle), "{handle}");
        }
    }

    #[test]
    fn the_list_holds_handles() {
        for line in LIST.lines() {
            assert!(
                line.starts_with('#') || line.is_empty() || Format::Handle.accepts(line),
                "{line:?}"
            );
        }
    }
}
