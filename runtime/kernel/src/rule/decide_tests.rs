//! A small world: one event, one organization, one caller.

use super::*;
use crate::{actor::Held, rule::Of};
use serde_json::json;

struct Small {
    me: Option<Uuid>,
    facts: Facts,
    event: Row,
    set: Vec<Uuid>,
    roles: Vec<Row>,
}

impl World for Small {
    fn me(&self) -> Option<Uuid> {
        self.me
    }
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn now(&self) -> DateTime<Utc> {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }
    fn set(&self, _: &str) -> Vec<Uuid> {
        self.set.clone()
    }
    fn held(&self, person: Uuid, scope: Option<Uuid>) -> Vec<&Row> {
        let fits = |row: &&Row| {
            id(row, "user_id") == Some(person)
                && scope.is_none_or(|scope| id(row, "scope_id") == Some(scope))
        };
        self.roles.iter().filter(fits).collect()
    }
    fn readable(&self, entity: &str, id: Uuid) -> Option<&Row> {
        (entity == "event" && id == Uuid::from_u128(5)).then_some(&self.event)
    }
}

fn row(value: Json) -> Row {
    value.as_object().unwrap().clone()
}

fn world() -> Small {
    let facts = Facts {
        user: Some(Uuid::from_u128(1)),
        roles: [("orgAdmin".to_owned(), Held::Of([Uuid::from_u128(8)].into()))].into(),
    };
    let event = row(json!({"organization_id": Uuid::from_u128(8), "state": "published"}));
    Small {
        me: facts.user,
        facts,
        event,
        set: vec![],
        roles: vec![],
    }
}

static HOST: Rule = Rule::HoldsOf("orgAdmin", "organization_id");
static FREE: Rule = Rule::Compare(
    Value::Sub(&Value::Column("capacity"), &Value::Column("taken")),
    Op::Gt,
    Value::Int(0),
);

#[test]
fn null_is_unknown_and_holds_when_negated() {
    let world = world();
    let full = row(json!({"capacity": 3, "taken": 3}));
    let free = row(json!({"capacity": 3, "taken": 2}));
    let unknown = row(json!({"capacity": null, "taken": 2}));
    assert!(decide(&FREE, &free, &world) && !decide(&FREE, &full, &world));
    assert!(!decide(&FREE, &unknown, &world));
    assert!(decide(&Rule::Not(&FREE), &full, &world));
    assert!(decide(&Rule::Not(&FREE), &unknown, &world));
    assert!(decide(
        &Rule::IsNull(Value::Column("capacity")),
        &unknown,
        &world
    ));
    // unknown or true is true; unknown and false is false
    static OR: Rule = Rule::Any(&[Rule::Ref(&FREE), Rule::Anyone]);
    static AND: Rule = Rule::All(&[Rule::Ref(&FREE), Rule::Nobody]);
    assert!(decide(&OR, &unknown, &world) && decide(&Rule::Not(&AND), &unknown, &world));
}

#[test]
fn membership_of_null_is_unknown_unless_there_are_no_members() {
    let mut world = world();
    let nowhere = row(json!({"organization_id": null, "id": null}));
    assert!(!decide(&HOST, &nowhere, &world) && decide(&Rule::Not(&HOST), &nowhere, &world));
    world.facts.roles.clear();
    assert!(decide(&Rule::Not(&HOST), &nowhere, &world));
    static MINE: Rule = Rule::In("id", "my_communities");
    assert!(decide(&Rule::Not(&MINE), &nowhere, &world));
    world.set.push(Uuid::from_u128(3));
    assert!(!decide(&MINE, &nowhere, &world) && decide(&Rule::Not(&MINE), &nowhere, &world));
    assert!(decide(
        &MINE,
        &row(json!({"id": Uuid::from_u128(3)})),
        &world
    ));
}

#[test]
fn me_is_nobody_when_nobody_is_signed_in() {
    let mut world = world();
    let mine = row(json!({"user_id": Uuid::from_u128(1)}));
    static ME: Rule = Rule::MeIs("user_id");
    assert!(decide(&ME, &mine, &world));
    world.me = None;
    assert!(!decide(&ME, &mine, &world) && decide(&Rule::Not(&ME), &mine, &world));
}

#[test]
fn of_needs_the_other_row_to_be_readable() {
    let world = world();
    static RELATED: Of = Of {
        column: "entity_id",
        type_column: Some("entity_type"),
        targets: &[("event", Some(&HOST)), ("venue", None)],
    };
    let of = Rule::Of(&RELATED);
    let like =
        |kind: &str, id: u128| row(json!({"entity_type": kind, "entity_id": Uuid::from_u128(id)}));
    assert!(decide(&of, &like("event", 5), &world));
    assert!(!decide(&of, &like("event", 6), &world));
    assert!(
        !decide(&of, &like("venue", 5), &world),
        "a venue with that id is not readable"
    );
    assert!(!decide(&of, &like("community", 5), &world));
}

#[test]
fn times_compare_as_times() {
    let world = world();
    static FUTURE: Rule = Rule::Compare(Value::Column("starts_at"), Op::Gt, Value::Now);
    assert!(decide(
        &FUTURE,
        &row(json!({"starts_at": "2026-05-01T15:00:00+02:00"})),
        &world
    ));
    assert!(!decide(
        &FUTURE,
        &row(json!({"starts_at": "2026-05-01T13:00:00+02:00"})),
        &world
    ));
    static STATE: Rule = Rule::OneOf(Value::Column("state"), &[Value::Text("draft"), Value::Null]);
    assert!(decide(&STATE, &row(json!({"state": "draft"})), &world));
    let published = row(json!({"state": "published"}));
    assert!(!decide(&STATE, &published, &world), "null in the list");
    assert!(decide(&Rule::Not(&STATE), &published, &world));
}

#[test]
fn one_outranks_whom_one_could_have_given_every_role() {
    static GRANT: Rule = Rule::HoldsOf("orgAdmin", "scope_id");
    static ALL: Rule = Rule::Outranks(&crate::rule::Outranked {
        column: "id",
        of: None,
        grant: &GRANT,
    });
    static HERE: Rule = Rule::Outranks(&crate::rule::Outranked {
        column: "id",
        of: Some("organization_id"),
        grant: &GRANT,
    });
    let mut world = world();
    let role = |user: u128, scope: u128| {
        row(json!({"user_id": Uuid::from_u128(user), "scope_id": Uuid::from_u128(scope)}))
    };
    world.roles = vec![role(2, 8), role(3, 8), role(3, 9), role(1, 8)];
    let person =
        |id: u128| row(json!({"id": Uuid::from_u128(id), "organization_id": Uuid::from_u128(8)}));
    for (id, all, here) in [
        (4, true, true),
        (2, true, true),
        // Holds one that the caller could not give, but not of this organization.
        (3, false, true),
        // Nobody outranks themselves.
        (1, false, false),
    ] {
        let decided = [
            decide(&ALL, &person(id), &world),
            decide(&HERE, &person(id), &world),
        ];
        assert_eq!(decided, [all, here], "{id}");
    }
    world.me = None;
    assert!(!decide(&ALL, &person(4), &world));
}
