//! The whole database: turns the model into named SQL objects, and those into `generated/schema.sql`.
//!
//! Each module below deals with one concern and returns the objects of one entity or of the application. Row-level
//! security, privileges and triggers hold regardless of what the program in front of the database does.

// Tables: columns, constraints, indexes.
mod checks;
mod columns;
mod filters;
mod references;
mod slugs;
mod tables;
mod uniques;

// Access: who may do what with which row, as policies, privileges and functions.
mod ask;
mod assume;
mod context;
mod creators;
mod givers;
mod grants;
mod may;
mod mine;
mod outranks;
mod own;
mod parents;
mod policies;
mod predicate;
mod private;
mod roles;
pub mod rules;
mod seen;
pub mod sets;
mod states;
mod visible;

// Changes: what triggers check and do when a row changes.
mod archive;
mod archived;
mod cases;
mod endings;
mod future;
mod guards;
mod held;
mod keeps;
mod moves;
mod quotas;
mod restore;

// Derived data: counters, and documents for search.
mod apart;
mod arithmetic;
mod counters;
mod documents;
mod projection;

// The application: audit log, job queue, outbox, idempotency keys.
mod audit;
mod jobs;
mod outbox;
mod queue;
mod requests;

// How all of them write SQL.
pub mod names;
mod object;
mod template;

pub use apart::{delta_table, is_apart, reader, table as counters_table};
pub use columns::{ARCHIVED_FROM, ARCHIVED_WITH, LIVE_KEY, columns, sql_type};
pub use counters::{Recount, recounts};
pub use documents::{searched, seen_by_all, within};
pub use givers::giver;
pub use grants::{insertable, updatable};
pub use keeps::detail as keep_detail;
pub use may::{allowed, assigned, differs, possible_now};
pub use outbox::ordinary as told_by_update;
pub use private::SEEN;
pub use references::{children, is_live};
pub use states::{asked as asked_of_state, columns as state_columns, to_delete as deletable};
pub use uniques::{as_sorted, unique_sets};

use crate::model::{EntityId, Model};
use crate::objects::{Kind, Object, Schema};

/// All objects in the order of [`Kind`]; those of one kind are in the order of the spec.
pub fn schema(model: &Model) -> Schema {
    of_objects(objects(model))
}

/// Sorts objects, and removes duplicates.
pub fn of_objects(mut objects: Vec<Object>) -> Schema {
    let mut seen = std::collections::BTreeSet::new();
    objects.retain(|o| seen.insert((o.kind, o.name.clone())));
    objects.sort_by_key(|o| o.kind);
    Schema { objects }
}

/// All objects. One that is needed for several reasons appears once for each.
pub fn objects(model: &Model) -> Vec<Object> {
    let mut objects = roles::objects(model);
    objects.extend(template::functions(
        include_str!("sql/formats.sql"),
        &model.app,
        Kind::Function,
    ));
    objects.extend(documents::shared(model));
    objects.extend(checks::object_functions(model));
    objects.extend(context::objects(model));
    objects.extend(guards::shared(model));
    objects.extend(future::shared(model));
    // Sets come first, because PostgreSQL checks SQL functions on creation, and some call these.
    objects.extend(sets::objects(model));
    for id in 0..model.entities.len() {
        objects.extend(of_entity(model, id));
    }
    objects.push(apart::roll_up(model));
    objects.extend(audit::objects(model));
    objects.extend(quotas::shared(model));
    objects.extend(queue::objects(model));
    objects.extend(outbox::shared(model));
    objects.extend(requests::objects(model));
    objects.extend(outranks::function(model));
    objects.extend(seen::functions(model, &objects));
    objects.extend(model.by_hand.iter().cloned());
    objects
}

fn of_entity(model: &Model, id: EntityId) -> Vec<Object> {
    let mut objects = vec![tables::table(model, id)];
    objects.extend(checks::objects(model, id));
    objects.extend(uniques::objects(model, id));
    objects.extend(references::objects(model, id));
    objects.extend(filters::objects(model, id));
    objects.extend(projection::objects(model, id));
    objects.extend(documents::objects(model, id));
    objects.extend(private::function(model, id));
    objects.extend(may::function(model, id));
    objects.extend(ask::functions(model, id));
    objects.extend(slugs::objects(model, id));
    objects.extend(creators::objects(model, id));
    objects.extend(held::functions(model, id));
    objects.extend(guards::objects(model, id));
    objects.extend(future::objects(model, id));
    objects.extend(jobs::guard(model, id));
    objects.extend(archive::objects(model, id));
    objects.extend(archived::objects(model, id));
    objects.extend(apart::objects(model, id));
    objects.extend(endings::objects(model, id));
    objects.extend(givers::objects(model, id));
    objects.extend(moves::objects(model, id));
    objects.extend(counters::objects(model, id));
    objects.extend(keeps::objects(model, id));
    objects.extend(quotas::objects(model, id));
    objects.extend(audit::of_entity(model, id));
    objects.extend(outbox::triggers(model, id));
    objects.extend(policies::objects(model, id));
    objects.extend(grants::objects(model, id));
    objects
}

/// A script that creates the database in an empty one.
pub fn render(schema: &Schema) -> String {
    let mut text = String::from(
        "-- @generated by cargo gen from spec/. Do not edit.\n-- The whole database as it should be; migrations/ lead there.\n",
    );
    let mut kind = None;
    for object in &schema.objects {
        if kind != Some(object.kind) {
            kind = Some(object.kind);
            text.push_str(&format!("\n-- {}\n", title(object.kind)));
        }
        text.push_str(&format!("\n{}\n", object.create.trim_end()));
    }
    text
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Role => "Roles",
        Kind::Schema => "Schemas",
        Kind::Extension => "Extensions",
        Kind::Function => "Functions that tables need",
        Kind::Table => "Tables",
        Kind::Constraint => "Checks, keys, exclusions",
        Kind::Index => "Indexes",
        Kind::ForeignKey => "References",
        Kind::TableFunction => "Functions that name tables",
        Kind::View => "Views",
        Kind::Trigger => "Triggers",
        Kind::Policy => "Row-level security",
        Kind::Grant => "Privileges",
    }
}
