//! `keep`: the last row of a kind can't be removed as long as the row that it refers to exists.
//!
//! Checks changes that remove such a row (archiving, suspending, a changed value, a cascade), but doesn't require that
//! there is one: if a parent never had any, later changes are not refused. Roles count only if the holder's account is
//! active. `one per …` doesn't prevent members from closing their account, since nobody can be forced to keep a role;
//! `one everywhere` prevents that too.

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

/// The `keep`s of roles that also protect the holder's account.
pub fn kept_everywhere(assignments: &Entity) -> impl Iterator<Item = &Keep> {
    assignments.keeps.iter().filter(|keep| keep.per.is_none())
}

/// The sentence that callers get; the API finds it by the constraint's name.
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

fn of_rows(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if entity.keeps.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_keep");
    let steps: Vec<String> = entity.keeps.iter().map(|k| step(model, id, k)).collect();
    // Return early if the statement changed no row, since cascades run many such statements.
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
            "Refuses to remove the last row of its kind while its parent exists.",
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

/// When an account ends, its roles don't count any more, although their rows don't change.
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
            "Refuses to close the account of the last holder of a role that must always be held.",
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

/// Checks each parent that lost such a row, always in the same order.
///
/// An advisory lock serializes two members who remove each other: the second one waits, and its next statement then
/// sees what the first did. The parent's row can't serve as the lock, because a transaction that archives the parent
/// holds it while it waits for the rows below.
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

/// If `left` holds, a row that counts has been removed, and another one must exist.
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

/// The condition for a row to count: active, and fulfilling the filter of the spec.
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

/// For roles: the condition that the holder's account has this status.
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
