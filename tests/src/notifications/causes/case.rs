//! A case of the table: causes a message as in real use, and compares the result with what the case expects. Knows no
//! particular cause.

use super::{ends, world::World};
use crate::support::resources;
use futures_util::future::LocalBoxFuture;
use generated::messages::MESSAGES;
use kernel::messages::{Message, Piece};
use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

pub struct Case {
    pub message: &'static str,
    pub run: for<'a> fn(&'a World) -> LocalBoxFuture<'a, Told>,
}

/// Lists `message: function` for each way in which a message is caused.
macro_rules! cases {
    ($($message:ident: $case:ident),+ $(,)?) => {
        pub const CASES: &[Case] = &[
            $(Case { message: stringify!($message), run: |world| Box::pin($case(world)) }),+
        ];
    };
}
pub(super) use cases;

/// The expected result of a case.
pub struct Told {
    /// The member who caused it. They are not notified, unless they are in `to`.
    pub by: Uuid,
    /// The members who must be notified of this object; nobody else may be.
    pub to: Vec<Uuid>,
    /// The expected title in English.
    pub title: String,
    /// A part of the expected text, with a value that depends on the case.
    pub says: String,
    /// The object that the app opens: its entity and its id.
    pub leads_to: (&'static str, String),
}

/// Messages whose object can't be opened any more when they are read, with the reason.
const GONE: [(&str, &str); 2] = [
    ("role_ended", "whoever held it reads no role that ended"),
    (
        "event_withheld",
        "guests don't see an event while it is suspended",
    ),
];

impl Case {
    pub async fn holds(&self, world: &World) {
        println!("{}", self.message);
        let before = world.told().await;
        let told = (self.run)(world).await;
        world.stage.server.settled().await;
        let message = message(self.message);
        let rows = rows(world, message, &before, &told.leads_to).await;
        let mut who: Vec<Uuid> = rows.iter().map(|row| row.user).collect();
        let mut to = told.to.clone();
        who.sort();
        to.sort();
        assert_eq!(who, to, "{}: the notified members", message.name);
        assert!(!to.is_empty(), "{}: no recipient is expected", message.name);
        let mut others = vec![world.bystander.id, told.by];
        others.retain(|other| !to.contains(other));
        for other in others {
            let heard = count(world, message, &before, other).await;
            assert_eq!(heard, 0, "{}: {other} is notified", message.name);
        }
        for row in &rows {
            self.reads(world, row, &told).await;
        }
        ends::hold(world, self.message, rows[0].id).await;
    }

    /// Asserts that the recipient sees the message in the app with complete sentences, and can open its object.
    async fn reads(&self, world: &World, row: &Sent, told: &Told) {
        let name = self.message;
        let reader = world.stage.server.sign_in(row.user).await.client;
        let read = reader.get(&format!("/notifications/{}", row.id)).await;
        let read = read.expect(200).json;
        let (title, text) = (said(&read, "title"), said(&read, "message"));
        let wording = message(name).wording(&row.locale);
        assert!(fits(wording.title, title), "{name}: {title}");
        assert!(fits(wording.text, text), "{name}: {text}");
        for leftover in ["{{", "}}", "null", "None"] {
            assert!(!text.contains(leftover), "{name}: {text}");
        }
        if wording.locale == "en" {
            assert_eq!(title, told.title, "{name}");
            assert!(text.contains(&told.says), "{name}: {text}");
        }
        for (key, id) in read["data"].as_object().expect("an object") {
            let is_known = key == "message" || resources().contains_key(key.as_str());
            assert!(is_known && id.is_string(), "{name}: {key}");
        }
        let (entity, id) = &told.leads_to;
        let path = format!("/{}/{id}", resources()[entity].path);
        let is_gone = GONE.iter().any(|(gone, _)| *gone == name);
        let opened = reader.get(&path).await;
        opened.expect(if is_gone { 404 } else { 200 });
    }
}

fn message(name: &str) -> &'static Message {
    let mut all = MESSAGES.iter();
    let found = all.find(|message| message.name == name);
    found.unwrap_or_else(|| panic!("no message `{name}`"))
}

fn said<'a>(read: &'a Value, field: &str) -> &'a str {
    read[field].as_str().expect("a text")
}

struct Sent {
    id: Uuid,
    user: Uuid,
    locale: String,
}

/// New notifications with this message about this object.
async fn rows(world: &World, message: &Message, before: &[Uuid], to: &(&str, String)) -> Vec<Sent> {
    let rows = sqlx::query(
        "select n.id, n.user_id, u.locale from app.notifications n join app.users u on u.id = n.user_id
         where n.id <> all($1) and n.type = $2 and n.data ->> 'message' = $3 and n.data ->> $4 = $5 and n.in_app",
    )
    .bind(before)
    .bind(message.ty)
    .bind(message.name)
    .bind(to.0)
    .bind(&to.1)
    .fetch_all(&mut world.stage.server.superuser().await)
    .await
    .expect("notifications");
    let sent = rows.iter().map(|row| Sent {
        id: row.get("id"),
        user: row.get("user_id"),
        locale: row.get("locale"),
    });
    sent.collect()
}

/// How many times a member has got this message.
async fn count(world: &World, message: &Message, before: &[Uuid], member: Uuid) -> i64 {
    sqlx::query_scalar(
        "select count(*) from app.notifications where id <> all($1) and user_id = $2 and data ->> 'message' = $3",
    )
    .bind(before)
    .bind(member)
    .bind(message.name)
    .fetch_one(&mut world.stage.server.superuser().await)
    .await
    .expect("a count")
}

/// Whether the text consists of these pieces, with any text in place of each value.
pub fn fits(pieces: &[Piece], text: &str) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Text(part), rest @ ..] => {
            let left = text.strip_prefix(*part);
            left.is_some_and(|left| fits(rest, left))
        }
        [Piece::Value(_), rest @ ..] => {
            let ends = text.char_indices().skip(1).map(|(at, _)| at);
            let mut ends = ends.chain((!text.is_empty()).then_some(text.len()));
            ends.any(|end| fits(rest, &text[end..]))
        }
    }
}
