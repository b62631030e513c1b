//! What a list accepts in its query string, and how it answers everything else.

use super::*;
use crate::{
    error::Error,
    resource::{Lifecycle, Rules, Sql},
    rule::Rule,
};

static RULE: Rule = Rule::Anyone;

static THING: Resource = Resource {
    name: "thing",
    plural: "things",
    path: "things",
    lifecycle: Lifecycle::SoftDelete,
    guarded: false,
    created_unseen: false,
    hides: false,
    acts: false,
    page: 20,
    sql: Sql {
        list: "select",
        ..Sql::NONE
    },
    rules: Rules {
        read: &RULE,
        create: &RULE,
        update: &RULE,
        delete: &RULE,
        restore: &RULE,
        suspend: &RULE,
    },
    filters: &[
        Filter::new("city_id", "t.city_id", Kind::Uuid).nullable("t.city_id"),
        Filter::new("name", "t.name", Kind::Text),
        Filter::new("state", "t.state", Kind::Enum(&["draft", "published"])),
        Filter::new("kinds", "t.kind", Kind::Set(&["event", "venue", "member"])),
        Filter::new("starts_at", "t.starts_at", Kind::Time),
        Filter::new("free", "t.free", Kind::Bool),
        Filter::new("q", "app.things_search", Kind::Search),
        Filter::new("location", "app.things_public", Kind::Point).nullable("t.location"),
    ],
    within: &["t.city_id"],
    public_to_all: true,
    sorts: &[Sort::new("starts_at", "t.starts_at", Kind::Time)],
    expands: &[
        Expand::to("city", "city_id", &["city"]),
        Expand::to("host", "host_id", &["organization"]),
        Expand::to("maker", "maker_id", &["user"]).hidden(),
    ],
    children: &[],
    together: &[],
    transitions: &[],
    constraints: &[],
    encode: |_, _| Ok(()),
    create: None,
    update: None,
    fixed: &[],
    moving: &[],
    hooks: &[],
};

fn read(text: &str) -> Result<Query> {
    Query::read(&THING, text)
}

fn errors(error: Error) -> Vec<(String, &'static str)> {
    assert_eq!(error.status(), 422);
    let items = error.problem().errors.iter();
    items
        .map(|item| (item.parameter.clone().unwrap().into_owned(), item.code))
        .collect()
}

#[test]
fn nothing_asked_is_the_first_page() {
    let query = read("").unwrap();
    assert_eq!(
        (
            query.limit,
            query.count,
            query.cursor.is_none(),
            matches!(query.order, Order::Id(Direction::Descending))
        ),
        (20, false, true, true)
    );
    assert!(query.conditions.is_empty() && query.expand.is_empty());
}

#[test]
fn filters_become_typed_conditions() {
    let query = read(
        "city_id=0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e&state.in=draft,published&starts_at.gte=2026-05-01T18:00:00Z\
         &free=true&q=jazz+night&near=47.3769,8.5417&radius_m=800&limit=5&sort=-starts_at&count=exact&expand=city,host",
    )
    .unwrap();
    assert_eq!(query.conditions.len(), 6);
    assert_eq!(
        query.conditions[5],
        Condition::Near(Near {
            places: Places {
                column: "location",
                own: "app.things_public",
                beside: "",
            },
            lat: 47.3769,
            lng: 8.5417,
            radius_m: 800
        })
    );
    assert_eq!(query.limit, 5);
    assert!(query.count && query.expand.len() == 2);
    assert_eq!(query.order.direction(), Direction::Descending);
    assert_eq!(
        query.given.len(),
        7,
        "what a cursor is bound to: filters only"
    );
}

#[test]
fn an_order_is_asked_for_or_follows_from_the_place() {
    let order = |text: &str| read(text).unwrap().order.name().into_owned();
    for (text, name) in [
        ("", ""),
        ("sort=-id", ""),
        ("sort=id", "id"),
        ("sort=-starts_at", "-starts_at"),
        ("near=1,2", "near"),
        ("near=1,2&sort=id", "id"),
        ("sort=starts_at&near=1,2", "starts_at"),
    ] {
        assert_eq!(order(text), name, "{text}");
    }
    for none in ["sort=created_at", "sort=-updated_at", "sort=near", "sort="] {
        assert_eq!(
            errors(read(none).unwrap_err()),
            [("sort".to_owned(), "choice")],
            "{none}"
        );
    }
}

#[test]
fn the_order_of_filters_does_not_matter_to_a_cursor() {
    assert_eq!(
        read("free=true&q=x&limit=3").unwrap().given,
        read("q=x&limit=4&free=true").unwrap().given
    );
}

#[test]
fn every_mistake_is_named() {
    let text = "limit=0&sort=title&city_id=1&state=Draft&starts_at.like=x&unknown=1&free.in=true&expand=city,owner&count=1";
    let all = errors(read(text).unwrap_err());
    let expected = [
        ("limit", "range"),
        ("sort", "choice"),
        ("city_id", "format"),
        ("state", "choice"),
        ("starts_at.like", "unknown"),
        ("unknown", "unknown"),
        ("free.in", "unknown"),
        ("expand", "choice"),
        ("count", "choice"),
    ];
    assert_eq!(all, expected.map(|(name, code)| (name.to_owned(), code)));
}

#[test]
fn a_parameter_counts_once() {
    assert_eq!(
        errors(read("free=true&free=false").unwrap_err()),
        [("free".to_owned(), "repeated")]
    );
}

#[test]
fn extremes_are_refused() {
    for text in [
        "limit=1000000000",
        "limit=-1",
        "limit=ten",
        "offset=20",
        "q=",
        "q=%00",
        "near=91,0",
        "near=1,2,3",
        "near=NaN,0",
        "radius_m=5",
        "near=0,0&radius_m=100001",
        "bbox=1,2,3",
        "bbox=0,50,1,40",
        "bbox=1e1,0,20,1",
        "location=1",
        "cursor=",
        "expand=",
        "expand=maker",
        "state.in=",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(read(&format!("q={}", "a".repeat(201))).is_err());
    assert!(read(&format!("state.in={}", vec!["draft"; 101].join(","))).is_err());
    assert!(read("bbox=170,-20,-170,20").is_ok(), "over the date line");
}

#[test]
fn a_list_goes_on_where_its_parameter_is_given_again() {
    let names = |text: &str| match read(text).unwrap().conditions.pop() {
        Some(Condition::In { values, .. }) => values.iter().map(Value::text).collect::<Vec<_>>(),
        other => panic!("{text}: {other:?}"),
    };
    for (text, expected) in [
        ("name.in=a,b", vec!["a", "b"]),
        ("name.in=a&name.in=b", vec!["a", "b"]),
        ("name.in=a,b&limit=5&name.in=c", vec!["a", "b", "c"]),
        (
            r"name.in=Bern\,%20Altstadt&name.in=b",
            vec!["Bern, Altstadt", "b"],
        ),
        ("name.in=a,+b%20,%20c", vec!["a", "b", "c"]),
        (r"name.in=a\&name.in=b", vec![r"a\", "b"]),
    ] {
        assert_eq!(names(text), expected, "{text}");
    }
    assert_eq!(
        names(&format!("name.in={}", vec!["a"; 100].join(","))).len(),
        100
    );
    let many = format!("name.in={0}&name.in={0}", vec!["a"; 51].join(","));
    assert_eq!(
        errors(read(&many).unwrap_err()),
        [("name.in".to_owned(), "length")]
    );
    let expanded = |text: &str| {
        let found = read(text).unwrap().expand;
        found.iter().map(|one| one.name).collect::<Vec<_>>()
    };
    for text in [
        "expand=city,host",
        "expand=city&expand=host",
        "expand=city,city&expand=host,city",
        "expand=city,%20host",
    ] {
        assert_eq!(expanded(text), ["city", "host"], "{text}");
    }
    assert_eq!(
        read("name.in=a&name.in=b").unwrap().given,
        read("name.in=a,b").unwrap().given,
        "one cursor for both"
    );
}

#[test]
fn what_is_empty_or_another_can_be_asked_for() {
    let one = |text: &str| read(text).unwrap().conditions.pop();
    let null = |sql, is_null| Some(Condition::Null { sql, is_null });
    assert_eq!(one("city_id.null=true"), null("t.city_id", true));
    assert_eq!(one("location.null=false"), null("t.location", false));
    assert!(matches!(
        one("state.ne=draft"),
        Some(Condition::Not { sql: "t.state", .. })
    ));
    let id = "0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e";
    assert!(matches!(
        one(&format!("id.ne={id}")),
        Some(Condition::Not { sql: "t.id", .. })
    ));
    assert!(matches!(
        one(&format!("id.in={id},{id}")),
        Some(Condition::In { sql: "t.id", .. })
    ));
    assert!(matches!(
        one(&format!("id={id}")),
        Some(Condition::Compare {
            sql: "t.id",
            op: "=",
            ..
        })
    ));
    for (text, code) in [
        ("city_id.null=1", "format"),
        ("city_id.null=", "format"),
        ("state.null=true", "unknown"),
        ("q.null=true", "unknown"),
        ("q.ne=x", "unknown"),
        ("location.ne=1,2", "unknown"),
        ("near.null=true", "unknown"),
        ("id=1", "format"),
        ("id.gt=0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e", "unknown"),
        ("id.in=1", "format"),
        ("state.in=draft,Published", "choice"),
        ("state.ne=", "choice"),
    ] {
        assert_eq!(errors(read(text).unwrap_err())[0].1, code, "{text}");
    }
}

#[test]
fn a_day_is_all_of_its_times() {
    let one = |text: &str| read(text).unwrap().conditions.pop();
    let bound = |text: &str| match one(text) {
        Some(Condition::Compare { op, value, .. }) => (op, value.text()),
        other => panic!("{text}: {other:?}"),
    };
    for (text, op, time) in [
        ("starts_at.gte=2026-11-27", ">=", "2026-11-27T00:00:00Z"),
        ("starts_at.gt=2026-11-27", ">=", "2026-11-28T00:00:00Z"),
        ("starts_at.lt=2026-11-27", "<", "2026-11-27T00:00:00Z"),
        ("starts_at.lte=2026-11-27", "<", "2026-11-28T00:00:00Z"),
        (
            "starts_at.lte=2026-11-27T00:00Z",
            "<=",
            "2026-11-27T00:00:00Z",
        ),
        // A `+` that was not percent-encoded.
        (
            "starts_at=2026-11-27T01:00:00+01:00",
            "=",
            "2026-11-27T00:00:00Z",
        ),
        (
            "starts_at=2026-11-27+01:00:00+01:00",
            "=",
            "2026-11-27T00:00:00Z",
        ),
        (
            "starts_at=2026-11-27T01:00:00%2B01:00",
            "=",
            "2026-11-27T00:00:00Z",
        ),
    ] {
        assert_eq!(bound(text), (op, time.to_owned()), "{text}");
    }
    assert!(matches!(
        one("starts_at=2026-11-27"),
        Some(Condition::On { is_on: true, .. })
    ));
    assert!(matches!(
        one("starts_at.ne=2026-11-27"),
        Some(Condition::On { is_on: false, .. })
    ));
    let error = read("starts_at=2026-11-27T10:00").unwrap_err();
    assert!(
        error.problem().errors[0]
            .detail
            .contains("2026-11-27T10:00Z")
    );
}

#[test]
fn one_object_knows_only_expand() {
    assert_eq!(
        Query::read_expand(&THING, "expand=host").unwrap()[0].name,
        "host"
    );
    assert_eq!(
        errors(Query::read_expand(&THING, "limit=1").unwrap_err()),
        [("limit".to_owned(), "unknown")]
    );
    assert_eq!(
        refuse_any(Some("a=1")).map_err(errors).unwrap_err(),
        [("a".to_owned(), "unknown")]
    );
    assert!(refuse_any(Some("")).is_ok() && refuse_any(None).is_ok());
}

/// Values of a closed set, separated by commas or repeated; anything else is refused.
#[test]
fn several_of_a_set_are_asked_for_in_one_parameter_or_in_more() {
    let kinds = |text: &str| -> Result<String, Vec<(String, &'static str)>> {
        let query = read(text).map_err(errors)?;
        match &query.conditions[..] {
            [Condition::Compare { op: "=", value, .. }] => Ok(value.text()),
            other => panic!("{other:?}"),
        }
    };
    for text in [
        "kinds=venue,event",
        "kinds=venue&kinds=event",
        "kinds=venue%2Cevent",
        "kinds=venue,%20event",
    ] {
        assert_eq!(kinds(text), Ok("venue,event".to_owned()), "{text}");
    }
    for text in [
        "kinds=",
        "kinds=events",
        "kinds=event,",
        "kinds=event,%20",
        "kinds=event&kinds=*",
    ] {
        let refused = vec![("kinds".to_owned(), "choice")];
        assert_eq!(kinds(text), Err(refused), "{text}");
    }
}

#[test]
fn coordinates_may_be_pasted_from_a_map() {
    let near = |text: &str| match read(text).map_err(errors) {
        Ok(mut query) => match query.conditions.pop() {
            Some(Condition::Near(near)) => Ok((near.lat, near.lng)),
            other => panic!("{text}: {other:?}"),
        },
        Err(errors) => Err(errors[0].1),
    };
    for text in [
        "near=-37.8,144.9",
        "near=-37.8,%20144.9",
        "near=+-37.8,144.9+",
        "near=%20-37.8%20,%09144.9",
    ] {
        assert_eq!(near(text), Ok((-37.8, 144.9)), "{text}");
    }
    for (text, code) in [
        ("near=144.9,-37.8", "range"),
        ("near=1,180.1", "range"),
        ("near=-37.8", "format"),
        ("near=-37.8,144.9,", "format"),
        ("near=-37,8,144,9", "format"),
        ("near=1e1,2", "format"),
        ("near=- 1,2", "format"),
        ("near=nan,2", "format"),
    ] {
        assert_eq!(near(text), Err(code), "{text}");
    }
    assert!(read("bbox=144,%20-38,%20146,%20-37").is_ok());
    for (text, code, detail) in [
        ("bbox=144,-38,146,-39", "format", "South"),
        ("bbox=144,-38,181,-37", "range", "West"),
        ("bbox=-38,144,-37,146", "range", "South"),
        ("bbox=144,-38,146", "format", "Use west"),
    ] {
        let error = read(text).unwrap_err();
        let error = &error.problem().errors[0];
        assert_eq!(error.code, code, "{text}");
        assert!(error.detail.starts_with(detail), "{text}: {}", error.detail);
    }
}

#[test]
fn text_in_another_encoding_is_refused() {
    for text in ["q=Z%FCrich", "name.in=a,%E9", "q=%E2%82", "%FC=1"] {
        let found = errors(read(text).unwrap_err());
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].1, "format", "{text}");
    }
    // The character itself, and a percent sign that escapes nothing, are text.
    for text in [
        "q=Z%C3%BCrich",
        "q=%EF%BF%BD",
        "q=100%",
        "q=100%zz%C3%BC",
        "q=a%2",
    ] {
        assert!(read(text).is_ok(), "{text}");
    }
}

/// A list of a hand-written route: it has no statement that could be sorted, counted or filtered otherwise.
#[test]
fn a_list_of_fixed_order_takes_no_sort_count_or_expand() {
    static OWN: Resource = Resource {
        sql: Sql::NONE,
        sorts: &[],
        expands: &[],
        ..THING
    };
    for (text, parameter) in [
        ("sort=id", "sort"),
        ("sort=-id", "sort"),
        ("sort=x", "sort"),
        ("expand=city", "expand"),
        ("count=exact", "count"),
        ("count=x", "count"),
        ("state.in=draft", "state.in"),
        ("state.ne=draft", "state.ne"),
        ("city_id.null=true", "city_id.null"),
        ("id=0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e", "id"),
    ] {
        assert_eq!(
            errors(Query::read(&OWN, text).unwrap_err()),
            [(parameter.to_owned(), "unknown")],
            "{text}"
        );
    }
    assert!(
        Query::read(
            &OWN,
            "state=draft&city_id=0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e"
        )
        .is_ok()
    );
}
