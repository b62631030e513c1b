//! Tables of Unicode characters by what they do in a line of text. `formats.sql` has the same ones.

/// Characters that a line may not contain: control characters, line breaks, characters that change the direction of
/// writing, private characters and those that are none, and characters that are invisible where they stand. They would
/// allow two different names to look the same, and get past unique constraints. Blanks are visible between words.
/// Joiners are allowed where writing needs them (`loose_joiner`); selectors and tags only where they belong (`hidden`).
pub(super) const HIDDEN: &[(char, char)] = &[
    ('\u{0}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffc}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{1107f}', '\u{1107f}'),
    ('\u{13430}', '\u{13442}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    // The rest are private, or the last two of their plane, which are no characters.
    ('\u{efffe}', '\u{10ffff}'),
];

/// Emoji, and characters that have a form as one: a selector may follow them.
pub(super) const EMOJI: &[(char, char)] = &[
    ('\u{a9}', '\u{a9}'),
    ('\u{ae}', '\u{ae}'),
    ('\u{203c}', '\u{203c}'),
    ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'),
    ('\u{2139}', '\u{2139}'),
    ('\u{2190}', '\u{21ff}'),
    ('\u{2300}', '\u{23ff}'),
    ('\u{24c2}', '\u{24c2}'),
    ('\u{25a0}', '\u{27bf}'),
    ('\u{2934}', '\u{2935}'),
    ('\u{2b00}', '\u{2bff}'),
    ('\u{3030}', '\u{3030}'),
    ('\u{303d}', '\u{303d}'),
    ('\u{3297}', '\u{3297}'),
    ('\u{3299}', '\u{3299}'),
    ('\u{1f000}', '\u{1faff}'),
];

/// Whether the character before it is shown as text or as an emoji.
pub(super) const SELECTORS: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];

/// Turns the character before it into a key: `1`, U+FE0F, U+20E3.
pub(super) const KEYCAP: char = '\u{20e3}';

/// The flag before the tags that name a region, and the tag that ends them.
pub(super) const FLAG: char = '\u{1f3f4}';
pub(super) const LAST_TAG: char = '\u{e007f}';

/// Characters that are invisible on their own: the hidden ones, blanks, fillers, joiners, combining marks.
pub(super) const UNSEEN: &[(char, char)] = &[
    ('\u{0}', '\u{20}'),
    ('\u{7f}', '\u{a0}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{300}', '\u{36f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2000}', '\u{200f}'),
    ('\u{2028}', '\u{202f}'),
    ('\u{205f}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffc}'),
    ('\u{1107f}', '\u{1107f}'),
    ('\u{13430}', '\u{13442}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Marks of direction and width, which phones, chats and word processors put around what is copied from them. At the
/// ends of a line they mean nothing.
pub(super) const MARKS: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
];

/// Mongolian letters. Selectors after them choose one of several shapes, and a separator stands before a last vowel.
pub(super) const MONGOLIAN_FIRST: char = '\u{1820}';
pub(super) const MONGOLIAN_LAST: char = '\u{18aa}';
pub(super) const MONGOLIAN_SEPARATOR: char = '\u{180e}';

/// Signs of Indic scripts that no vowel follows the letter. A joiner after them shows the half of the letter, also at
/// the end of a word.
pub(super) const VIRAMAS: [char; 10] = [
    '\u{94d}', '\u{9cd}', '\u{a4d}', '\u{acd}', '\u{b4d}', '\u{bcd}', '\u{c4d}', '\u{ccd}',
    '\u{d4d}', '\u{dca}',
];

/// Malayalam letters without a vowel: until Unicode 5.1 a letter, a virama and a joiner, since then one character.
pub(super) const CHILLUS: [(&str, &str); 6] = [
    ("\u{d23}\u{d4d}\u{200d}", "\u{d7a}"),
    ("\u{d28}\u{d4d}\u{200d}", "\u{d7b}"),
    ("\u{d30}\u{d4d}\u{200d}", "\u{d7c}"),
    ("\u{d32}\u{d4d}\u{200d}", "\u{d7d}"),
    ("\u{d33}\u{d4d}\u{200d}", "\u{d7e}"),
    ("\u{d15}\u{d4d}\u{200d}", "\u{d7f}"),
];

/// Joiners, which Persian words and emoji families need between two other characters.
pub(super) const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Characters that need no joiner between each other: ASCII, Latin, Greek and Cyrillic letters with their marks, blanks.
/// One of them may stand beside a joiner: Persian words end foreign ones.
pub(super) const UNJOINED: &[(char, char)] = &[
    ('\u{0}', '\u{52f}'),
    ('\u{1e00}', '\u{200a}'),
    ('\u{3000}', '\u{3000}'),
];

/// Blanks that look like the ordinary one in most fonts; word processors and web pages put them between words so that a
/// line is not broken there. The blank of Chinese and Japanese texts (U+3000) is as wide as a character.
pub(super) const BLANKS: &[(char, char)] = &[
    ('\u{20}', '\u{20}'),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
];
pub(super) const WIDE_BLANK: char = '\u{3000}';

/// Where a word may be divided at the end of a line. Invisible elsewhere.
pub(super) const SOFT_HYPHEN: char = '\u{ad}';

/// Marks that are drawn above, below or over the character before them: the ones for all scripts, and those of
/// Cyrillic, Hebrew, Arabic and Thai.
pub(super) const ACCENTS: &[(char, char)] = &[
    ('\u{300}', '\u{36f}'),
    ('\u{483}', '\u{489}'),
    ('\u{591}', '\u{5bd}'),
    ('\u{64b}', '\u{65f}'),
    ('\u{e34}', '\u{e3a}'),
    ('\u{e47}', '\u{e4e}'),
    ('\u{1ab0}', '\u{1aff}'),
    ('\u{1dc0}', '\u{1dff}'),
    ('\u{20d0}', '\u{20f0}'),
    ('\u{fe20}', '\u{fe2f}'),
];

/// The most of them on one character. Hebrew letters with cantillation have up to five; more run over other lines.
pub(super) const ACCENTS_MAX: usize = 5;
