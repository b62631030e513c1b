//! Which callers get which fields of an object, for every entity.

use super::{
    operations::entity,
    people::{self, Persona, personas},
    rows::{self, oracles, telling},
    snapshots,
};
use crate::{
    rules::{oracle::text, world::Row},
    support::model,
};
use codegen::model::{Entity, Ty};
use kernel::resource::Resource;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// The number of rows of entities that have fields with `read` rules, and of others.
const ROWS: [usize; 2] = [6, 2];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_23_who_gets_which_fields() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    for resource in generated::hooks::RESOURCES {
        let entity = entity(model(), resource);
        let guarded = guarded(entity);
        let rows = telling(
            &world,
            resource,
            &people,
            &oracles,
            ROWS[usize::from(guarded.is_empty())],
        );
        let (mut always, mut lines) = (None::<BTreeSet<String>>, BTreeSet::new());
        for (at, row) in rows.iter().enumerate() {
            fill(&mut conn, entity, resource, row, at).await;
            let audiences = audiences(resource, row, &people).await;
            for keys in audiences.keys().flatten() {
                let plain: BTreeSet<String> = keys
                    .iter()
                    .filter(|key| !guarded.contains(*key))
                    .cloned()
                    .collect();
                // Fields without a `read` rule are shown to everyone who sees the object.
                assert_eq!(
                    always.get_or_insert_with(|| plain.clone()),
                    &plain,
                    "{}",
                    resource.name
                );
            }
            lines.insert(line(&audiences, &guarded));
        }
        let always: Vec<String> = always.unwrap_or_default().into_iter().collect();
        let shown = std::iter::once(always.join(" ")).chain(lines);
        let shown: Vec<String> = shown.collect();
        snapshots::check("audiences", resource.name, &shown.join("\n"));
        assert!(
            !guarded.iter().any(|name| always.contains(name)),
            "{}",
            resource.name
        );
    }
}

/// Fields and references that not everyone who sees the object may read.
fn guarded(entity: &Entity) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    names.extend(
        entity
            .fields
            .iter()
            .filter(|field| field.read.is_some())
            .map(|field| field.name.clone()),
    );
    for relation in entity
        .belongs
        .iter()
        .filter(|relation| relation.read.is_some())
    {
        names.insert(relation.id_column());
        names.extend(relation.type_column());
    }
    names
}

/// The callers by the keys in their answer; None if they do not get the object.
async fn audiences(
    resource: &Resource,
    row: &Row,
    people: &[Persona],
) -> BTreeMap<Option<BTreeSet<String>>, Vec<&'static str>> {
    let path = format!("/{}/{}", resource.path, text(row, "id").expect("an id"));
    let mut audiences: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for person in people {
        let answer = person.client.get(&path).await;
        let keys = (answer.status == 200).then(|| {
            let object = answer.json.as_object().expect("an object");
            object.keys().cloned().collect()
        });
        audiences.entry(keys).or_default().push(person.name);
    }
    audiences
}

/// A line such as `+ email phone: platform, member; nothing more: org; hidden from: anonymous`.
fn line(
    audiences: &BTreeMap<Option<BTreeSet<String>>, Vec<&str>>,
    guarded: &BTreeSet<String>,
) -> String {
    let part = |(keys, who): (&Option<BTreeSet<String>>, &Vec<&str>)| {
        let more: Vec<&str> = keys
            .iter()
            .flatten()
            .filter(|key| guarded.contains(*key))
            .map(String::as_str)
            .collect();
        let what = match (keys, more.is_empty()) {
            (None, _) => "hidden from".to_owned(),
            (Some(_), true) => "no more for".to_owned(),
            (Some(_), false) => format!("also {} for", more.join(" ")),
        };
        format!("{what} {}", who.join(" "))
    };
    let parts: Vec<String> = audiences.iter().rev().map(part).collect();
    format!("  {}", parts.join("; "))
}

/// Sets null fields to a value, so that a field that is missing in an answer must be a hidden one.
async fn fill(conn: &mut PgConnection, entity: &Entity, resource: &Resource, row: &Row, at: usize) {
    let empty = |name: &str| row.get(name).is_none_or(serde_json::Value::is_null);
    let mut sets = Vec::new();
    for field in entity
        .fields
        .iter()
        .filter(|field| field.read.is_some() && empty(&field.name))
    {
        sets.push(format!("{} = {}", field.name, value(&field.ty, at)));
    }
    for relation in &entity.belongs {
        let column = relation.id_column();
        if relation.read.is_some() && !relation.polymorphic && empty(&column) {
            let target = &model().entities[relation.targets[0]].plural;
            sets.push(format!(
                "{column} = (select id from app.{target} order by id limit 1)"
            ));
        }
    }
    if !sets.is_empty() {
        rows::set(conn, resource, row, &sets.join(", ")).await;
    }
}

fn value(ty: &Ty, at: usize) -> String {
    match ty {
        Ty::Text { min, max } => {
            let length = (*min).max(8).min(*max) as usize;
            format!("'{at:0>length$}'")
        }
        Ty::Url => format!("'https://example.org/{at}'"),
        Ty::Email => format!("'fields{at}@example.org'"),
        Ty::Phone => format!("'+6140000000{at}'"),
        Ty::Code { .. } => format!("'CODE{at}'"),
        Ty::Handle { .. } => format!("'p{at}'"),
        Ty::Bool => "true".to_owned(),
        Ty::Time => "now()".to_owned(),
        _ => "1".to_owned(),
    }
}
