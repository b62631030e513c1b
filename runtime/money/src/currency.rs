//! Currencies in which people pay, and how many decimals each has.
//!
//! This module knows ISO 4217 only; the card processor's deviations are in [`crate::card`].

use crate::error::{Error, Result};
use std::{fmt, str::FromStr};

/// The codes of ISO 4217 by exponent. Metals, testing codes, funds and units of account (`CLF`, `USN`, `XDR`) are left
/// out, since nobody can pay in them. The list changes about once a year.
const BY_EXPONENT: &[(u8, &str)] = &[
    (
        0,
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    ),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF \
        CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
        MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG \
        YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
];

/// An existing currency: [`Currency::parse`] is the only way to get one. It has four bytes, since it is part of every
/// amount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// Parses a code in upper case, as the database stores it.
    pub fn parse(code: &str) -> Result<Self> {
        let found = known().find(|currency| currency.code() == code);
        found.ok_or_else(|| Error::UnknownCurrency(code.to_owned()))
    }

    /// All currencies, sorted by code.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = known().collect();
        all.sort_unstable();
        all
    }

    pub fn code(&self) -> &str {
        str::from_utf8(&self.code).unwrap_or_default()
    }

    /// The number of decimals with which amounts are written: 0, 2 or 3.
    pub fn exponent(self) -> u8 {
        self.exponent
    }

    /// The number of minor units in a major unit.
    pub(crate) fn minor_units(self) -> u64 {
        match self.exponent {
            0 => 1,
            2 => 100,
            _ => 1_000,
        }
    }
}

fn known() -> impl Iterator<Item = Currency> {
    BY_EXPONENT.iter().flat_map(|(exponent, codes)| {
        codes.split(' ').filter_map(|code| {
            Some(Currency {
                code: code.as_bytes().try_into().ok()?,
                exponent: *exponent,
            })
        })
    })
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self> {
        Self::parse(code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn decimals_are_those_of_another_list() {
        for currency in Currency::all() {
            let other = iso_currency::Currency::from_code(currency.code());
            let exponent = other.and_then(iso_currency::Currency::exponent);
            assert_eq!(exponent, Some(currency.exponent().into()), "{currency}");
        }
    }

    /// Rows may hold exactly the currencies that this crate can calculate with.
    #[test]
    fn currencies_of_rows_are_those_that_are_known() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../kernel/src/input/codes.rs");
        let text = std::fs::read_to_string(path).expect("the list of the engine");
        let (_, list) = text.split_once("CURRENCIES: &str = \"").expect("a list");
        let (list, _) = list.split_once('"').expect("its end");
        let of_rows: BTreeSet<&str> = list
            .split([' ', '\n', '\\'])
            .filter(|c| !c.is_empty())
            .collect();
        let all = Currency::all();
        let ours: BTreeSet<&str> = all.iter().map(Currency::code).collect();
        assert_eq!(ours.len(), all.len(), "each once");
        assert_eq!(ours, of_rows);
    }

    #[test]
    fn unknown_codes_are_refused() {
        for code in [
            "", "aud", "AUDD", "AU", "XXX", "XAU", "CLF", "USN", "XDR", "DEM", "AED AFN",
        ] {
            assert_eq!(
                Currency::parse(code),
                Err(Error::UnknownCurrency(code.to_owned()))
            );
        }
        let [yen, dollar, dinar] = ["JPY", "AUD", "KWD"].map(|c| Currency::parse(c).expect(c));
        assert_eq!([yen, dollar, dinar].map(Currency::exponent), [0, 2, 3]);
    }
}
