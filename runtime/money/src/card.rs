//! The rules of the card processor, Stripe: its units, its smallest step, and its smallest and largest charge.
//!
//! From <https://docs.stripe.com/currencies>. Stripe's decimals are not always those of ISO 4217, which rows have:
//! krónur and Ugandan shillings are written with two decimals that are always zero, ariary without any. In currencies
//! with three decimals the last must be 0. This module makes no calls.

use crate::{
    amount::Money,
    currency::Currency,
    error::{Error, Result},
};

/// The quantum: the smallest difference between two card charges, in minor units. Every amount of a purchase is a
/// multiple of it.
///
/// That includes fees, shares and refunds, since these are transferred, too. If they were rounded more finely than
/// transfers are, each order would leave a remainder that can't be paid to anybody.
pub fn quantum(currency: Currency) -> u64 {
    match (currency.code(), currency.exponent()) {
        ("MGA", _) => 100,
        (_, 3) => 10,
        _ => 1,
    }
}

/// The smallest charge that the processor documents for the currency, otherwise the smallest possible amount.
///
/// The documented minimum is that of the receiving bank account's currency. A purchase in another currency has to
/// reach it after conversion, which only the processor can check; if it does not, the processor refuses the charge and
/// nothing is paid.
pub fn minimum(currency: Currency) -> Money {
    let minor_units = match currency.code() {
        "USD" | "ARS" | "AUD" | "BRL" | "CAD" | "CHF" | "COP" | "EUR" | "IDR" | "ILS" | "INR"
        | "JPY" | "KRW" | "NZD" | "PHP" | "RUB" | "SGD" | "ZAR" => 50,
        "GBP" => 30,
        "AED" | "MYR" | "PLN" | "RON" => 200,
        "DKK" => 250,
        "NOK" | "SEK" => 300,
        "HKD" => 400,
        "MXN" | "THB" => 1_000,
        "CZK" => 1_500,
        "HUF" => 17_500,
        "MGA" => 100,
        _ if currency.exponent() == 3 => 10,
        _ => 1,
    };
    Money::new(minor_units, currency)
}

/// The largest charge: the processor takes numbers of up to eight digits, in its own units, and of twelve for rupiah, of
/// which a million are some sixty dollars.
pub fn maximum(currency: Currency) -> Money {
    let most: u64 = match currency.code() {
        "IDR" => 999_999_999_999,
        _ => 99_999_999,
    };
    let quanta = most.checked_div(per_quantum(currency)).unwrap_or(most);
    let minor_units = quanta.saturating_mul(quantum(currency));
    Money::new(i64::try_from(minor_units).unwrap_or(i64::MAX), currency)
}

/// Converts an amount to the number that is sent to the processor.
pub fn to_processor(money: Money) -> Result<i64> {
    let quanta = money.quanta()?;
    let amount = quanta.checked_mul(per_quantum(money.currency()));
    let amount = amount.ok_or(Error::Overflow)?;
    i64::try_from(amount).map_err(|_| Error::Overflow)
}

/// Currencies that cards can't be charged in: those that the processor doesn't have, and the three whose decimals it
/// writes otherwise than ISO 4217, which the gateway refuses so that no amount is wrong by a factor of a hundred.
const UNCHARGED: &str =
    "BTN CUP ERN GHS IQD IRR ISK KPW LYD MGA MRU SDG SSP SVC SYP TMT UGX VED VES ZWG";

/// Whether cards can be charged in the currency. In others people pay cash at the door.
pub fn is_charged(currency: Currency) -> bool {
    !UNCHARGED.split(' ').any(|code| code == currency.code())
}

/// The number of the processor's units in a quantum.
fn per_quantum(currency: Currency) -> u64 {
    match (currency.code(), currency.exponent()) {
        ("ISK" | "UGX", _) => 100,
        (_, 3) => 10,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect(code))
    }

    #[test]
    fn currencies_that_are_not_charged_exist() {
        for code in UNCHARGED.split(' ') {
            assert!(!is_charged(Currency::parse(code).expect(code)), "{code}");
        }
        let charged = |code| is_charged(Currency::parse(code).expect(code));
        assert!(["AUD", "JPY", "KWD", "XCG"].into_iter().all(charged));
    }

    #[test]
    fn what_is_sent_is_in_the_processors_units() {
        for (ours, theirs) in [
            (money(1_099, "USD"), 1_099),
            (money(500, "JPY"), 500),
            (money(5, "ISK"), 500),
            (money(5, "UGX"), 500),
            (money(500, "MGA"), 5),
            (money(5_120, "KWD"), 5_120),
        ] {
            assert_eq!(to_processor(ours), Ok(theirs), "{ours}");
        }
    }

    #[test]
    fn finer_steps_are_refused() {
        for (amount, step) in [
            (money(5_124, "KWD"), money(10, "KWD")),
            (money(150, "MGA"), money(100, "MGA")),
        ] {
            assert_eq!(to_processor(amount), Err(Error::Step { amount, step }));
        }
        assert!(matches!(
            to_processor(money(i64::MAX, "ISK")),
            Err(Error::Overflow)
        ));
    }

    #[test]
    fn the_largest_charge_has_eight_digits_and_twelve_of_rupiah() {
        for currency in Currency::all() {
            let digits = match currency.code() {
                "IDR" => 12,
                _ => 8,
            };
            let most = maximum(currency);
            let sent = to_processor(most).expect("a multiple of the step");
            assert!(sent.to_string().len() <= digits, "{most}");
            let step = Money::new(quantum(currency).cast_signed(), currency);
            let above = most.plus(step).expect("an amount");
            let sent = to_processor(above).expect("a multiple of the step");
            assert!(sent.to_string().len() > digits, "{above}");
        }
        for most in [
            money(99_999_999, "AUD"),
            money(999_999_999_999, "IDR"),
            money(999_999, "UGX"),
            money(99_999_990, "KWD"),
            money(9_999_999_900, "MGA"),
        ] {
            assert_eq!(maximum(most.currency()), most);
        }
    }

    #[test]
    fn the_smallest_charge_can_be_charged() {
        for currency in Currency::all() {
            let least = minimum(currency);
            assert!(to_processor(least).is_ok_and(|sent| sent > 0), "{least}");
        }
        assert_eq!(minimum(money(0, "GBP").currency()).to_string(), "0.30 GBP");
        assert_eq!(
            minimum(money(0, "HUF").currency()).to_string(),
            "175.00 HUF"
        );
        assert_eq!(minimum(money(0, "JPY").currency()).to_string(), "50 JPY");
    }
}
