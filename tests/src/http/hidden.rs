//! A row that the caller may not see is treated as if it had never existed: on every route, and as a parent of new
//! rows.

use super::{
    bodies,
    expect::{expected, is_impossible},
    operations::{self, Kind, Operation, body_keys},
    people::{self, Persona, personas},
    rows::{self, oracles, set_status, stands, telling},
    same::seen,
};
use crate::{
    rules::{
        oracle::{Oracle, text},
        world::{Row, World},
    },
    support::{Answer, Superuser, model},
};
use codegen::model::Relation;
use futures_util::future::join;
use kernel::resource::{Lifecycle, Resource};
use kernel::rule::decide::decide;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Callers from whom some rows are hidden, one of each kind.
const CURIOUS: [&str; 4] = ["anonymous", "member", "city2", "org2"];

struct Asking<'a> {
    world: &'a World,
    people: &'a [Persona],
    oracles: &'a [Oracle<'a>],
    conn: Superuser,
    wrong: Vec<String>,
    /// The operations that have been compared.
    tried: BTreeSet<String>,
    /// Answers for ids that do not exist.
    missing: BTreeMap<String, Vec<Answer>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_01_what_is_hidden_and_what_never_was_look_the_same() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    let mut asking = Asking::new(&world, &people, &oracles, conn);
    for resource in generated::hooks::RESOURCES {
        asking.active(resource).await;
        if resource.lifecycle == Lifecycle::SoftDelete {
            asking.suspended_and_archived(resource).await;
        }
    }
    asking.finish();
    let compared: BTreeSet<&str> = asking
        .tried
        .iter()
        .filter_map(|title| title.split(" as ").next())
        .collect();
    // If an operation is only possible for the platform, other callers are refused before the row is read.
    let curious = || {
        people
            .iter()
            .zip(&oracles)
            .filter(|(person, _)| CURIOUS.contains(&person.name))
    };
    let missing: Vec<String> = operations::all()
        .iter()
        .filter(|operation| operation.has_id() && !compared.contains(operation.title().as_str()))
        .filter(|operation| {
            curious().any(|(person, oracle)| !is_impossible(operation.rule(), person, oracle))
        })
        .map(Operation::title)
        .collect();
    assert!(
        missing.is_empty(),
        "no hidden row was found for: {missing:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_06_a_hidden_or_archived_parent_is_one_that_never_was() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    let mut asking = Asking::new(&world, &people, &oracles, conn);
    let mut wanted = BTreeSet::new();
    for target in generated::hooks::RESOURCES {
        let children = children(target);
        wanted.extend(children.iter().map(|child| child.title("")));
        asking.hidden_parent(target, &children).await;
        if target.lifecycle == Lifecycle::SoftDelete {
            asking.archived_parent(target, &children).await;
        }
    }
    asking.finish();
    let missing: Vec<&String> = wanted.difference(&asking.tried).collect();
    assert!(
        missing.is_empty(),
        "no unusable parent was found for: {missing:?}"
    );
}

/// A reference from a body to the entity.
struct Reference {
    child: &'static Resource,
    relation: &'static Relation,
    target: &'static Resource,
    kind: Kind,
}

fn children(target: &'static Resource) -> Vec<Reference> {
    let at = rows::id(target);
    let mut found = Vec::new();
    for child in generated::hooks::RESOURCES {
        for relation in &model().entities[rows::id(child)].belongs {
            for (kind, name) in [(Kind::Create, "Create"), (Kind::Merge, "Patch")] {
                let held = body_keys(name, child.name).contains(&relation.id_column().as_str());
                if held && relation.targets.contains(&at) {
                    found.push(Reference {
                        child,
                        relation,
                        target,
                        kind,
                    });
                }
            }
        }
    }
    found
}

impl Reference {
    fn title(&self, who: &str) -> String {
        let verb = if matches!(self.kind, Kind::Create) {
            "POST"
        } else {
            "PATCH"
        };
        format!(
            "{verb} {} with {} to {}{who}",
            self.child.name, self.relation.name, self.target.name
        )
    }

    /// A body with the reference set to this id.
    fn body(&self, row: &Row, id: &str) -> Value {
        let mut body = match self.kind {
            Kind::Create => bodies::create(self.child, row),
            _ => json!({}),
        };
        if let Some(column) = self.relation.type_column() {
            body[column] = json!(self.target.name);
        }
        body[self.relation.id_column()] = json!(id);
        body
    }
}

impl<'a> Asking<'a> {
    fn new(
        world: &'a World,
        people: &'a [Persona],
        oracles: &'a [Oracle<'a>],
        conn: Superuser,
    ) -> Self {
        Self {
            world,
            people,
            oracles,
            conn,
            wrong: Vec::new(),
            tried: BTreeSet::new(),
            missing: BTreeMap::new(),
        }
    }

    fn finish(&self) {
        assert!(
            self.wrong.is_empty(),
            "{} differences:\n{}",
            self.wrong.len(),
            self.wrong.join("\n\n")
        );
    }

    /// Compares rows that are hidden by rules.
    async fn active(&mut self, resource: &'static Resource) {
        for (person, oracle) in self.people.iter().zip(self.oracles) {
            let hidden = || {
                self.world.rows[rows::id(resource)]
                    .iter()
                    .take(500)
                    .find(|row| !oracle.visible(resource, row))
            };
            if !CURIOUS.contains(&person.name) {
                continue;
            }
            if let Some(row) = hidden() {
                self.compare(resource, row, person, |_| true).await;
            }
        }
    }

    /// Compares rows that are hidden by their status.
    async fn suspended_and_archived(&mut self, resource: &'static Resource) {
        let (people, oracles) = (self.people, self.oracles);
        let mut rows = telling(self.world, resource, people, oracles, 4).into_iter();
        let Some(row) = rows.find(|row| !people::is_askers(row, people)) else {
            return;
        };
        for status in ["suspended", "archived"] {
            let row = set_status(&mut self.conn, resource, row, status).await;
            for (person, oracle) in people.iter().zip(oracles) {
                let curious = CURIOUS.contains(&person.name);
                if oracle.visible(resource, &row) || !curious && status == "suspended" {
                    continue;
                }
                let known = is_known(resource, &row, person, oracle);
                let all_lists = person.name == "member" && status == "archived";
                self.compare(resource, &row, person, |kind| match kind {
                    // Callers who may restore an archived row can see it, but only on that route.
                    Kind::Restore => !known,
                    // For most callers, one nested list is tested for all.
                    Kind::Nested(child) => {
                        curious && (all_lists || child.path == resource.children[0].path)
                    }
                    _ => curious,
                })
                .await;
            }
            set_status(&mut self.conn, resource, &row, "active").await;
        }
    }

    /// Compares every route for the row with the same route for an id that does not exist.
    async fn compare(
        &mut self,
        resource: &'static Resource,
        row: &Row,
        person: &Persona,
        takes_part: impl Fn(&Kind) -> bool,
    ) {
        let id = text(row, "id").expect("an id");
        let before = stands(&mut self.conn, resource, id).await;
        let never = Uuid::now_v7().to_string();
        for operation in operations::of(resource) {
            if !operation.has_id() || !takes_part(&operation.kind) {
                continue;
            }
            let title = format!("{} as {}", operation.title(), person.name);
            let hidden = ask(&operation, id, row, person).await;
            if !self.missing.contains_key(&title) {
                let missing = ask(&operation, &never, row, person).await;
                self.missing.insert(title.clone(), missing);
            }
            let missing = &self.missing[&title];
            let refused = hidden.iter().all(|answer| answer.status.is_client_error());
            let [hidden, missing] =
                [&hidden, missing].map(|answers| answers.iter().map(seen).collect::<Vec<_>>());
            if hidden != missing || !refused {
                self.wrong
                    .push(format!("{title}: hidden {hidden:#?}\nmissing {missing:#?}"));
            }
            if hidden[0].starts_with("404") {
                self.tried.insert(title);
            }
        }
        if stands(&mut self.conn, resource, id).await != before {
            self.wrong.push(format!(
                "{} as {}: the hidden row has changed",
                resource.name, person.name
            ));
        }
    }

    async fn hidden_parent(&mut self, target: &'static Resource, children: &[Reference]) {
        for (person, oracle) in self.people.iter().zip(self.oracles) {
            let mut rows = self.world.rows[rows::id(target)].iter().take(500);
            let Some(hidden) = rows.find(|row| !oracle.visible(target, row)) else {
                continue;
            };
            let id = text(hidden, "id").expect("an id");
            for child in children {
                self.refer(child, id, person, oracle).await;
            }
        }
    }

    async fn archived_parent(&mut self, target: &'static Resource, children: &[Reference]) {
        let (people, oracles) = (self.people, self.oracles);
        let mut rows = telling(self.world, target, people, oracles, 4).into_iter();
        let Some(row) = rows.find(|row| !people::is_askers(row, people)) else {
            return;
        };
        set_status(&mut self.conn, target, row, "archived").await;
        let id = text(row, "id").expect("an id");
        for child in children {
            for (person, oracle) in people.iter().zip(oracles) {
                self.refer(child, id, person, oracle).await;
            }
        }
        set_status(&mut self.conn, target, row, "active").await;
    }

    /// Compares a reference to this row with one to an id that does not exist.
    async fn refer(&mut self, child: &Reference, id: &str, person: &Persona, oracle: &Oracle<'a>) {
        let operation = Operation {
            resource: child.child,
            kind: child.kind,
        };
        if is_impossible(operation.rule(), person, oracle) {
            return;
        }
        let Some(row) = self.subject(child, id, oracle) else {
            return;
        };
        let path = operation.path(text(row, "id").expect("an id"));
        let never = Uuid::now_v7().to_string();
        let mut answers = Vec::new();
        for id in [id, &never] {
            let body = Some(child.body(row, id));
            answers.push(
                person
                    .client
                    .send(operation.method(), &path, body, &[("if-match", "*")])
                    .await,
            );
        }
        let title = child.title(&format!(" as {}", person.name));
        if seen(&answers[0]) != seen(&answers[1]) || !matches!(answers[0].status.as_u16(), 400..500)
        {
            self.wrong.push(format!(
                "{title}: unusable\n{}\nmissing\n{}",
                seen(&answers[0]),
                seen(&answers[1])
            ));
        }
        if answers[0].problem() == "invalid-reference" {
            self.tried.insert(child.title(""));
        }
    }

    /// A row to copy or to change; to copy, one that the caller could have created, if there is any.
    fn subject(&self, child: &Reference, parent: &str, oracle: &Oracle<'a>) -> Option<&'a Row> {
        let mut rows = self.world.rows[rows::id(child.child)].iter().take(500);
        if matches!(child.kind, Kind::Create) {
            let first = rows.clone().next();
            return rows
                .find(|row| decide(child.child.rules.create, row, oracle))
                .or(first);
        }
        rows.find(|row| {
            oracle.may(child.child, "update", row)
                && text(row, &child.relation.id_column()) != Some(parent)
        })
    }
}

/// Whether the caller may know the row because of the permission to restore it.
fn is_known(resource: &'static Resource, row: &Row, person: &Persona, oracle: &Oracle) -> bool {
    let kind = Kind::Restore;
    let restore = Operation { resource, kind };
    let never = is_impossible(restore.rule(), person, oracle);
    !never && !expected(&restore, row, person, oracle).contains(&404)
}

/// Sends the request with `If-Match: *`; and, for some kinds of operations, also with an invalid query.
async fn ask(operation: &Operation, id: &str, row: &Row, person: &Persona) -> Vec<Answer> {
    let path = operation.path(id);
    let body = bodies::body(operation, row);
    let any = [("if-match", "*")];
    let headers = if operation.mutates() { &any[..] } else { &[] };
    let (client, method) = (&person.client, operation.method());
    let right = client.send(method.clone(), &path, body.clone(), headers);
    if !matches!(operation.kind, Kind::Get | Kind::Merge | Kind::Archive) {
        return vec![right.await];
    }
    let path = format!("{path}?nonsense=1");
    let wrong = client.send(method, &path, body, &[]);
    let (right, wrong) = join(right, wrong).await;
    vec![right, wrong]
}
