//! Which accounts are near enough to the platform that money settles there before it goes to them.

/// One region, with all that belongs to it; any other country is one by itself.
const EUROPE: &str = "AT BE BG CH CY CZ DE DK EE ES FI FR GB GI GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK";

pub fn of(country: &str) -> &str {
    match EUROPE.split(' ').any(|one| one == country) {
        true => "Europe",
        false => country,
    }
}
