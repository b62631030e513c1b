//! Regions: transfers are only possible to accounts in the platform's region.

/// The countries of the European region; every other country is a region by itself.
const EUROPE: &str = "AT BE BG CH CY CZ DE DK EE ES FI FR GB GI GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK";

pub fn of(country: &str) -> &str {
    match EUROPE.split(' ').any(|one| one == country) {
        true => "Europe",
        false => country,
    }
}
