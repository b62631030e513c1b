//! Classes of characters, as the functions of `emit/sql/formats.sql` name them.

use std::sync::LazyLock;

/// Whether something can be seen: `sec.is_seen`.
pub fn is_seen(text: &str) -> bool {
    static UNSEEN: LazyLock<Class> = LazyLock::new(|| Class::of("is_seen", "[^"));
    text.chars().any(|c| !UNSEEN.has(c))
}

/// Whether some character shows nothing where it stands: `sec.hides`.
pub fn hides(text: &str) -> bool {
    static HIDDEN: LazyLock<Class> = LazyLock::new(|| Class::of("hides", "["));
    text.chars().any(|c| HIDDEN.has(c))
}

/// Ranges of characters.
struct Class(Vec<(u32, u32)>);

impl Class {
    /// The class in brackets that the function of this name looks for. It consists of escapes like `\u2028-\u202f`.
    fn of(function: &str, bracket: &str) -> Self {
        let start = format!("p_text ~ '{bracket}");
        let rest = super::body(function)
            .split(&start)
            .nth(1)
            .unwrap_or_default();
        let class = rest.split(']').next().unwrap_or_default();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut goes_on = false;
        for escape in class.split('\\').skip(1) {
            let digits = escape.trim_end_matches('-').get(1..).unwrap_or_default();
            let Ok(code) = u32::from_str_radix(digits, 16) else {
                continue;
            };
            match ranges.last_mut() {
                Some(last) if goes_on => last.1 = code,
                _ => ranges.push((code, code)),
            }
            goes_on = escape.ends_with('-');
        }
        Self(ranges)
    }

    fn has(&self, c: char) -> bool {
        let code = u32::from(c);
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_are_read() {
        for c in ['\u{1}', ' ', '\u{ad}', '\u{36f}', '\u{200b}', '\u{e0fff}'] {
            assert!(!is_seen(&c.to_string()), "{}", c.escape_unicode());
        }
        assert!(is_seen("a") && is_seen(" ä"));
        for c in ['\u{1}', '\u{34f}', '\u{200b}', '\u{e000}', '\u{10ffff}'] {
            assert!(hides(&format!("a{c}")), "{}", c.escape_unicode());
        }
        // Joiners stand between other characters, so they are no part of the class.
        assert!(!hides("a\u{200d}b c"));
    }
}
