//! What two requests have led to, without what differs between two plays of the same scene: ids are replaced by labels,
//! and times by the word.

use crate::{
    endings::scene::{Named, Scene},
    support::{Answer, model},
};
use chrono::DateTime;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Values that count up over all scenes, or are chosen anew in each.
const LEFT_OUT: [&str; 9] = [
    "position",
    "turn",
    "changed_in",
    "code",
    "url",
    "medium_url",
    "small_url",
    "content_hash",
    "storage_key",
];

#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Status and kind of problem.
    pub answers: Vec<String>,
    /// The entries of the audit log about each request.
    audit: Vec<Vec<String>>,
    /// The rows of the scene by label.
    rows: BTreeMap<String, Value>,
}

impl Outcome {
    pub async fn read(scene: &mut Scene<'_>, answers: &[Answer]) -> Self {
        let names = Names::of(scene);
        let mut audit = Vec::new();
        for answer in answers {
            audit.push(entries(&mut scene.conn, &names, answer).await);
        }
        let rows = stored(&mut scene.conn, scene_rows(&scene.rows), &names).await;
        let told = |answer: &Answer| format!("{} {}", answer.status.as_u16(), answer.problem());
        Self {
            answers: answers.iter().map(told).collect(),
            audit,
            rows,
        }
    }

    /// Whether a request has failed, rather than been refused.
    pub fn has_failed(&self) -> bool {
        self.answers.iter().any(|answer| answer.starts_with('5'))
    }

    /// Whether one of the requests changes anything.
    pub fn is_change(&self) -> bool {
        self.answers.iter().any(|answer| answer.starts_with('2'))
    }

    /// Entries of refused requests.
    pub fn is_falsely_written(&self) -> bool {
        let mut both = self.answers.iter().zip(&self.audit);
        both.any(|(answer, entries)| !answer.starts_with('2') && !entries.is_empty())
    }

    /// What differs from another outcome.
    pub fn against(&self, other: &Self) -> String {
        let mut all = vec![format!("{:?} instead of {:?}", self.answers, other.answers)];
        for (mine, others) in self.audit.iter().zip(&other.audit) {
            let (mine, others): (BTreeSet<_>, BTreeSet<_>) =
                (mine.iter().collect(), others.iter().collect());
            let more: Vec<_> = mine.difference(&others).collect();
            let fewer: Vec<_> = others.difference(&mine).collect();
            if !more.is_empty() || !fewer.is_empty() {
                all.push(format!("log: {more:?} instead of {fewer:?}"));
            }
        }
        for (label, row) in &self.rows {
            let before = other.rows.get(label).unwrap_or(&Value::Null);
            if !row.is_object() && row != before {
                all.push(format!("{label}: {row} instead of {before}"));
            }
            let keys = row.as_object().into_iter().flatten();
            for (key, value) in keys.filter(|(key, value)| before[key.as_str()] != **value) {
                all.push(format!("{label}.{key}: {value} instead of {}", before[key]));
            }
        }
        all.join("; ")
    }
}

struct Names {
    labels: HashMap<Uuid, String>,
    word: String,
}

impl Names {
    fn of(scene: &Scene<'_>) -> Self {
        Self {
            labels: scene
                .rows
                .iter()
                .map(|(label, row)| (row.id, label.clone()))
                .collect(),
            word: scene.word.clone(),
        }
    }

    fn label(&self, id: Uuid) -> String {
        self.labels
            .get(&id)
            .cloned()
            .unwrap_or_else(|| "another".to_owned())
    }

    fn told(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(list) => list.iter().map(|one| self.told(one)).collect(),
            Value::Object(object) => (object.iter())
                .filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), self.told(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        if let Ok(id) = text.parse() {
            return format!("<{}>", self.label(id));
        }
        if DateTime::parse_from_rfc3339(text).is_ok() {
            return "<time>".to_owned();
        }
        let is_of_the_service = |(kind, rest): (&str, &str)| {
            kind.len() < 8 && rest.len() >= 14 && rest.chars().all(char::is_alphanumeric)
        };
        if text.split_once('_').is_some_and(is_of_the_service) {
            return "<of the payment service>".to_owned();
        }
        text.replace(&self.word, "<word>")
            .replace(&self.word.to_uppercase(), "<word>")
    }
}

async fn entries(conn: &mut PgConnection, names: &Names, answer: &Answer) -> Vec<String> {
    let request = answer.header("x-request-id").unwrap_or_default();
    let rows = sqlx::query(
        "select entity_type, entity_id, action, performed_by, reason, changed from audit.audit_logs where request_id = $1::text::uuid",
    )
    .bind(request)
    .fetch_all(conn)
    .await
    .expect("the audit log");
    let mut all: Vec<String> = rows
        .iter()
        .map(|row| {
            let by: Option<Uuid> = row.get(3);
            format!(
                "{} {} {} by {:?}, {:?}: {}",
                row.get::<String, _>(2),
                row.get::<String, _>(0),
                names.label(row.get(1)),
                by.map(|by| names.label(by)),
                row.get::<Option<String>, _>(4),
                names.told(&row.get(5)),
            )
        })
        .collect();
    all.sort();
    all
}

/// Ids by table.
fn scene_rows(rows: &BTreeMap<String, Named>) -> BTreeMap<&'static str, Vec<Uuid>> {
    let mut tables: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for row in rows.values() {
        let plural = model().entities[row.entity].plural.as_str();
        tables.entry(plural).or_default().push(row.id);
    }
    tables
}

/// The rows, with the counters that are kept beside them.
async fn stored(
    conn: &mut PgConnection,
    tables: BTreeMap<&'static str, Vec<Uuid>>,
    names: &Names,
) -> BTreeMap<String, Value> {
    let beside = sqlx::query_scalar::<_, String>(
        "select c.relname::text from pg_class c where c.relnamespace = 'counters'::regnamespace and c.relkind = 'r'",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("tables of counters");
    let ids: Vec<Uuid> = tables.values().flatten().copied().collect();
    let parts: Vec<String> = (tables.keys())
        .map(|table| match beside.iter().any(|name| name == table) {
            true => format!("select t.id, to_jsonb(t) || to_jsonb(n) from app.{table} t join counters.{table} n on n.id = t.id where t.id = any ($1)"),
            false => format!("select t.id, to_jsonb(t) from app.{table} t where t.id = any ($1)"),
        })
        .collect();
    let rows: Vec<(Uuid, Value)> = sqlx::query_as(AssertSqlSafe(parts.join(" union all ")))
        .bind(ids)
        .fetch_all(conn)
        .await
        .expect("rows");
    rows.iter()
        .map(|(id, row)| (names.label(*id), names.told(row)))
        .collect()
}
