//! The settings of fraud rules: from how many facts on a pattern is flagged.

use super::Rule;

const DAY: i64 = 24;

/// Fraud. 0 switches a rule off.
#[derive(clap::Args, Clone, Copy, Debug)]
#[group(skip)]
pub struct Settings {
    /// `card_testing`: the number of declined cards of a member within an hour. 0 switches this rule off, and so it does
    /// for the other rules.
    #[arg(long, env = "FRAUD_CARD_TESTING", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_card_testing: u32,
    /// `disputed_host`: the number of disputed payments for events of a host within 90 days.
    #[arg(long, env = "FRAUD_DISPUTED_HOST", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_disputed_host: u32,
    /// `disputed_member`: the number of disputed payments of a member within 180 days.
    #[arg(long, env = "FRAUD_DISPUTED_MEMBER", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_disputed_member: u32,
    /// `returned_tickets`: the number of refunds that buyers of an event requested within 30 days, if these are at
    /// least half of its paid orders.
    #[arg(long, env = "FRAUD_RETURNED_TICKETS", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_returned_tickets: u32,
    /// `new_reviewers`: the number of reviews of a profile within a day by accounts younger than a week.
    #[arg(long, env = "FRAUD_NEW_REVIEWERS", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_new_reviewers: u32,
    /// `reviews_from_one_network`: the number of reviews of a profile within a week by members who signed in from one
    /// network.
    #[arg(long, env = "FRAUD_REVIEWS_FROM_ONE_NETWORK", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_reviews_from_one_network: u32,
    /// `likes_from_one_network`: the number of likes of an event within a day by members who signed in from one
    /// network.
    #[arg(long, env = "FRAUD_LIKES_FROM_ONE_NETWORK", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub fraud_likes_from_one_network: u32,
    /// `referred_oneself`: 1 flags each referral within 30 days of a member who has signed in from the same network as
    /// the referrer; 0 flags none.
    #[arg(long, env = "FRAUD_REFERRED_ONESELF", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(0..=1))]
    pub fraud_referred_oneself: u32,
}

impl Settings {
    pub(super) fn rules(&self) -> [Rule; 8] {
        let rule = |name, hours, least| Rule { name, hours, least };
        [
            rule("card_testing", 1, self.fraud_card_testing),
            rule("disputed_host", 90 * DAY, self.fraud_disputed_host),
            rule("disputed_member", 180 * DAY, self.fraud_disputed_member),
            rule("returned_tickets", 30 * DAY, self.fraud_returned_tickets),
            rule("new_reviewers", DAY, self.fraud_new_reviewers),
            rule(
                "reviews_from_one_network",
                7 * DAY,
                self.fraud_reviews_from_one_network,
            ),
            rule(
                "likes_from_one_network",
                DAY,
                self.fraud_likes_from_one_network,
            ),
            rule("referred_oneself", 30 * DAY, self.fraud_referred_oneself),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::module::defaults;
    use kernel::input::Choice;

    #[test]
    fn every_rule_of_the_table_is_looked_for() {
        let rules = defaults::<super::Settings>().rules();
        let looked: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
        assert_eq!(looked, generated::fraud_flag::FraudFlagRule::WORDS);
    }
}
