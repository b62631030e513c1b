//! What the derives do, seen from outside: bodies in, values and faults out.

use chrono::{DateTime, Utc};
use kernel::input::{Choice as _, Input as _, Invalid, Mode, Patch};
use kernel::value::Point;
use macros::{Choice, Entity, Input};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
enum Category {
    Concert,
    OpenAir,
    #[choice(rename = "AU")]
    Au,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Input)]
#[input(object)]
struct Links {
    #[input(format = "https")]
    #[serde(skip_serializing_if = "Option::is_none")]
    website: Option<String>,
}

#[derive(Debug, Clone, Entity)]
#[expect(dead_code, reason = "what is asked is how its columns are written")]
struct Event {
    id: Uuid,
    r#type: Category,
    #[entity(private)]
    door_code: Option<String>,
    place: Option<Point>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Input)]
#[input(create)]
struct CreateEvent {
    #[input(length(1, 20))]
    title: String,
    #[input(default = Category::OpenAir)]
    r#type: Category,
    #[input(default = 5, range(1, _))]
    seats: i64,
    #[input(default = "EUR", format = "currency")]
    currency: Option<String>,
    host_type: Option<Category>,
    #[input(with = "host_type")]
    host_id: Option<Uuid>,
    links: Option<Links>,
    #[input(list(5, 2), default)]
    tags: Vec<String>,
}

#[derive(Debug, Clone, Input)]
#[input(update)]
struct UpdateEvent {
    #[input(required, length(1, 20))]
    title: Patch<String>,
    #[input(default = 5)]
    seats: Patch<i32>,
    #[input(optional)]
    capacity: Patch<i32>,
    #[input(keep, optional)]
    door_code: Patch<String>,
}

fn create(body: &str) -> Result<CreateEvent, Invalid> {
    CreateEvent::from_json(body.as_bytes(), Mode::Create)
}

fn faults(invalid: Invalid) -> Vec<String> {
    match invalid {
        Invalid::Fields(errors) => errors
            .iter()
            .map(|e| format!("{} {}", e.pointer, e.code))
            .collect(),
        Invalid::Syntax(why) => vec![why],
    }
}

#[test]
fn a_small_body_takes_the_defaults() {
    let event = create(r#"{"title":"Night"}"#).unwrap();
    assert_eq!(
        (event.title.as_str(), event.r#type, event.seats),
        ("Night", Category::OpenAir, 5)
    );
    assert_eq!(event.currency.as_deref(), Some("EUR"));
    assert_eq!(event.given(), ["title"]);
    let event = create(r#"{"title":"Night","type":"AU","currency":null,"tags":["a"]}"#).unwrap();
    assert_eq!(
        (event.r#type, event.currency.as_deref()),
        (Category::Au, None)
    );
    assert_eq!(event.given(), ["title", "type", "currency", "tags"]);
}

#[test]
fn every_fault_is_found() {
    let body = r#"{"title":"","type":"au","seats":0,"currency":"eu","host_id":"x","links":{"website":"ftp://x.org","x":1},
                   "tags":["abcdef"],"id":1}"#;
    let expected = [
        "/host_type required",
        "/title length",
        "/type choice",
        "/seats range",
        "/currency format",
        "/host_id format",
        "/links/website format",
        "/links/x unknown",
        "/tags/0 length",
        "/id unknown",
    ];
    assert_eq!(faults(create(body).unwrap_err()), expected);
}

#[test]
fn put_replaces_and_patch_merges() {
    let put = UpdateEvent::from_json(br#"{"title":"x"}"#, Mode::Replace).unwrap();
    assert_eq!(
        (put.seats, put.capacity, put.door_code),
        (Patch::Value(5), Patch::Null, Patch::Absent)
    );
    assert_eq!(
        faults(UpdateEvent::from_json(b"{}", Mode::Replace).unwrap_err()),
        ["/title required"]
    );

    let patch =
        UpdateEvent::from_json(br#"{"capacity":null,"door_code":null}"#, Mode::Merge).unwrap();
    assert_eq!(patch.given(), ["capacity", "door_code"]);
    assert_eq!(
        (patch.title, patch.capacity, patch.door_code),
        (Patch::Absent, Patch::Null, Patch::Null)
    );
    assert_eq!(
        faults(UpdateEvent::from_json(br#"{"seats":null}"#, Mode::Merge).unwrap_err()),
        ["/seats null"]
    );
}

#[test]
fn bodies_are_bound_and_known_to_hooks_by_their_type() {
    let mut input = CreateEvent::decode(br#"{"title":"Night"}"#, Mode::Create).unwrap();
    let mut arguments = kernel::private::PgArguments::default();
    input.bind(&mut arguments).unwrap();
    assert_eq!(kernel::private::sqlx::Arguments::len(&arguments), 8);
    kernel::input::typed::<CreateEvent>(&mut *input).title = "Day".into();
    assert_eq!(
        kernel::input::typed::<CreateEvent>(&mut *input).title,
        "Day"
    );

    let input = UpdateEvent::decode(b"{}", Mode::Merge).unwrap();
    let mut arguments = kernel::private::PgArguments::default();
    input.bind(&mut arguments).unwrap();
    assert_eq!(kernel::private::sqlx::Arguments::len(&arguments), 8);
}

#[test]
fn words_are_the_same_everywhere() {
    assert_eq!(Category::WORDS, ["concert", "open_air", "AU"]);
    for category in Category::ALL {
        assert_eq!(category.to_string().parse(), Ok(*category));
    }
    assert!("Concert".parse::<Category>().is_err());
}

/// How somebody wants to come.
#[derive(Debug, Input)]
#[input(body, example = r#"{"email": "ana@example.org", "category": "AU"}"#, check = Wish::alone_or_many)]
struct Wish {
    #[input(length(3, 20), format = "email")]
    email: String,
    /// In all
    #[input(range(1, 10), default = 1)]
    people: i32,
    category: Option<Category>,
}

impl Wish {
    fn alone_or_many(&self, body: &mut kernel::input::Body) {
        if self.people == 2 {
            body.refuse("people", "range", "must not be a pair");
        }
    }
}

/// The same lines check a body and describe it.
#[test]
fn a_body_is_checked_and_described_by_the_same_lines() {
    let read = |text: &str| -> Result<Wish, Vec<(String, &'static str)>> {
        let mut body = kernel::input::Body::parse(text.as_bytes(), Mode::Create).unwrap();
        let input = <Wish as kernel::input::Posted>::from_body(&mut body);
        body.finish(input).map_err(|invalid| match invalid {
            Invalid::Fields(faults) => faults.into_iter().map(|f| (f.pointer, f.code)).collect(),
            Invalid::Syntax(why) => panic!("{why}"),
        })
    };
    let wish = read(r#"{"email": "a@b.test"}"#).unwrap();
    assert_eq!(
        (wish.email.as_str(), wish.people, wish.category),
        ("a@b.test", 1, None)
    );
    let faults = read(r#"{"email": "x", "people": 11, "role": "admin"}"#).unwrap_err();
    let told: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(told, ["/email", "/people", "/role"]);
    let pair = read(r#"{"email": "a@b.test", "people": 2}"#).unwrap_err();
    assert_eq!(pair, [("/people".to_owned(), "range")]);

    let schema = serde_json::to_value(<Wish as kernel::private::PartialSchema>::schema()).unwrap();
    assert_eq!(schema["description"], "How somebody wants to come.");
    assert_eq!(schema["required"], serde_json::json!(["email"]));
    assert_eq!(schema["additionalProperties"], false);
    let properties = &schema["properties"];
    assert_eq!(properties["email"]["maxLength"], 20);
    assert_eq!(properties["email"]["format"], "email");
    assert_eq!(properties["people"]["minimum"], 1);
    assert_eq!(properties["people"]["description"], "In all");
    assert_eq!(
        properties["category"]["type"],
        serde_json::json!(["string", "null"])
    );
    assert_eq!(properties["category"]["enum"][2], "AU");
    assert_eq!(schema["example"]["category"], "AU");
}
