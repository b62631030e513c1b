//! Between which countries money can be transferred: a transfer can pay an account of the same region, whichever
//! payment the money came from. An account in another region gets its part only from a payment that is made on its
//! behalf (`on_behalf_of`), which therefore settles in the account's own country.
//!
//! From <https://docs.stripe.com/connect/destination-charges> and
//! <https://docs.stripe.com/connect/cross-border-payouts>. Stripe also allows transfers between some regions; these
//! exceptions are not used, since `on_behalf_of` works there, too.

/// The countries of the European Economic Area and those that Stripe treats like them: together one region. Every
/// other country is a region by itself.
const EUROPE: &[&str] = &[
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GI", "GR", "HR",
    "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI",
    "SK",
];

/// Whether accounts of two countries (ISO 3166-1 alpha-2) are in one region.
pub fn is_shared(one: &str, other: &str) -> bool {
    one == other || EUROPE.contains(&one) && EUROPE.contains(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn europe_is_one_region_and_others_stand_alone() {
        assert!(is_shared("AU", "AU") && is_shared("DE", "GB") && is_shared("NO", "CH"));
        for (one, other) in [("AU", "NZ"), ("US", "CA"), ("DE", "US"), ("AU", "GB")] {
            assert!(
                !is_shared(one, other) && !is_shared(other, one),
                "{one}, {other}"
            );
        }
    }
}
