//! `keep`: the last row of its kind does not go while what it refers to is there.
//!
//! Guards what ends (archiving, suspending, a changed value, a cascade), not what begins: a parent without any such
//! row is nobody's fault who comes later.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    predicate::{all, atom},
    rules::{Context, Scope, predicate},
};
use crate::model::{Entity, EntityId, Keep, Lifecycle, Model};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if entity.keeps.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_keep");
    let steps: Vec<String> = entity.keeps.iter().map(|k| step(model, id, k)).collect();
    // Nothing is left to be said of a statement that changed no row: cascades come here by the dozen.
    let body = format!(
        "declare\n  v_parent uuid;\nbegin\n  if not exists (select from removed) then\n    return null;\n  end if;\n{}\n  return null;\nend",
        steps.join("\n")
    );
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            "The last row of its kind stays while what it refers to is there.",
            body,
        ),
        trigger(
            &table,
            &format!("{}_keep", entity.plural),
            &format!(
                "after update on {table}\n  referencing old table as removed new table as added\n  \
                 for each statement execute function {function}()"
            ),
        ),
    ]
}

/// What callers are told; the constraint's name leads to it.
pub fn detail(entity: &Entity, keep: &Keep) -> String {
    keep.doc.clone().unwrap_or_else(|| {
        format!(
            "The last {} of its {} stays while that is there.",
            entity.name.replace('_', " "),
            keep.per.replace('_', " ")
        )
    })
}

/// One look for each parent that a row has left, in the same order for everybody.
///
/// A lock of its own makes two who remove each other do so one after the other: the second waits, and its next
/// statement sees what the first has done. The parent's row would be the wrong lock: whoever archives the parent has
/// it, and waits for the rows below it.
fn step(model: &Model, id: EntityId, keep: &Keep) -> String {
    let entity = &model.entities[id];
    let (table, name) = (names::table(entity), names::keep(entity, &keep.name));
    let relation = entity.relation(&keep.per).expect("checked: a relation");
    let column = relation.id_column();
    let counts = |alias| counts(model, id, keep, alias);
    let there = relation.targets.iter().map(|target| {
        let parent = &model.entities[*target];
        let status = if parent.lifecycle == Lifecycle::SoftDelete {
            " and p.status <> 'archived'"
        } else {
            ""
        };
        format!(
            "exists (select from {} p where p.id = v_parent{status})",
            names::table(parent)
        )
    });
    format!(
        "  for v_parent in\n    select distinct o.{column} from removed o\n    \
         where o.{column} is not null and {} and not exists (\n      \
         select from added n where n.id = o.id and n.{column} = o.{column} and {}\n    )\n    \
         order by 1\n  loop\n    \
         perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({} || v_parent::text, 0));\n    \
         if not exists (select from {table} c where c.{column} = v_parent and {})\n      \
         and ({})\n    then\n      \
         raise exception using errcode = 'restrict_violation', schema = 'app', table = {},\n        \
         constraint = {}, message = {};\n    end if;\n  end loop;",
        counts("o"),
        counts("n"),
        quote(&format!("{name} ")),
        counts("c"),
        there.collect::<Vec<_>>().join("\n        or "),
        quote(&entity.plural),
        quote(&name),
        quote(&detail(entity, keep)),
    )
}

/// Whether a row counts: active, and what the spec asks of it.
fn counts(model: &Model, id: EntityId, keep: &Keep, alias: &'static str) -> String {
    let scope = Scope {
        entity: id,
        alias,
        context: Context::Definer,
    };
    let filter = keep.filter.as_ref().map(|f| predicate(model, scope, f));
    let active = atom(format!("{alias}.status = 'active'"));
    all(std::iter::once(active).chain(filter)).line()
}
