//! The choice of a rule, compared with a search that ranks every rule separately.

use crate::{Verdict, holds, is_refuted};
use chrono::{DateTime, Utc};
use money::{
    BasisPoints, Chain, Charge, Currency, Host, HostKind, PaidBy, Rule, Scope, Terms, Unresolved,
    rule::resolve,
};
use proptest::{prelude::*, sample::select};
use std::cell::Cell;
use uuid::Uuid;

#[derive(Debug, Clone)]
struct Case {
    rules: Vec<Rule>,
    chain: Chain,
    charge: Charge,
    currency: Currency,
    at: DateTime<Utc>,
}

/// Only a few ids, shared by all kinds of scopes, so that an event, a host and a city often have the same id.
fn ids() -> impl Strategy<Value = Uuid> {
    (1..=2_u128).prop_map(Uuid::from_u128)
}

fn hosts() -> impl Strategy<Value = Host> {
    let kinds = [HostKind::Organization, HostKind::Community];
    (select(kinds.to_vec()), ids()).prop_map(|(kind, id)| Host { kind, id })
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    (0..4_i64).prop_map(|second| DateTime::from_timestamp(second, 0).expect("an instant"))
}

fn charges() -> impl Strategy<Value = Charge> {
    prop_oneof![5 => Just(Charge::Ticket), 1 => Just(Charge::Featured)]
}

fn two_currencies() -> impl Strategy<Value = Currency> {
    let [often, seldom] = ["AUD", "JPY"].map(|code| Currency::parse(code).expect(code));
    prop_oneof![5 => Just(often), 1 => Just(seldom)]
}

/// A value in 80 % of the cases.
fn perhaps<S: Strategy>(of: S) -> impl Strategy<Value = Option<S::Value>> {
    prop::option::weighted(0.8, of)
}

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let scopes = prop_oneof![
        ids().prop_map(Scope::Event),
        hosts().prop_map(Scope::Host),
        ids().prop_map(Scope::City),
        ids().prop_map(Scope::Country),
        Just(Scope::Platform),
    ];
    let span = (instants(), prop::option::of(instants()));
    let rule = (scopes, charges(), two_currencies(), span);
    prop::collection::vec(rule, 0..10).prop_map(|rules| {
        let rules = rules.into_iter().zip(1_u128..);
        rules
            .map(
                |((scope, charge, currency, (valid_from, valid_to)), id)| Rule {
                    // Ids are not in the order of the list.
                    id: Uuid::from_u128(id * 7 % 11),
                    scope,
                    charge,
                    terms: Terms {
                        currency,
                        percentage: BasisPoints::NONE,
                        fixed_cents: 0,
                        min_cents: 0,
                        max_cents: None,
                        paid_by: PaidBy::Organizer,
                        city_share: BasisPoints::NONE,
                    },
                    valid_from,
                    valid_to,
                },
            )
            .collect()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let chain = (
        perhaps(ids()),
        perhaps(hosts()),
        perhaps(ids()),
        perhaps(ids()),
    );
    (some_rules(), chain, charges(), two_currencies(), instants()).prop_map(
        |(rules, (event, host, city, country), charge, currency, at)| Case {
            rules,
            chain: Chain {
                event,
                host,
                city,
                country,
            },
            charge,
            currency,
            at,
        },
    )
}

/// The rank of a rule's scope: 0 for the event up to 4 for the platform. None: the rule does not apply to the
/// purchase.
fn rank(case: &Case, rule: &Rule) -> Option<u8> {
    let Chain {
        event,
        host,
        city,
        country,
    } = case.chain;
    let in_force = case.at >= rule.valid_from && rule.valid_to.is_none_or(|end| end > case.at);
    if rule.charge != case.charge || rule.terms.currency != case.currency || !in_force {
        return None;
    }
    match rule.scope {
        Scope::Event(id) if event == Some(id) => Some(0),
        Scope::Host(of) if host == Some(of) => Some(1),
        Scope::City(id) if city == Some(id) => Some(2),
        Scope::Country(id) if country == Some(id) => Some(3),
        Scope::Platform => Some(4),
        _ => None,
    }
}

fn expected(case: &Case) -> Result<Uuid, Unresolved> {
    let ranked = |rule: &Rule| rank(case, rule).map(|rank| (rank, rule.id));
    let mut ranked: Vec<(u8, Uuid)> = case.rules.iter().filter_map(ranked).collect();
    ranked.sort_unstable();
    match ranked.as_slice() {
        [] => Err(Unresolved::NoRule(case.currency)),
        [(nearest, id), (next, other), ..] if nearest == next => {
            Err(Unresolved::Ambiguous(*id, *other))
        }
        [(_, id), ..] => Ok(*id),
    }
}

fn found(case: &Case) -> Result<Uuid, Unresolved> {
    resolve(
        &case.rules,
        &case.chain,
        case.charge,
        case.currency,
        case.at,
    )
    .map(|rule| rule.id)
}

/// The result is the same as by ranking, whatever the order of the rules.
fn is_resolved(case: Case, find: impl Fn(&Case) -> Result<Uuid, Unresolved>) -> Verdict {
    let expected = expected(&case);
    prop_assert_eq!(find(&case), expected);
    let mut turned = case;
    turned.rules.reverse();
    prop_assert_eq!(find(&turned), expected);
    Ok(())
}

#[test]
fn t12_the_nearest_rule_counts() {
    let (one, none, several) = (Cell::new(0), Cell::new(0), Cell::new(0));
    holds(&cases(), |case| {
        let kind = match expected(&case) {
            Ok(_) => &one,
            Err(Unresolved::NoRule(_)) => &none,
            Err(Unresolved::Ambiguous(..)) => &several,
        };
        kind.set(kind.get() + 1);
        is_resolved(case, found)
    });
    let counts = [one.get(), none.get(), several.get()];
    assert!(counts.into_iter().all(|cases| cases > 100), "{counts:?}");
}

#[test]
fn t12_controls_of_rules() {
    // Bug: the end of the validity is inclusive.
    is_refuted(&cases(), |case| {
        is_resolved(case, |case| {
            let mut longer = case.clone();
            for rule in &mut longer.rules {
                rule.valid_to = rule
                    .valid_to
                    .map(|end| end + chrono::TimeDelta::nanoseconds(1));
            }
            found(&longer)
        })
    });
    // Bug: the first matching rule is taken although there are two.
    is_refuted(&cases(), |case| {
        is_resolved(case, |case| {
            let ranked = case.rules.iter().filter(|rule| rank(case, rule).is_some());
            let nearest = ranked.min_by_key(|rule| rank(case, rule));
            let nearest = nearest.map(|rule| rule.id);
            nearest.ok_or(Unresolved::NoRule(case.currency))
        })
    });
    // Bug: a host is identified by its id only, without its kind.
    is_refuted(&cases(), |case| {
        is_resolved(case, |case| {
            let kind = HostKind::Organization;
            let mut mixed = case.clone();
            if let Some(host) = &mut mixed.chain.host {
                host.kind = kind;
            }
            for rule in &mut mixed.rules {
                if let Scope::Host(host) = &mut rule.scope {
                    host.kind = kind;
                }
            }
            found(&mixed)
        })
    });
    // Bug: the city's rule precedes the host's.
    is_refuted(&cases(), |case| {
        is_resolved(case, |case| {
            let mut without = case.clone();
            without.chain.host = None;
            let city = without.rules.iter().any(|rule| rank(case, rule) == Some(2));
            found(if city { &without } else { case })
        })
    });
}
