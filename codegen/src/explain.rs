//! `cargo gen explain <entity>`: one page of text that shows what was generated for an entity.
//!
//! Combines the output of the emitters; computes nothing itself.

use crate::emit::openapi::{self, words};
use crate::emit::{actions, schema};
use crate::model::{Assigned, Change, Entity, EntityId, Expr, Model, OnArchive};
use crate::names;
use crate::objects::{Kind, Schema};
use std::fmt::Write;

pub fn explain(model: &Model, name: &str) -> Result<String, String> {
    let Some((id, entity)) = model.entity(name) else {
        let known = model.entities.iter().map(|e| e.name.as_str());
        return Err(format!(
            "there is no entity `{name}`; {}",
            names::suggest(name, known, "entities")
        ));
    };
    let schema = schema::schema(model);
    let mut out = format!("{}: {}\n", entity.name, entity.doc);
    columns(&mut out, &schema, entity);
    routes(&mut out, model, entity);
    together(&mut out, model, entity);
    rules(&mut out, model, id, entity);
    if let Some(quota) = entity.quota {
        line(
            &mut out,
            format_args!("\nQuota\n  {quota} a day for each member"),
        );
    }
    uniques(&mut out, model, id, entity);
    keeps(&mut out, model, id, entity);
    archiving(&mut out, model, id, entity);
    transitions(&mut out, model, id, entity);
    events(&mut out, entity);
    sql(&mut out, &schema, entity);
    Ok(out)
}

fn table(entity: &Entity) -> String {
    format!("app.{}", entity.plural)
}

/// Writing to a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments) {
    let _ = writeln!(out, "{text}");
}

fn columns(out: &mut String, schema: &Schema, entity: &Entity) {
    line(out, format_args!("\nTable {}", table(entity)));
    let name = table(entity);
    let Some(object) = schema
        .objects
        .iter()
        .find(|o| o.kind == Kind::Table && o.name == name)
    else {
        return;
    };
    let width = object
        .columns
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0);
    for column in &object.columns {
        let null = if column.not_null { " not null" } else { "" };
        let value = match (&column.generated, &column.default) {
            (Some(generated), _) => format!(" = {generated}"),
            (None, Some(default)) => format!(" default {default}"),
            (None, None) => String::new(),
        };
        line(
            out,
            format_args!("  {:width$}  {}{null}{value}", column.name, column.sql_type),
        );
    }
}

fn routes(out: &mut String, model: &Model, entity: &Entity) {
    line(out, format_args!("\nRoutes"));
    let base = format!("/{}", names::kebab(&entity.plural));
    let document = openapi::document(model);
    let Some(paths) = document["paths"].as_object() else {
        return;
    };
    let mut any = false;
    for (path, item) in paths
        .iter()
        .filter(|(path, _)| **path == base || path.starts_with(&format!("{base}/")))
    {
        for method in ["get", "post", "put", "patch", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let summary = operation["summary"].as_str().unwrap_or("");
            line(
                out,
                format_args!("  {:6} {path}  {summary}", method.to_uppercase()),
            );
            any = true;
        }
    }
    if !any {
        line(out, format_args!("  none"));
    }
}

fn together(out: &mut String, model: &Model, entity: &Entity) {
    let lists = entity.has.iter().filter_map(|has| {
        let (child, max) = (&model.entities[has.child], has.create_with?);
        Some(format!("  {}: up to {max} of {}", has.name, child.name))
    });
    let lists: Vec<String> = lists.collect();
    if !lists.is_empty() {
        line(out, format_args!("\nCreated with it\n{}", lists.join("\n")));
    }
}

fn rules(out: &mut String, model: &Model, id: EntityId, entity: &Entity) {
    line(out, format_args!("\nRules"));
    for condition in &entity.conditions {
        line(
            out,
            format_args!("  {}: {}", condition.name, said(model, id, &condition.expr)),
        );
    }
    for action in actions::ALL {
        let rule = action
            .rule(entity)
            .map_or("nobody".to_owned(), |rule| said(model, id, rule));
        line(out, format_args!("  {}: {rule}", action.name()));
    }
    for field in &entity.fields {
        for (rule, word) in [(&field.read, "read"), (&field.write, "write")] {
            if let Some(rule) = rule {
                line(
                    out,
                    format_args!("  {word} {}: {}", field.name, said(model, id, rule)),
                );
            }
        }
    }
    for relation in &entity.belongs {
        if let Some(rule) = &relation.read {
            line(
                out,
                format_args!("  read {}: {}", relation.name, said(model, id, rule)),
            );
        }
    }
}

fn said(model: &Model, id: EntityId, rule: &Expr) -> String {
    words::explain(model, id, rule).rule.replace('`', "")
}

fn keeps(out: &mut String, model: &Model, id: EntityId, entity: &Entity) {
    if entity.keeps.is_empty() {
        return;
    }
    line(out, format_args!("\nKeeps"));
    for keep in &entity.keeps {
        let per = keep.per.as_ref();
        let per = per.map_or("everywhere".to_owned(), |per| format!("per {per}"));
        let filter = keep.filter.as_ref();
        let filter = filter.map_or(String::new(), |filter| {
            format!(" where {}", said(model, id, filter))
        });
        line(out, format_args!("  {}: one {per}{filter}", keep.name));
    }
}

/// The sets of values that must be unique, and the rows that they apply to.
fn uniques(out: &mut String, model: &Model, id: EntityId, entity: &Entity) {
    let rows = |filter: Option<&Expr>| {
        filter.map_or(String::new(), |f| format!(" where {}", said(model, id, f)))
    };
    let sets = schema::unique_sets(entity);
    let sets =
        (sets.iter()).map(|set| format!("  {}{}", set.join(", "), rows(entity.unique_where(set))));
    let ranges = entity.exclude.iter().map(|e| {
        let equal = e.columns.join(", ");
        let rows = rows(e.filter.as_ref());
        format!("  {equal}, {}..{} never overlap{rows}", e.from, e.to)
    });
    let lines: Vec<String> = sets.chain(ranges).collect();
    if !lines.is_empty() {
        line(out, format_args!("\nUnique\n{}", lines.join("\n")));
    }
}

/// What happens to the row when the row that it refers to is archived, unless that is simply refused.
fn archiving(out: &mut String, model: &Model, id: EntityId, entity: &Entity) {
    let mut lines = Vec::new();
    for relation in &entity.belongs {
        let becomes = match relation.on_archive {
            OnArchive::Restrict => continue,
            OnArchive::Detach => "is let go".to_owned(),
            OnArchive::CascadeAlways => "goes along in every state".to_owned(),
            OnArchive::Cascade => {
                let state = schema::asked_of_state(model, id, relation);
                let when = state.map(|state| format!(", only when {}", said(model, id, &state)));
                format!("goes along{}", when.unwrap_or_default())
            }
        };
        lines.push(format!("  {}: {becomes}", relation.name));
    }
    if !lines.is_empty() {
        line(
            out,
            format_args!("\nWhen that is archived\n{}", lines.join("\n")),
        );
    }
}

fn transitions(out: &mut String, model: &Model, id: EntityId, entity: &Entity) {
    if entity.transitions.is_empty() {
        return;
    }
    line(out, format_args!("\nTransitions"));
    for transition in &entity.transitions {
        let state = match &transition.change {
            Change::State { from, to, .. } => Some(format!("{} -> {to}", from.join(" | "))),
            Change::Set(_) => None,
        };
        let sets = transition.sets().map(|set| match &set.value {
            Assigned::Me => format!("set {} = me", set.column),
            Assigned::Value(value) => format!(
                "set {} = {}",
                set.column,
                crate::resolve::shown(value).trim_matches('`')
            ),
        });
        let change = (state.into_iter().chain(sets))
            .collect::<Vec<_>>()
            .join(", ");
        let when = transition
            .when
            .as_ref()
            .map_or(String::new(), |w| format!(", when {}", said(model, id, w)));
        let reason = if transition.reason {
            ", with a reason"
        } else {
            ""
        };
        let by = said(model, id, &transition.by);
        line(
            out,
            format_args!("  {}: {change}, by {by}{when}{reason}", transition.name),
        );
    }
}

fn events(out: &mut String, entity: &Entity) {
    if entity.emits.is_empty() {
        return;
    }
    line(out, format_args!("\nEvents"));
    for action in &entity.emits {
        line(out, format_args!("  {}.{action}", entity.name));
    }
}

/// The policies in full and everything else by name; `generated/schema.sql` has all of it.
fn sql(out: &mut String, schema: &Schema, entity: &Entity) {
    let name = table(entity);
    let of_table = || {
        schema
            .objects
            .iter()
            .filter(|o| o.table.as_deref() == Some(name.as_str()))
    };
    line(out, format_args!("\nPolicies"));
    for object in of_table().filter(|o| o.kind == Kind::Policy) {
        for text in object.create.trim_end().lines() {
            line(out, format_args!("  {text}"));
        }
    }
    line(out, format_args!("\nObjects in generated/schema.sql"));
    for object in of_table().filter(|o| !matches!(o.kind, Kind::Policy | Kind::Table)) {
        line(
            out,
            format_args!("  {:14} {}", format!("{:?}", object.kind), object.name),
        );
    }
}
