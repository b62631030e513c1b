//! `keep`: the last row of its kind does not go while what it refers to is there.
//!
//! Guards what ends (archiving, suspending, a changed value, a cascade), not what begins: a parent without any such
//! row is nobody's fault who comes later. Of roles only those count whose holder's account is active. Who closes
//! their account is let go by `one per …`, for nobody is held to a post; `one everywhere` holds the account too.

use super::{
    context::{counted, person},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    predicate::{all, atom},
    rules::{Context, Scope, predicate},
};
use crate::model::{Entity, EntityId, Keep, Lifecycle, Model};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let mut found = of_rows(model, id);
    if id == model.identity {
        found.extend(of_accounts(model));
    }
    found
}

fn of_rows(model: &Model, id: EntityId) -> Vec<Object> {
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

/// An account that ends takes its roles out of use without touching their rows.
fn of_accounts(model: &Model) -> Vec<Object> {
    let (identity, assignments) = (
        &model.entities[model.identity],
        &model.entities[model.assignments],
    );
    let everywhere: Vec<&Keep> = kept_everywhere(assignments).collect();
    if everywhere.is_empty() || identity.lifecycle != Lifecycle::SoftDelete {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(identity));
    let function = format!("{table}_keep_holders");
    let held = names::table(assignments);
    let column = person(model, assignments).id_column();
    let steps: Vec<String> = everywhere
        .into_iter()
        .map(|keep| {
            let held_one = format!(
                "exists (select from {held} o where o.{column} = new.id and {})",
                counts(model, model.assignments, keep, "o")
            );
            last_of_all(model, model.assignments, keep, &held_one)
        })
        .collect();
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            Some(roles.counter()),
            "The last one who holds a role that somebody must hold keeps the account.",
            format!("begin\n{}\n  return null;\nend", steps.join("\n")),
        ),
        trigger(
            &table,
            &format!("{}_keep_holders", identity.plural),
            &format!(
                "after update of status on {table}\n  for each row when (old.status = 'active' and new.status <> 'active')\n  \
                 execute function {function}()"
            ),
        ),
    ]
}

/// Of roles: what an account is kept for.
pub fn kept_everywhere(assignments: &Entity) -> impl Iterator<Item = &Keep> {
    assignments.keeps.iter().filter(|keep| keep.per.is_none())
}

/// What callers are told; the constraint's name leads to it.
pub fn detail(entity: &Entity, keep: &Keep) -> String {
    let name = entity.name.replace('_', " ");
    match (&keep.doc, &keep.per) {
        (Some(doc), _) => doc.clone(),
        (None, Some(per)) => format!(
            "The last {name} of its {} stays while that is there.",
            per.replace('_', " ")
        ),
        (None, None) => format!("The last {name} of its kind stays."),
    }
}

/// One look for each parent that a row has left, in the same order for everybody.
///
/// A lock of its own makes two who remove each other do so one after the other: the second waits, and its next
/// statement sees what the first has done. The parent's row would be the wrong lock: whoever archives the parent has
/// it, and waits for the rows below it.
fn step(model: &Model, id: EntityId, keep: &Keep) -> String {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let counts = |alias| counts(model, id, keep, alias);
    let Some(per) = &keep.per else {
        let left = format!(
            "exists (\n    select from removed o\n    where {} and not exists (select from added n where n.id = o.id and {})\n  )",
            counts("o"),
            counts("n")
        );
        return last_of_all(model, id, keep, &left);
    };
    let relation = entity.relation(per).expect("checked: a relation");
    let column = relation.id_column();
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
         where o.{column} is not null and {}{} and not exists (\n      \
         select from added n where n.id = o.id and n.{column} = o.{column} and {}\n    )\n    \
         order by 1\n  loop\n    \
         perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({} || v_parent::text, 0));\n    \
         if not exists (select from {table} c where c.{column} = v_parent and {}{})\n      \
         and ({})\n    then\n      {}\n    end if;\n  end loop;",
        counts("o"),
        account(model, id, "o", "<> 'archived'"),
        counts("n"),
        quote(&format!("{} ", names::keep(entity, &keep.name))),
        counts("c"),
        account(model, id, "c", "= 'active'"),
        there.collect::<Vec<_>>().join("\n        or "),
        refusal(entity, keep, 8),
    )
}

/// Where `left` holds, one has gone: there must be another.
fn last_of_all(model: &Model, id: EntityId, keep: &Keep, left: &str) -> String {
    let entity = &model.entities[id];
    format!(
        "  if {left} then\n    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({}, 0));\n    \
         if not exists (select from {} c where {}{}) then\n      {}\n    end if;\n  end if;",
        quote(&names::keep(entity, &keep.name)),
        names::table(entity),
        counts(model, id, keep, "c"),
        account(model, id, "c", "= 'active'"),
        refusal(entity, keep, 8),
    )
}

fn refusal(entity: &Entity, keep: &Keep, indent: usize) -> String {
    format!(
        "raise exception using errcode = 'restrict_violation', schema = 'app', table = {},\n{}constraint = {}, message = {};",
        quote(&entity.plural),
        " ".repeat(indent),
        quote(&names::keep(entity, &keep.name)),
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
    let counted = if id == model.assignments {
        counted(model, alias)
    } else {
        String::new()
    };
    format!(
        "{}{counted}",
        all(std::iter::once(active).chain(filter)).closed()
    )
}

/// Of roles: and their holder's account has this status.
fn account(model: &Model, id: EntityId, alias: &str, status: &str) -> String {
    let identity = &model.entities[model.identity];
    if id != model.assignments || identity.lifecycle != Lifecycle::SoftDelete {
        return String::new();
    }
    let entity = &model.entities[id];
    format!(
        "\n      and exists (select from {} u where u.id = {alias}.{} and u.status {status})",
        names::table(identity),
        person(model, entity).id_column(),
    )
}
