//! What happens to the children when a row is archived: they are archived together with it, or lose their reference.
//!
//! A child is archived along if its own `delete` rule allows that in its state ([`states`]); otherwise nothing is
//! archived at all. It remembers the parent with which it was archived. When a parent is restored, the rows that were
//! archived with it or that wait for it are restored too, each independently of the others ([`restore`]). Children that
//! may be many follow later, as far as nothing can refuse that ([`later`]).
//!
//! Triggers on one event fire in the order of their names, and those of foreign keys are called `RI_…`. The names of
//! the triggers here begin with a digit, so they run before PostgreSQL checks the references to live rows, and a child
//! that they overlooked would make the archiving fail. They overlook none: archiving waits for transactions that are
//! inserting a child, and then sees it.

use super::{
    columns::ARCHIVED_WITH,
    later,
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    predicate::{all, not},
    references::{self, Reference},
    restore, states,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, OnArchive, Relation};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let parent = &model.entities[id];
    if parent.lifecycle != Lifecycle::SoftDelete {
        return Vec::new();
    }
    let children = children(model, id);
    let archive = children
        .iter()
        .filter(|(child, relation)| !later::follows(model, *child, relation, id))
        .filter_map(|(child, relation)| archive(model, *child, relation, parent))
        .collect();
    let restore = children
        .iter()
        .filter(|(child, relation)| !later::follows(model, *child, relation, id))
        .filter_map(|(child, relation)| restore(&model.entities[*child], relation, parent))
        .collect();
    let mut found = pair(
        model,
        id,
        "archive",
        archive,
        "new.status = 'archived' and old.status <> 'archived'",
    );
    found.extend(pair(
        model,
        id,
        "restore",
        restore,
        "new.status <> 'archived' and old.status = 'archived'",
    ));
    found.extend(restore::function(model, id));
    found.extend(stays(model, id));
    found
}

/// Relations of other entities to this one. If archiving one child cascades to another one, it comes first: its state
/// is checked before the other is archived (which may change its counters), and the other, which waits for it, is
/// restored after it.
fn children(model: &Model, id: EntityId) -> Vec<(EntityId, &Relation)> {
    let mut rest: Vec<(EntityId, &Relation)> = (references::children(model, id).into_iter())
        .flat_map(|child| references::of(model, &model.entities[child]).map(move |r| (child, r)))
        .filter(|(_, reference)| reference.target == id)
        .map(|(child, Reference { relation, .. })| (child, relation))
        .collect();
    let mut sorted: Vec<(EntityId, &Relation)> = Vec::new();
    while !rest.is_empty() {
        let goes_with_another = |child: EntityId| {
            let mut others = rest.iter().map(|(other, _)| *other);
            others.any(|other| other != child && goes_with(model, child, other))
        };
        let first = rest
            .iter()
            .position(|(child, _)| !goes_with_another(*child));
        sorted.push(rest.remove(first.unwrap_or(0)));
    }
    sorted
}

fn goes_with(model: &Model, child: EntityId, parent: EntityId) -> bool {
    let mut belongs = model.entities[child].belongs.iter();
    belongs.any(|r| r.cascades() && r.targets.contains(&parent))
}

/// A trigger and its function, or nothing if there are no steps.
fn pair(
    model: &Model,
    id: EntityId,
    verb: &str,
    steps: Vec<String>,
    condition: &str,
) -> Vec<Object> {
    // Last, since the others may archive further rows, whose children count too.
    let later = later::steps(model, id, verb);
    if steps.is_empty() && later.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(&model.entities[id]));
    let function = format!("{table}_{verb}_children");
    let steps: String = steps.iter().map(|step| format!("{step}\n")).collect();
    let declared = match later.is_empty() {
        true => "",
        false => "declare\n  v_whole boolean := true;\n",
    };
    let held = match later.is_empty() {
        true => "",
        false => "  perform jobs.hold_cascade(new.id);\n",
    };
    let body = format!("{declared}begin\n{held}{steps}{later}  return null;\nend");
    let doc = match verb {
        "archive" => "Children of an archived row are archived with it or detached from it.",
        _ => "Restores the rows that were archived together with a row.",
    };
    let when = format!(
        "after update of status on {table}\n  for each row when ({condition})\n  execute function {function}()"
    );
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        trigger(&table, &format!("0_{verb}_children"), &when),
    ]
}

fn archive(
    model: &Model,
    child_id: EntityId,
    relation: &Relation,
    parent: &Entity,
) -> Option<String> {
    let child = &model.entities[child_id];
    let table = names::table(child);
    let column = references::column(relation, parent);
    match (relation.on_archive, child.lifecycle) {
        (OnArchive::Cascade | OnArchive::CascadeAlways, Lifecycle::SoftDelete) => {
            let state = states::asked(model, child_id, relation);
            let along = |condition: &str| {
                format!(
                    "  update {table} t set status = 'archived', {ARCHIVED_WITH} = new.id\n    \
                     where t.{column} = new.id and t.status <> 'archived'{condition};"
                )
            };
            Some(match state {
                None => along(""),
                Some(state) => {
                    let condition = states::condition(model, child_id, "t", &state);
                    let asked = format!("\n    and {}", condition.operand_at(6));
                    format!(
                        "{}\n{}\n{}",
                        locked(&table, &column),
                        along(&asked),
                        refused(child, relation, &table, &column)
                    )
                }
            })
        }
        // Archived children lose the reference too, because they couldn't be restored otherwise.
        (OnArchive::Detach, Lifecycle::SoftDelete | Lifecycle::Mutable) => {
            let columns = relation
                .type_column()
                .into_iter()
                .chain([relation.id_column()]);
            let emptied: Vec<String> = columns.map(|c| format!("{c} = null")).collect();
            Some(format!(
                "  update {table} set {} where {column} = new.id;",
                emptied.join(", ")
            ))
        }
        _ => None,
    }
}

/// Locks the children, which waits for transactions that are changing them, so that the next statement sees their
/// changes.
fn locked(table: &str, column: &str) -> String {
    format!(
        "  perform from {table} t where t.{column} = new.id and t.status <> 'archived' order by t.id for update;"
    )
}

/// The greatest number of children that an error names as the reason why archiving failed. The answer shows those that
/// the caller may see.
const NAMED: u32 = 20;

fn refused(child: &Entity, relation: &Relation, table: &str, column: &str) -> String {
    format!(
        "  if exists (select from {table} t where t.{column} = new.id and t.status <> 'archived') then\n    \
         raise exception using errcode = 'restrict_violation', schema = 'app', table = {},\n      \
         constraint = {}, message = 'does not go along', detail = (\n        \
         select string_agg(c.id::text, ' ') from (\n          \
         select t.id from {table} t where t.{column} = new.id and t.status <> 'archived' order by t.id limit {NAMED}\n        \
         ) c\n      );\n  end if;",
        quote(&child.plural),
        quote(&names::along(child, relation)),
    )
}

/// The condition of the `delete` rule on the row must continue to hold while the row is archived: a ticket that is
/// sold at the same moment is refused. Rows that were archived although the condition did not hold (`on archive
/// cascade always`) are left alone.
fn stays(model: &Model, id: EntityId) -> Vec<Object> {
    let Some(state) = states::to_delete(model, id) else {
        return Vec::new();
    };
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_stays");
    let holds = |row| states::condition(model, id, row, &state);
    let body = format!(
        "begin\n  if {} then\n    raise exception using errcode = 'restrict_violation', schema = 'app', table = {},\n      \
         constraint = {}, message = 'archived';\n  end if;\n  return new;\nend",
        all([holds("old"), not(holds("new"))]).block(4),
        quote(&entity.plural),
        quote(&names::stays(entity)),
    );
    let columns = states::columns(model, id, &state).join(", ");
    let when = format!(
        "before update of {columns} on {table}\n  for each row when (old.status = 'archived' and new.status = 'archived')\n  \
         execute function {function}()"
    );
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            "Refuses to change an archived row into one that may not be archived.",
            body,
        ),
        trigger(&table, &format!("{}_stays", entity.plural), &when),
    ]
}

fn restore(child: &Entity, relation: &Relation, parent: &Entity) -> Option<String> {
    let table = names::table(child);
    let column = references::column(relation, parent);
    let along = relation.cascades() && child.lifecycle == Lifecycle::SoftDelete;
    along.then(|| {
        format!(
            "  perform {}(array(\n    select t.id from {table} t\n    \
             where t.{column} = new.id and t.status = 'archived' and t.{ARCHIVED_WITH} is not null\n    order by t.id\n  ));",
            restore::name(child)
        )
    })
}
