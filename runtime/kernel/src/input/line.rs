//! Which characters of a text are visible: a name without visible characters is refused, and so are characters that
//! reverse the direction of writing.
//!
//! `sec.is_line` and `sec.is_seen` implement the same in the database; a test compares them for every Unicode
//! character.

mod characters;

use characters::*;
use std::{borrow::Cow, str::Chars};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Texts of at most this many characters are single lines: names, titles, codes. Longer ones may have paragraphs.
pub const LINE_MAX: u32 = 300;

/// The form in which a line is stored: without blanks and marks of direction at its ends, with single blanks of one kind
/// between words, without soft hyphens, in Unicode normal form NFC, and with the present spelling of Malayalam letters, so
/// that texts that look the same are the same. Bodies and filters are converted to it; the database accepts no other
/// (`sec.is_line`).
pub fn normal_line(text: &str) -> Cow<'_, str> {
    let trimmed = spaced(text.trim_matches(|c: char| c.is_whitespace() || is_in(c, MARKS)));
    let composed: Cow<str> = match is_nfc_quick(trimmed.chars()) {
        IsNormalized::Yes => trimmed,
        // Trim first: composing never produces a blank, but a combining mark may attach to the blank before it.
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(trimmed.nfc().collect()),
    };
    if !composed.contains("\u{d4d}\u{200d}") {
        return composed;
    }
    let spell = |text: String, (old, new): &(&str, &str)| text.replace(old, new);
    Cow::Owned(CHILLUS.iter().fold(composed.into_owned(), spell))
}

/// The text with an ordinary blank for each series of blanks, except for a single one of Chinese and Japanese width, and
/// without soft hyphens.
fn spaced(text: &str) -> Cow<'_, str> {
    let is_blank = |c: char| c == WIDE_BLANK || is_in(c, BLANKS);
    let is_other = |c: char| c == SOFT_HYPHEN || (c != ' ' && is_in(c, BLANKS));
    let is_double = |bytes: &[u8]| bytes == b"  ";
    let is_plain = text.is_ascii() || !text.contains(|c: char| is_other(c) || c == WIDE_BLANK);
    if is_plain && !text.as_bytes().windows(2).any(is_double) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len());
    let mut chars = text.chars().filter(|c| *c != SOFT_HYPHEN).peekable();
    while let Some(c) = chars.next() {
        let mut is_series = false;
        while is_blank(c) && chars.next_if(|next| is_blank(*next)).is_some() {
            is_series = true;
        }
        match is_in(c, BLANKS) || is_series {
            true => line.push(' '),
            false => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// The text without blanks and invisible characters at its ends: phones and chats put direction marks around what is
/// copied from them. For texts with a format: lines may end with emoji, which have such characters of their own.
pub fn pasted(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || (is_hidden(c) && !c.is_control()))
}

/// Whether the character is invisible where it stands.
pub fn is_hidden(c: char) -> bool {
    is_in(c, HIDDEN)
}

/// Whether the character joins those beside it, which writing needs; it is invisible by itself.
pub fn is_joiner(c: char) -> bool {
    JOINERS.contains(&c)
}

/// Whether the character is drawn above, below or over the one before it.
pub fn is_accent(c: char) -> bool {
    is_in(c, ACCENTS)
}

/// The first character of a text that keeps it from being a line, and its number, counted from 1.
pub fn out_of_line(text: &str) -> Option<(usize, char)> {
    hidden(text)
        .or_else(|| loose_joiner(text))
        .or_else(|| loose_accent(text))
}

/// Whether a text contains a visible character.
pub fn is_seen(text: &str) -> bool {
    text.chars().any(|c| !is_in(c, UNSEEN))
}

/// Whether a text is a single line in normal form with something visible. The empty text is one.
pub fn is_line(text: &str) -> bool {
    text.is_empty() || (is_seen(text) && normal_line(text) == text && out_of_line(text).is_none())
}

/// Makes a line of a text from elsewhere; `None` if nothing in it is visible.
pub fn line_of(text: &str, max: usize) -> Option<String> {
    let kept = text
        .chars()
        .filter(|c| !is_hidden(*c) && !JOINERS.contains(c));
    let cut: String = (normal_line(&kept.collect::<String>()).chars().take(max)).collect();
    let line = normal_line(&cut).into_owned();
    is_seen(&line).then_some(line)
}

/// The first hidden character that does not belong to the character before it, and its number in the text. Emoji are
/// written with some: a selector after one or within a keycap, tags after a flag. So are Mongolian words.
fn hidden(text: &str) -> Option<(usize, char)> {
    let number = |rest: &Chars| text[..text.len() - rest.as_str().len()].chars().count();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let mut after = rest.clone();
        match (c, after.next()) {
            (_, Some(next)) if SELECTORS.contains(&next) && is_in(c, EMOJI) => rest = after,
            ('#' | '*' | '0'..='9', Some('\u{fe0f}')) if after.clone().next() == Some(KEYCAP) => {
                rest = after;
            }
            (MONGOLIAN_FIRST..=MONGOLIAN_LAST, Some('\u{180b}'..='\u{180d}' | '\u{180f}')) => {
                rest = after
            }
            (MONGOLIAN_FIRST..=MONGOLIAN_LAST, Some(MONGOLIAN_SEPARATOR))
                if matches!(after.clone().next(), Some('\u{1820}' | '\u{1821}')) =>
            {
                rest = after;
            }
            (FLAG, Some(tag @ '\u{e0020}'..='\u{e007e}')) => {
                let at = number(&after);
                if after.find(|c| !('\u{e0020}'..='\u{e007e}').contains(c)) != Some(LAST_TAG) {
                    return Some((at, tag));
                }
                rest = after;
            }
            _ if is_hidden(c) => return Some((number(&rest), c)),
            _ => {}
        }
    }
    None
}

/// The first joiner that joins nothing, and its number in the text: at the ends, beside another one, between characters
/// that are not written with joiners.
fn loose_joiner(text: &str) -> Option<(usize, char)> {
    let mut before = None;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let former = before.replace(c);
        if !is_joiner(c) {
            continue;
        }
        let next = chars.peek().map(|(_, next)| *next);
        let is_half = c == '\u{200d}' && former.is_some_and(|c| VIRAMAS.contains(&c));
        let is_needless = [former, next]
            .into_iter()
            .flatten()
            .all(|c| is_in(c, UNJOINED));
        if former.is_none_or(is_joiner) || is_needless || (next.is_none() && !is_half) {
            return Some((at + 1, c));
        }
    }
    None
}

/// The first mark that has no character to stand on, or is one too many on it, and its number in the text.
fn loose_accent(text: &str) -> Option<(usize, char)> {
    let mut room = 0;
    text.chars().enumerate().find_map(|(at, c)| {
        let is_blank = c == WIDE_BLANK || is_in(c, BLANKS);
        match is_in(c, ACCENTS) {
            true if room == 0 => return Some((at + 1, c)),
            true => room -= 1,
            false if is_blank => room = 0,
            false => room = ACCENTS_MAX,
        }
        None
    })
}

fn is_in(c: char, ranges: &[(char, char)]) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_it_holds() {
        for line in [
            "",
            "Ana",
            "می\u{200c}خواهم",
            "PDF\u{200c}ها",
            "👩\u{200d}👩\u{200d}👧",
            "👁\u{fe0f}\u{200d}🗨\u{fe0f}",
            "é",
            "🏴\u{e0067}\u{e0062}\u{e007f}",
            "東京\u{3000}タワー",
            "1\u{fe0f}\u{20e3} Raum",
            "☺\u{fe0f}☺\u{fe0e}",
            "🏴\u{e0067}\u{e007f}🏴\u{fe0f}",
            // Half of a letter at the end of a word.
            "\u{915}\u{94d}\u{200d}",
            "രാമൻ",
            "ᠨ\u{180b}ᠠ",
            "ᠠᠨ\u{180e}ᠠ",
            // A Hebrew letter with five marks.
            "\u{5e9}\u{5b8}\u{5bc}\u{5bd}\u{591}\u{5a5}",
            "Z\u{330}\u{330}\u{330}\u{330}\u{330}",
        ] {
            assert!(is_line(line), "{line:?}");
        }
        for text in [
            " ",
            "\u{a0}",
            "\u{3164}",
            "\u{200b}",
            "\u{200d}",
            "\u{2800}\u{2800}",
            "\u{fe0f}",
            "a\nb",
            "a\tb",
            "a\u{2028}b",
            "\u{202e}nimda",
            "a\u{200b}b",
            "a\u{200d}",
            "\u{200c}a",
            "a\u{200d}\u{200c}b",
            // A second `Ana Costa`, with joiners that join nothing, and with blanks of other scripts.
            "An\u{200d}a Costa",
            "Ana \u{200c}Costa",
            "Ана\u{200c}Коста",
            "Ana\u{1d159}Costa",
            "\u{16fe4}\u{13441}",
            "a\u{85}",
            "\u{feff}a",
            " Ana",
            "Ana\u{3000}",
            "e\u{301}",
            "VIP\u{3164}",
            "V\u{34f}IP",
            "VIP\u{e0100}\u{e01f0}",
            // Selectors without an emoji before them.
            "VIP\u{fe0f}",
            "葛\u{e0100}",
            "V\u{fe00}IP",
            "1\u{fe0f}",
            "☺\u{fe0f}\u{fe0f}",
            // Tags that belong to no flag, or do not end.
            "VIP\u{e0056}",
            "🏴\u{e0067}",
            "🏴\u{e0067}x\u{e007f}",
            "🏴\u{e007f}",
            "VIP\u{fffc}",
            "VIP\u{fffe}",
            "VIP\u{fdd0}",
            "VIP\u{e000}",
            "VIP\u{f0000}",
            "VIP\u{10ffff}",
            "രാമന\u{d4d}\u{200d}",
            "\u{915}\u{94d}\u{200c}",
            "VIP\u{180b}",
            "ᠨ\u{180b}\u{180b}ᠠ",
            "ᠨ\u{180e}ᠨ",
            "ᠨ\u{180e}",
            // Blanks that look like another one.
            "VIP  Area",
            "VIP\u{a0}Area",
            "VIP\u{2007}Area",
            "VIP\u{3000}\u{3000}Area",
            // Marks that stand on nothing, or run over other lines.
            "\u{20e3}",
            "\u{20e3}a",
            "a \u{303}b",
            "Z\u{330}\u{330}\u{330}\u{330}\u{330}\u{330}",
        ] {
            assert!(!is_line(text), "{text:?}");
        }
        assert!(is_seen("a\nb") && !is_seen("\n\t \u{2060}"));
    }

    /// Invisible characters are invisible beside a letter too, except for those that writing needs.
    #[test]
    fn nothing_that_is_not_seen_hides_among_letters() {
        const WRITTEN_WITH: &[(char, char)] = &[('\u{300}', '\u{34e}'), ('\u{350}', '\u{36f}')];
        let all = '\u{0}'..=char::MAX;
        let unseen = all.filter(|c| is_in(*c, UNSEEN) && !is_in(*c, WRITTEN_WITH));
        let blank = |c: &char| c.is_whitespace() && !c.is_control();
        let lines = ['\u{2028}', '\u{2029}'];
        for c in unseen.filter(|c| !blank(c) || lines.contains(c) || *c == '\u{a0}') {
            assert!(!is_line(&format!("a{c}b")), "{}", c.escape_unicode());
        }
        for (first, last) in WRITTEN_WITH {
            assert!(is_line(&format!("b{first}q")) && is_line(&format!("b{last}q")));
        }
    }

    #[test]
    fn what_others_wrote_becomes_a_line() {
        assert_eq!(
            line_of(" \u{202e}Ana\r\nCosta\u{200d} ", 80).as_deref(),
            Some("AnaCosta")
        );
        assert_eq!(line_of("\u{200b} \u{3164}", 80), None);
        assert_eq!(line_of("Ana Costa", 4).as_deref(), Some("Ana"));
        assert_eq!(normal_line("\u{3000}e\u{301} \n"), "é");
        for text in [
            "VIP\u{a0}Area",
            "VIP  Area",
            "VIP\u{2007}\u{3000} Area",
            "VIP \u{ad} Area",
            "VIP \u{ad}Ar\u{ad}ea\u{ad}",
        ] {
            assert_eq!(normal_line(text), "VIP Area", "{text:?}");
        }
        assert_eq!(normal_line("東京\u{3000}タワー"), "東京\u{3000}タワー");
        assert_eq!(normal_line("Kultur\u{ad}verein"), "Kulturverein");
        assert_eq!(normal_line("e\u{ad}\u{301}"), "é");
        for text in [
            "\u{200e}Ana",
            "Ana\u{200e}",
            "\u{feff} Ana \u{202c}\u{200b}",
            "\u{2067}Ana\u{2069}\n",
        ] {
            assert_eq!(normal_line(text), "Ana", "{text:?}");
        }
        // Selectors and tags belong to the emoji before them.
        for text in [
            "☺\u{fe0f}",
            "🏴\u{e0067}\u{e007f}",
            "VIP\u{fe0f}",
            "a\u{200b}b",
        ] {
            assert_eq!(normal_line(text), text);
        }
        // The six letters as keyboards made them before Unicode 5.1.
        assert_eq!(normal_line("രാമന\u{d4d}\u{200d}"), "രാമൻ");
        assert_eq!(normal_line("മലര\u{d4d}\u{200d}വാടി"), "മലർവാടി");
        for (text, found) in [
            ("Ana", None),
            ("A\u{200b}na", Some((2, '\u{200b}'))),
            ("Ä\u{fe0f}", Some((2, '\u{fe0f}'))),
            ("🏴\u{e0067}x", Some((2, '\u{e0067}'))),
            ("Ana\u{200d}", Some((4, '\u{200d}'))),
            ("a\u{200c}\u{200d}ه", Some((3, '\u{200d}'))),
            ("a\u{200c}b", Some((2, '\u{200c}'))),
            ("\u{200c}a", Some((1, '\u{200c}'))),
            ("a\nb", Some((2, '\n'))),
            ("\u{301}a", Some((1, '\u{301}'))),
            ("a \u{301}", Some((3, '\u{301}'))),
            (
                "Z\u{301}\u{301}\u{301}\u{301}\u{301}\u{302}",
                Some((7, '\u{302}')),
            ),
        ] {
            assert_eq!(out_of_line(text), found, "{text:?}");
        }
        assert_eq!(
            pasted("\u{202a} +41\u{200e} 44\u{202c}\n"),
            "+41\u{200e} 44"
        );
    }
}
