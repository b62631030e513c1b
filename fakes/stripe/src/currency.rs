//! The currencies that Stripe accepts, and their minimum amounts.

use crate::error::{ApiError, Result};
use crate::form::Params;

const KNOWN: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd \
    cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf \
    idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr \
    mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp \
    sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw";

/// Currencies with three decimals, in whose amounts the last digit must be 0.
const THREE_DECIMALS: &[&str] = &["bhd", "jod", "kwd", "omr", "tnd"];

const LEAST: &[(&str, i64)] = &[
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
    ("usd", 50),
];

/// The minimum of currencies without a published minimum. Stripe converts its minimum of 50 US cents; the fake has no
/// exchange rates.
const LEAST_OF_OTHERS: i64 = 10;

/// Parses the parameter `currency`; returns it in lower case.
pub fn read(params: &Params) -> Result<String> {
    let given = params.required("currency")?;
    let lower = given.to_ascii_lowercase();
    if KNOWN.split_whitespace().any(|known| known == lower) {
        return Ok(lower);
    }
    Err(ApiError::parameter(
        "parameter_invalid_enum",
        "currency",
        format!("Invalid currency: {given}. Stripe currently supports these currencies: {KNOWN}"),
    ))
}

/// The part of what is due that is charged: in whole steps of the currency, and nothing below its minimum.
pub fn collected(due: i64, currency: &str) -> i64 {
    let step = if THREE_DECIMALS.contains(&currency) {
        10
    } else {
        1
    };
    let amount = due - due.rem_euclid(step);
    if amount < least(currency) { 0 } else { amount }
}

/// Checks whether the amount can be charged.
pub fn chargeable(amount: i64, currency: &str) -> Result<()> {
    let least = least(currency);
    let refuse = |code, message| Err(ApiError::parameter(code, "amount", message));
    if amount < 1 {
        return refuse(
            "parameter_invalid_integer",
            "This value must be greater than or equal to 1.".to_owned(),
        );
    }
    if amount < least {
        return refuse(
            "amount_too_small",
            format!("Amount must be at least {least} in the smallest unit of {currency}"),
        );
    }
    not_too_large(amount, currency)?;
    if THREE_DECIMALS.contains(&currency) && amount % 10 != 0 {
        return refuse(
            "invalid_charge_amount",
            format!("Amounts in {currency} must be evenly divisible by 10"),
        );
    }
    Ok(())
}

/// Checks that the amount of a charge or transfer is not more than Stripe takes at once.
pub fn not_too_large(amount: i64, currency: &str) -> Result<()> {
    let most = most(currency);
    if amount <= most {
        return Ok(());
    }
    Err(ApiError::parameter(
        "amount_too_large",
        "amount",
        format!("Amount must be no more than {most} in the smallest unit of {currency}"),
    ))
}

/// Eight digits, and twelve of rupiah.
fn most(currency: &str) -> i64 {
    match currency {
        "idr" => 999_999_999_999,
        _ => 99_999_999,
    }
}

fn least(currency: &str) -> i64 {
    let least = LEAST.iter().find(|(known, _)| *known == currency);
    least.map_or(LEAST_OF_OTHERS, |(_, least)| *least)
}
