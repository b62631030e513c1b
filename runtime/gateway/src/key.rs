//! The idempotency key of a call that changes something at the provider.

use std::fmt;

/// 1 to 255 visible ASCII characters, derived from the purpose of the call (`pi:{order}:{attempt}`) and never random:
/// after a crash the caller must be able to derive the same key again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct NoKey;

impl Key {
    pub const LONGEST: usize = 255;

    pub fn new(key: impl Into<String>) -> Result<Self, NoKey> {
        let key = key.into();
        let visible = key.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        if key.is_empty() || key.len() > Self::LONGEST || !visible {
            return Err(NoKey);
        }
        Ok(Self(key))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_and_not_too_long() {
        assert!(Key::new("pi:7f3a:1").is_ok());
        assert!(Key::new("k".repeat(255)).is_ok());
        for none in [
            String::new(),
            "k".repeat(256),
            "a b".into(),
            "a\r\nX: y".into(),
            "ä".into(),
        ] {
            assert_eq!(Key::new(none.clone()), Err(NoKey), "{none}");
        }
    }
}
