//! Where money may go by itself: accounts of one region are paid by transfers, whoever's payment it was. One that is
//! elsewhere gets its part only with a payment that is made on its behalf, and so settles where it is.
//!
//! From <https://docs.stripe.com/connect/destination-charges> and
//! <https://docs.stripe.com/connect/cross-border-payouts>. Stripe's exceptions between some regions are not used: on behalf
//! of the account works there, too.

/// The European Economic Area, and who is with it: one region. Every other country is one by itself.
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
