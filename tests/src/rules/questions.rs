//! The questions to both sides: for an actor, an entity and an action, which rows are allowed. The Rust form answers
//! once per world; the database answers again after each change of its policies.

use super::{
    answers::facts,
    oracle::{Oracle, status, text},
    world::{Row, World},
};
use crate::{
    http::{bodies, operations},
    support,
};
use codegen::model::{Entity, EntityId, Model};
use kernel::{
    resource::Resource,
    rule::decide::{World as _, decide},
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use uuid::Uuid;

/// How a question is put to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Which rows are visible: the SELECT policy.
    Read,
    /// Which visible rows can be locked for the action: USING of the UPDATE policy.
    Reach,
    /// The same while all rows are visible, so that the SELECT policy can't hide a mistake.
    Blind,
    /// For which of these rows the action's own statement succeeds: WITH CHECK as well.
    Do,
    /// Which rows like those of the world can be inserted: the INSERT policy.
    Create,
    /// What `sec.may_<entity>` tells a module that works for the actor.
    Ask,
}

pub struct Question {
    pub me: Option<Uuid>,
    pub entity: EntityId,
    pub how: How,
    /// The action's name in the database.
    pub action: &'static str,
    /// The rows that the question is about. New ones have numbers instead of ids.
    pub asked: Vec<String>,
    /// The rows for which the Rust form of the rule grants the action.
    pub granted: BTreeSet<String>,
    /// The statement, with `$1` for one of `rows`.
    pub statement: String,
    pub rows: Value,
}

/// All questions for one actor, with the answers of the Rust form.
pub async fn of(
    conn: &mut PgConnection,
    model: &Model,
    world: &World,
    me: Option<Uuid>,
) -> Vec<Question> {
    let resources = support::resources();
    let now = sqlx::query_scalar("select now()")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    // While restoring, the actor also has roles that were archived together with their scope.
    let restoring = facts(conn, model, me, "restore").await;
    let restoring = Oracle::new(model, resources, world, me, restoring, now);
    let oracle = facts(conn, model, me, "read").await;
    let oracle = Oracle::new(model, resources, world, me, oracle, now);
    let mut questions = Vec::new();
    for (at, entity) in model.entities.iter().enumerate() {
        let Some(resource) = resources.get(entity.name.as_str()) else {
            continue;
        };
        let asker = Asker {
            me,
            at,
            entity,
            resource,
            model,
            world,
            rows: &world.rows[at],
        };
        let seen = asker.read("read", |row| oracle.visible(resource, row));
        questions.push(asker.ask("read", seen.granted.clone()));
        questions.push(seen);
        if !entity.writable() {
            continue;
        }
        questions.push(asker.read("restore", |row| restoring.visible_restoring(resource, row)));
        questions.extend(asker.archived(&restoring));
        for action in actions(resource) {
            let oracle = if action == "restore" {
                &restoring
            } else {
                &oracle
            };
            questions.extend(asker.act(oracle, action));
        }
        if resource.create.is_some() {
            questions.push(asker.create(&oracle));
        }
    }
    questions
}

fn actions(resource: &Resource) -> Vec<&'static str> {
    let mut actions = vec!["update", "archive", "restore", "suspend", "unsuspend"];
    actions.extend(resource.transitions.iter().map(|t| t.name));
    actions
}

struct Asker<'a> {
    me: Option<Uuid>,
    at: EntityId,
    entity: &'a Entity,
    resource: &'static Resource,
    model: &'a Model,
    world: &'a World,
    rows: &'a [Row],
}

impl Asker<'_> {
    fn question(&self, how: How, action: &'static str, granted: BTreeSet<String>) -> Question {
        let asked = self.rows.iter().map(id).collect();
        Question {
            me: self.me,
            entity: self.at,
            how,
            action,
            asked,
            granted,
            statement: String::new(),
            rows: Value::Null,
        }
    }

    /// A question in the context of reading or of restoring.
    fn read(&self, action: &'static str, is_seen: impl Fn(&Row) -> bool) -> Question {
        let seen = self.rows.iter().filter(|row| is_seen(row));
        let mut question = self.question(How::Read, action, seen.map(id).collect());
        question.statement = format!("select t.id::text as id from app.{} t", self.entity.plural);
        question
    }

    /// A module may not even read the table, so it asks about ids.
    fn ask(&self, action: &'static str, granted: BTreeSet<String>) -> Question {
        let mut question = self.question(How::Ask, action, granted);
        let ids: Vec<String> = question.asked.iter().map(|id| format!("'{id}'")).collect();
        question.statement = format!(
            "select id::text as id from unnest(array[{}]::uuid[]) as id where sec.may_{}(id, '{action}')",
            ids.join(", "),
            self.entity.name
        );
        question
    }

    /// The rows that may be restored, as the list of archived rows contains them.
    fn archived(&self, oracle: &Oracle) -> Option<Question> {
        if self.resource.sql.restore.is_empty() {
            return None;
        }
        let function = format!("app.archived_{}", self.resource.plural);
        let may = |row: &&Row| oracle.may(self.resource, "restore", row);
        let granted = self.rows.iter().filter(may).map(id).collect();
        let mut question = self.question(How::Read, "restore", granted);
        let all = format!("'{}', {}", Uuid::max(), self.rows.len() + 1);
        question.statement = format!("select found::text as id from {function}({all}) found");
        Some(question)
    }

    /// Questions about reaching the rows and, if the action has a statement, about performing it.
    fn act(&self, oracle: &Oracle, action: &'static str) -> Vec<Question> {
        let may = self
            .rows
            .iter()
            .filter(|row| oracle.may(self.resource, action, row));
        let granted: BTreeSet<String> = may.map(id).collect();
        let mut reach = self.question(How::Reach, action, granted.clone());
        reach.statement = format!(
            "select t.id::text as id from app.{} t for update",
            self.entity.plural
        );
        let fits = self
            .rows
            .iter()
            .filter(|row| oracle.fits(self.resource, action, row));
        let mut blind = self.question(How::Blind, action, fits.map(id).collect());
        blind.statement.clone_from(&reach.statement);
        let mut questions = vec![self.ask(action, granted.clone()), reach, blind];
        if let Some(statement) = statement(self.resource, action) {
            // A change that hides the row from its writer requires a trigger, and triggers are disabled here.
            let stays = |row: &&Row| {
                oracle.may(self.resource, action, row)
                    && oracle.within(action, || {
                        oracle.visible(self.resource, &changed(row, &statement))
                    })
            };
            let granted = self.rows.iter().filter(stays).map(id).collect();
            let mut deed = self.question(How::Do, action, granted);
            // Actions are only tried on rows that can be reached.
            deed.asked = deed.granted.iter().cloned().collect();
            deed.statement = statement;
            deed.rows = deed.asked.iter().map(|id| json!({ "id": id })).collect();
            questions.extend((!deed.asked.is_empty()).then_some(deed));
        }
        questions
    }

    fn create(&self, oracle: &Oracle) -> Question {
        let mut granted = BTreeSet::new();
        let mut rows: Vec<Row> = self
            .rows
            .iter()
            .map(|row| bodies::made(self.entity, row, self.me))
            .collect();
        rows.extend(self.below_suspended(&rows));
        for (at, row) in rows.iter_mut().enumerate() {
            // Only used to identify the row; the statement sets no ids.
            let id = Uuid::from_u128(at as u128).to_string();
            if self.may_create(oracle, row) {
                granted.insert(id.clone());
            }
            row.insert("id".into(), id.into());
        }
        let mut question = self.question(How::Create, "create", granted);
        question.asked = rows.iter().map(id).collect();
        let (table, columns) = (&self.entity.plural, columns(self.resource.sql.create));
        question.statement = format!(
            "insert into app.{table} ({columns}) select {columns} from jsonb_populate_record(null::app.{table}, $1)"
        );
        question.rows = rows.into_iter().map(Value::Object).collect();
        question
    }

    /// Copies of one row, one for every kind of object that it can refer to, each referring to a suspended object.
    fn below_suspended(&self, like: &[Row]) -> Vec<Row> {
        let mut rows = Vec::new();
        for relation in &self.entity.belongs {
            for target in &relation.targets {
                let mut others = self.world.rows[*target].iter();
                let Some(suspended) = others.find(|other| status(other) == "suspended") else {
                    continue;
                };
                let mut other = like[rows.len() % like.len()].clone();
                other.insert(relation.id_column(), id(suspended).into());
                if let Some(column) = relation.type_column() {
                    let name = &self.model.entities[*target].name;
                    other.insert(column, name.as_str().into());
                }
                rows.push(other);
            }
        }
        rows
    }

    /// The rule allows it, and every reference that a body may contain is to a visible, active row.
    fn may_create(&self, oracle: &Oracle, made: &Row) -> bool {
        let keys = operations::body_keys("Create", self.resource.name);
        let usable = self.entity.belongs.iter().all(|relation| {
            let column = relation.id_column();
            let (true, Some(id)) = (keys.contains(&column.as_str()), text(made, &column)) else {
                return true;
            };
            let target = match relation.type_column() {
                Some(column) => text(made, &column).expect("a type"),
                None => &oracle.model.entities[relation.targets[0]].name,
            };
            let found = oracle.readable(target, id.parse().expect("an id"));
            found.is_some_and(|row| status(row) == "active")
        });
        usable && decide(self.resource.rules.create, made, oracle)
    }
}

fn id(row: &Row) -> String {
    text(row, "id").expect("an id").to_owned()
}

/// The statement that the server sends for the action; for fields, an update that changes nothing.
fn statement(resource: &Resource, action: &str) -> Option<String> {
    let sql = &resource.sql;
    let text = match action {
        "update" => {
            let (_, set) = sql.update.split_once(" set ")?;
            let column = set.split_whitespace().next().expect("a column");
            let table = resource.plural;
            return Some(format!(
                "update app.{table} as t set {column} = t.{column} where t.id = $1 and $2::int8[] is null"
            ));
        }
        "archive" => sql.archive,
        "restore" => sql.restore,
        "suspend" => sql.suspend,
        "unsuspend" => sql.unsuspend,
        verb => {
            let mut transitions = resource.transitions.iter();
            transitions.find(|t| t.name == verb).expect("a verb").sql
        }
    };
    let (text, _) = text.split_once(" returning ")?;
    Some(text.to_owned())
}

/// The row after `set <column> = '<word>'`.
fn changed(row: &Row, statement: &str) -> Row {
    let mut row = row.clone();
    let set = statement.split_once(" set ").map(|(_, set)| set);
    let (column, rest) = set.and_then(|set| set.split_once(" = ")).expect("a change");
    if let Some((word, _)) = rest.strip_prefix('\'').and_then(|r| r.split_once('\'')) {
        row.insert(column.to_owned(), word.into());
    }
    row
}

/// The text between the first parentheses of an INSERT.
fn columns(insert: &str) -> &str {
    let (_, rest) = insert.split_once('(').expect("columns");
    rest.split_once(')').expect("columns").0
}
