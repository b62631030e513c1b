//! Could a rule ever hold for this actor, whatever the row?
//!
//! Three-valued, because a rule that can never hold holds always when negated. Says `never` only when
//! that is certain; the database remains the one that decides.

use super::Rule;
use crate::actor::{Actor, Facts};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Possible {
    Never,
    Maybe,
    Always,
}

use Possible::{Always, Maybe, Never};

/// Without facts (roles not read yet) a role is possible for everyone who is signed in.
pub fn possible(rule: &Rule, actor: &Actor, facts: Option<&Facts>) -> Possible {
    let signed_in = actor.user().is_some();
    let if_signed_in = if signed_in { Maybe } else { Never };
    let of = |rule: &Rule| possible(rule, actor, facts);
    match rule {
        Rule::Anyone => Always,
        Rule::Nobody => Never,
        Rule::SignedIn => certain(signed_in),
        Rule::All(rules) => rules.iter().map(of).min().unwrap_or(Always),
        Rule::Any(rules) => rules.iter().map(of).max().unwrap_or(Never),
        // `not` of something unknown is unknown: a comparison with null is neither true nor false
        Rule::Not(rule) => match of(rule) {
            Never => Maybe,
            Maybe => Maybe,
            Always => Never,
        },
        Rule::Ref(rule) | Rule::Readable(rule) => of(rule),
        Rule::MeIs(_) | Rule::In(..) | Rule::Outranks(_) => if_signed_in,
        Rule::Holds(role) => match (signed_in, facts) {
            (false, _) => Never,
            (true, None) => Maybe,
            (true, Some(facts)) => certain(facts.holds(role)),
        },
        Rule::HoldsOf(role, _) => match (signed_in, facts) {
            (true, None) => Maybe,
            (true, Some(facts)) if facts.holds_somewhere(role) => Maybe,
            _ => Never,
        },
        Rule::Of(related) => {
            let best = related
                .targets
                .iter()
                .map(|(_, rule)| rule.map_or(Maybe, of))
                .max();
            best.unwrap_or(Never).min(Maybe)
        }
        Rule::Compare(..) | Rule::OneOf(..) | Rule::IsNull(_) | Rule::Flag(_) => Maybe,
    }
}

fn certain(holds: bool) -> Possible {
    if holds { Always } else { Never }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actor::Held,
        rule::{Of, Op, Value},
    };
    use uuid::Uuid;

    static ADMIN: Rule = Rule::Holds("platformAdmin");
    static HOST: Rule = Rule::HoldsOf("orgAdmin", "organization_id");
    static HOST_OF_EVENT: Of = Of {
        column: "event_id",
        type_column: None,
        targets: &[("event", Some(&HOST))],
    };
    static READABLE: Of = Of {
        column: "event_id",
        type_column: None,
        targets: &[("event", None)],
    };
    static READABLE_BY_HOSTS: Of = Of {
        column: "event_id",
        type_column: None,
        targets: &[("event", Some(&Rule::Readable(&HOST)))],
    };
    static DRAFT: Rule = Rule::Compare(Value::Column("state"), Op::Eq, Value::Text("draft"));

    const ME: Actor = Actor::User {
        id: Uuid::from_u128(1),
        session: None,
    };

    fn facts(role: &str, held: Held) -> Facts {
        Facts {
            user: ME.user(),
            roles: [(role.to_owned(), held)].into(),
        }
    }

    #[test]
    fn nobody_signed_in_means_no_roles() {
        for rule in [
            &ADMIN,
            &HOST,
            &Rule::SignedIn,
            &Rule::MeIs("user_id"),
            &Rule::In("id", "my_communities"),
        ] {
            assert_eq!(possible(rule, &Actor::Anonymous, None), Never, "{rule:?}");
            assert_ne!(possible(rule, &ME, None), Never, "{rule:?}");
        }
        assert_eq!(
            possible(&Rule::Of(&HOST_OF_EVENT), &Actor::Anonymous, None),
            Never
        );
        assert_eq!(
            possible(&Rule::Of(&READABLE), &Actor::Anonymous, None),
            Maybe
        );
        assert_eq!(
            possible(&Rule::Of(&READABLE_BY_HOSTS), &Actor::Anonymous, None),
            Never
        );
        assert_eq!(possible(&Rule::Of(&READABLE_BY_HOSTS), &ME, None), Maybe);
    }

    #[test]
    fn facts_decide_roles() {
        let none = Facts::default();
        let admin = facts("platformAdmin", Held::Everywhere(true));
        let host = facts("orgAdmin", Held::Of([Uuid::from_u128(9)].into()));
        assert_eq!(possible(&ADMIN, &ME, Some(&none)), Never);
        assert_eq!(possible(&ADMIN, &ME, Some(&admin)), Always);
        assert_eq!(possible(&HOST, &ME, Some(&none)), Never);
        assert_eq!(possible(&HOST, &ME, Some(&host)), Maybe);
        assert_eq!(possible(&Rule::Of(&HOST_OF_EVENT), &ME, Some(&none)), Never);
        assert_eq!(possible(&Rule::Of(&HOST_OF_EVENT), &ME, Some(&host)), Maybe);
    }

    #[test]
    fn logic_is_three_valued() {
        static BOTH: Rule = Rule::All(&[Rule::Ref(&DRAFT), Rule::Ref(&ADMIN)]);
        static EITHER: Rule = Rule::Any(&[Rule::Ref(&DRAFT), Rule::Ref(&ADMIN)]);
        let admin = facts("platformAdmin", Held::Everywhere(true));
        assert_eq!(possible(&BOTH, &Actor::Anonymous, None), Never);
        assert_eq!(possible(&BOTH, &ME, Some(&admin)), Maybe);
        assert_eq!(possible(&EITHER, &Actor::Anonymous, None), Maybe);
        assert_eq!(possible(&EITHER, &ME, Some(&admin)), Always);
        assert_eq!(possible(&Rule::Not(&Rule::Anyone), &ME, None), Never);
        assert_eq!(possible(&Rule::Not(&ADMIN), &ME, Some(&admin)), Never);
        assert_eq!(possible(&Rule::Not(&DRAFT), &ME, None), Maybe);
    }
}
