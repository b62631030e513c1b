//! The `static Resource` of an entity: what the engine knows about it.

use super::statements::{Statements, WIDTH};
use super::{constraints, rules, tables};
use crate::emit::actions::{self, Action};
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{option, pascal, text, texts, upper, wrap};
use crate::emit::schema;
use crate::model::{Change, Entity, EntityId, Hook, Lifecycle, Model, Transition, implied};

pub fn resource(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let name = pascal(&entity.name);
    let lifecycle = match entity.lifecycle {
        Lifecycle::SoftDelete => "SoftDelete",
        Lifecycle::Mutable => "Mutable",
        Lifecycle::AppendOnly => "AppendOnly",
    };
    let decode = |action: Action, kind: &str| {
        option(action.open(entity).map(|_| format!("{kind}{name}::decode")))
    };
    let hooks: Vec<&str> = entity.hooks.iter().map(hook_name).collect();
    let statements = Statements::of(model, id);
    let mut out = format!(
        "\n#[rustfmt::skip]\npub static {}: Resource = Resource {{\n",
        upper(&entity.name)
    );
    out.push_str(&format!(
        "    name: {}, plural: {}, path: {}, lifecycle: Lifecycle::{lifecycle}, guarded: {}, created_unseen: {}, hides: {}, acts: {}, page: {},\n",
        text(&entity.name),
        text(&entity.plural),
        text(&crate::names::kebab(&entity.plural)),
        columns::guarded(entity),
        !implied::creator_reads(model, id),
        implied::hides(model, id),
        !statements.allowed_actions().is_empty(),
        entity.page
    ));
    out.push_str(&format!(
        "    encode: {name}::encode, create: {}, update: {}, hooks: {},\n",
        decode(Action::Create, "Create"),
        decode(Action::Update, "Update"),
        texts(&hooks)
    ));
    let (fixed, moving) = read_only(entity);
    out.push_str(&format!(
        "    fixed: {}, moving: {},\n",
        texts(&fixed),
        texts(&moving)
    ));
    out.push_str(&format!(
        "    sql: Sql {{\n{}    }},\n",
        statements.literal()
    ));
    let rules: Vec<String> = actions::ALL
        .iter()
        .map(|action| format!("{}: &{}", action.name(), rules::name(entity, *action)))
        .collect();
    out.push_str(&format!("    rules: Rules {{ {} }},\n", rules.join(", ")));
    out.push_str(&list("filters", tables::filters(model, id)));
    let within = match schema::searched(entity) {
        true => schema::within(model, entity),
        false => Vec::new(),
    };
    let within: Vec<String> = within.iter().map(|column| format!("t.{column}")).collect();
    out.push_str(&format!(
        "    within: {}, public_to_all: {},\n",
        texts(&within),
        schema::seen_by_all(model, id)
    ));
    out.push_str(&list("sorts", tables::sorts(model, id)));
    out.push_str(&list("expands", tables::expands(model, entity)));
    let transitions = actions::transitions(entity)
        .iter()
        .map(|t| transition(model, id, &statements, t));
    out.push_str(&lists([
        ("children", tables::children(model, entity)),
        ("together", tables::together(model, entity)),
        ("transitions", transitions.collect()),
    ]));
    out.push_str(&list("constraints", constraints::of(model, id)));
    out + "};\n"
}

/// The action before which a hook runs.
pub fn hook_name(hook: &Hook) -> &str {
    match hook {
        Hook::Create => "create",
        Hook::Update => "update",
        Hook::Archive => "archive",
        Hook::Restore => "restore",
        Hook::Transition(verb) => verb,
    }
}

/// The entities that have routes.
pub fn mounted(model: &Model) -> impl Iterator<Item = (EntityId, &Entity)> {
    model
        .entities
        .iter()
        .enumerate()
        .filter(|(_, entity)| !entity.internal)
}

/// Properties of an answer that no body changes: first those that never change, then those that change without a
/// request (derived values).
fn read_only(entity: &Entity) -> (Vec<String>, Vec<String>) {
    if Action::Update.open(entity).is_none() {
        return (Vec::new(), Vec::new());
    }
    let sent: Vec<String> = columns::update(entity).iter().map(Column::name).collect();
    let row = columns::row(entity);
    let of = |column: &&Column| !sent.contains(&column.name());
    let (moving, fixed): (Vec<_>, Vec<_>) =
        (row.iter().filter(of)).partition(|column| matches!(column.source, Source::Derived(_)));
    let names = |columns: Vec<&Column>, own: &[&str]| -> Vec<String> {
        let own = own.iter().map(|name| (*name).to_owned());
        let own = own.filter(|name| row.iter().all(|column| column.name() != *name));
        columns.into_iter().map(Column::name).chain(own).collect()
    };
    (
        names(fixed, &["object"]),
        names(moving, &["allowed_actions", "still_archived"]),
    )
}

/// One line per item, so that branches which each add one merge without conflict.
/// Lists of which most are empty in most entities; those share a line.
fn lists<const N: usize>(all: [(&str, Vec<String>); N]) -> String {
    let (empty, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, items)| items.is_empty());
    let empty: Vec<String> = empty
        .iter()
        .map(|(name, _)| format!("{name}: &[],"))
        .collect();
    let mut out = match empty.is_empty() {
        true => String::new(),
        false => format!("    {}\n", empty.join(" ")),
    };
    out.extend(others.into_iter().map(|(name, items)| match name {
        "children" => packed(name, &items),
        _ => list(name, items),
    }));
    out
}

/// Items that are short, several on a line.
fn packed(name: &str, items: &[String]) -> String {
    let items = wrap(items, WIDTH, "        ");
    format!("    {name}: &[\n        {items},\n    ],\n")
}

fn list(name: &str, items: Vec<String>) -> String {
    if items.is_empty() {
        return format!("    {name}: &[],\n");
    }
    let items: String = items
        .iter()
        .map(|item| format!("        {item},\n"))
        .collect();
    format!("    {name}: &[\n{items}    ],\n")
}

fn transition(
    model: &Model,
    id: EntityId,
    statements: &Statements,
    transition: &Transition,
) -> String {
    let from: &[String] = match &transition.change {
        Change::State { from, .. } => from,
        Change::Set(_) => &[],
    };
    format!(
        "Transition {{ name: {}, rule: &CAN_{}, from: {}, when: {}, reason: {},\n            sql: {} }}",
        text(&transition.name),
        upper(&transition.name),
        texts(from),
        option(constraints::when(model, id, transition).map(|when| text(&when))),
        transition.reason,
        statements.transition(transition)
    )
}
