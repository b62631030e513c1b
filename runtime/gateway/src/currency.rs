//! A currency, identified by its ISO 4217 code. This crate does not know which currencies exist or how many decimals
//! each has: that is the `money` crate's.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three letters (ISO 4217)")]
pub struct NoCurrency;

impl Currency {
    /// Parses a code in upper or lower case.
    pub fn new(code: &str) -> Result<Self, NoCurrency> {
        let letters: [u8; 3] = code.as_bytes().try_into().map_err(|_| NoCurrency)?;
        if !letters.iter().all(u8::is_ascii_alphabetic) {
            return Err(NoCurrency);
        }
        Ok(Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The code in lower case, as some providers write it.
    pub fn lower_case(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = NoCurrency;

    fn from_str(code: &str) -> Result<Self, NoCurrency> {
        Self::new(code)
    }
}

impl TryFrom<String> for Currency {
    type Error = NoCurrency;

    fn try_from(code: String) -> Result<Self, NoCurrency> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_upper_case_whatever_they_came_as() {
        assert_eq!(Currency::new("aud").unwrap().as_str(), "AUD");
        assert_eq!(Currency::new("AUD").unwrap().lower_case(), "aud");
        for none in ["", "AU", "AUDD", "A1D", "é1"] {
            assert_eq!(Currency::new(none), Err(NoCurrency), "{none}");
        }
    }
}
