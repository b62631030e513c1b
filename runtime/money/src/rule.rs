//! Chooses the commission rule for a purchase: the rule with the most specific scope, from the event up to the
//! platform.
//!
//! This module knows the order of scopes and when a rule is in force; what a rule charges is [`crate::commission`].

use crate::{commission::Terms, currency::Currency};
use chrono::{DateTime, Utc};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charge {
    Ticket,
    ServiceFee,
    Featured,
    Subscription,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKind {
    Organization,
    Community,
    Business,
    Institution,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host {
    pub kind: HostKind,
    pub id: Uuid,
}

/// The scope that a rule applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Event(Uuid),
    Host(Host),
    City(Uuid),
    Country(Uuid),
    Platform,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub id: Uuid,
    pub scope: Scope,
    pub charge: Charge,
    pub terms: Terms,
    pub valid_from: DateTime<Utc>,
    /// The end of the rule's validity, exclusive. None: the rule has no end.
    pub valid_to: Option<DateTime<Utc>>,
}

/// The scopes that a purchase belongs to. A subscription has no event; an event may have no city.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    pub event: Option<Uuid>,
    pub host: Option<Host>,
    pub city: Option<Uuid>,
    pub country: Option<Uuid>,
}

impl Chain {
    /// The scopes, the most specific first.
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let scopes = [
            self.event.map(Scope::Event),
            self.host.map(Scope::Host),
            self.city.map(Scope::City),
            self.country.map(Scope::Country),
            Some(Scope::Platform),
        ];
        scopes.into_iter().flatten()
    }
}

/// Why a paid purchase is refused: its commission is undetermined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    #[error("no commission rule in {0} is in force")]
    NoRule(Currency),
    /// The two lowest ids of the rules, whatever the order in which the rules were given.
    #[error("the commission rules {0} and {1} are in force at once")]
    Ambiguous(Uuid, Uuid),
}

/// The rule that applies at the time `at`. The order of `rules` does not matter.
pub fn resolve<'a>(
    rules: &'a [Rule],
    chain: &Chain,
    charge: Charge,
    currency: Currency,
    at: DateTime<Utc>,
) -> Result<&'a Rule, Unresolved> {
    for scope in chain.scopes() {
        let mut found: Vec<&Rule> = rules
            .iter()
            .filter(|rule| {
                rule.scope == scope
                    && rule.charge == charge
                    && rule.terms.currency == currency
                    && rule.in_force(at)
            })
            .collect();
        found.sort_unstable_by_key(|rule| rule.id);
        match found.as_slice() {
            [] => {}
            [rule] => return Ok(rule),
            [first, second, ..] => return Err(Unresolved::Ambiguous(first.id, second.id)),
        }
    }
    Err(Unresolved::NoRule(currency))
}

impl Rule {
    /// Whether the rule is in force: from `valid_from` inclusive to `valid_to` exclusive, as in the database's
    /// exclusion constraint.
    pub fn in_force(&self, at: DateTime<Utc>) -> bool {
        self.valid_from <= at && self.valid_to.is_none_or(|end| at < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commission::PaidBy, share::BasisPoints};

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(day * 86_400, 0).expect("a day")
    }

    fn rule(id: u128, scope: Scope, from: i64, to: Option<i64>) -> Rule {
        Rule {
            id: Uuid::from_u128(id),
            scope,
            charge: Charge::Ticket,
            terms: Terms {
                currency: Currency::parse("AUD").expect("AUD"),
                percentage: BasisPoints::NONE,
                fixed_cents: 0,
                min_cents: 0,
                max_cents: None,
                paid_by: PaidBy::Organizer,
                city_share: BasisPoints::NONE,
            },
            valid_from: day(from),
            valid_to: to.map(day),
        }
    }

    #[test]
    fn the_nearest_in_force_counts() {
        let (event, city) = (Uuid::from_u128(100), Uuid::from_u128(200));
        let host = Host {
            kind: HostKind::Organization,
            id: Uuid::from_u128(300),
        };
        let rules = [
            rule(1, Scope::Platform, 0, None),
            rule(2, Scope::City(city), 0, None),
            rule(3, Scope::Host(host), 10, Some(20)),
            rule(4, Scope::Event(event), 15, Some(16)),
        ];
        let chain = Chain {
            event: Some(event),
            host: Some(host),
            city: Some(city),
            country: None,
        };
        let aud = rules[0].terms.currency;
        let at =
            |when| resolve(&rules, &chain, Charge::Ticket, aud, day(when)).map(|r| r.id.as_u128());
        assert_eq!(at(9), Ok(2), "the city, as long as the host has none");
        assert_eq!(at(10), Ok(3), "from the first instant");
        assert_eq!(at(15), Ok(4));
        assert_eq!(at(16), Ok(3), "not at the last instant");
        assert_eq!(at(20), Ok(2));
        assert_eq!(at(-1), Err(Unresolved::NoRule(aud)));

        // A scope is more than an id: a community with the same id as the organization is another host.
        let community = Chain {
            host: Some(Host {
                kind: HostKind::Community,
                ..host
            }),
            ..chain
        };
        let found = resolve(&rules, &community, Charge::Ticket, aud, day(12));
        assert_eq!(found.map(|rule| rule.id.as_u128()), Ok(2));

        let other = resolve(&rules, &chain, Charge::Featured, aud, day(1));
        assert_eq!(other, Err(Unresolved::NoRule(aud)));
        let yen = Currency::parse("JPY").expect("JPY");
        let other = resolve(&rules, &chain, Charge::Ticket, yen, day(1));
        assert_eq!(other, Err(Unresolved::NoRule(yen)));
    }

    #[test]
    fn two_at_once_are_refused_in_any_order() {
        let mut rules = vec![
            rule(9, Scope::Platform, 0, None),
            rule(7, Scope::Platform, 0, Some(5)),
            rule(8, Scope::Platform, 3, None),
        ];
        let aud = rules[0].terms.currency;
        let lowest = Unresolved::Ambiguous(Uuid::from_u128(7), Uuid::from_u128(8));
        for _ in 0..3 {
            rules.rotate_left(1);
            let found = resolve(&rules, &Chain::default(), Charge::Ticket, aud, day(4));
            assert_eq!(found, Err(lowest));
        }
    }
}
