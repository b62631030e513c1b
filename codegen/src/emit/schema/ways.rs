//! The ways in which the rows of a list name the caller, for lists of which most callers may read few rows.
//!
//! PostgreSQL can't answer a policy such as "is the buyer, or administers the event, or administers the platform" from
//! indexes: it reads the table in the order of the list until the page is full, which is soon for an administrator of the
//! platform and never for a buyer. The engine therefore asks for each way by itself, in one statement. The policy still
//! decides on each row, so a way may lead to rows that the caller may not read, but no readable row may be missing.

use super::{
    mine::{self, Everywhere},
    names, references, seen, sets,
};
use crate::model::{EntityId, Expr, Model, OfWhat};
use crate::objects::Object;

/// How many levels of parent rows are followed.
const DEPTH_MAX: usize = 3;
/// Callers with more ids than this in a set read the table in the order of the list, as those do who may read all of it:
/// many rows are theirs, so a page is full soon. Looking up the newest rows of each id would take longer.
const FEW: usize = 500;
/// The statement contains the policy once for each way, all of which are planned.
const WAYS_MAX: usize = 6;

/// What names the caller in the rows of a list.
#[derive(Default)]
pub struct Ways {
    /// The condition for callers who should read the table in the order of the list.
    pub walks: String,
    /// Queries for ids that depend on the caller, such as the events that the caller administers.
    pub sets: Vec<String>,
    /// A column, and the position of the set of ids that it refers to; `None`: the caller's own id.
    pub by: Vec<(String, Option<usize>)>,
}

/// `None`: some callers may read rows for another reason, or PostgreSQL finds the rows by itself because there is only
/// one way, or there are too many.
pub fn ways(model: &Model, id: EntityId) -> Option<Ways> {
    let (found, functions) = found(model, id)?;
    let mut sets: Vec<String> = Vec::new();
    let mut by = Vec::new();
    for (column, ids) in of_columns(&found) {
        let set = ids.map(|ids| {
            let known = sets.iter().position(|set| *set == ids);
            known.unwrap_or_else(|| {
                sets.push(ids);
                sets.len() - 1
            })
        });
        by.push((column, set));
    }
    let everywhere = mine::bound(model, id, &OfWhat::Read)?;
    let many = functions.iter().map(|(target, what)| {
        let name = seen::name(model, "many", *target, what);
        format!("(select {name}())")
    });
    // Sets that a function counts, which reads no more than it needs, are not counted again.
    let calls: Vec<String> = functions
        .iter()
        .filter_map(|(target, what)| mine::call(model, *target, what))
        .map(|call| format!("select {call}"))
        .collect();
    let mut counted: Vec<&str> = Vec::new();
    for ids in found.iter().filter_map(|(_, ids)| ids.as_deref()) {
        if !counted.contains(&ids) && !calls.iter().any(|call| call == ids) {
            counted.push(ids);
        }
    }
    let count = (!counted.is_empty()).then(|| {
        format!(
            "(select count(*) > {FEW} from ({} limit {}) as s)",
            counted.join(" union all "),
            FEW + 1
        )
    });
    let words = mine::words(model, &everywhere).map(|word| word.line());
    let walks: Vec<String> = words.chain(many).chain(count).collect();
    Some(Ways {
        walks: match walks.is_empty() {
            true => "false".into(),
            false => walks.join(" or "),
        },
        sets,
        by,
    })
}

/// The names of the functions of sets that lists call, and policies perhaps not.
pub(super) fn called(model: &Model) -> Vec<String> {
    let lists = (0..model.entities.len()).filter(|id| !model.entities[*id].internal);
    lists
        .filter_map(|id| found(model, id))
        .flat_map(|(_, functions)| functions)
        .map(|(target, what)| seen::name(model, "mine", target, &what))
        .collect()
}

/// The functions that count sets.
pub(super) fn objects(model: &Model) -> Vec<Object> {
    let lists = (0..model.entities.len()).filter(|id| !model.entities[*id].internal);
    lists
        .filter_map(|id| found(model, id))
        .flat_map(|(_, functions)| functions)
        .filter_map(|(target, what)| mine::many(model, target, &what, FEW))
        .collect()
}

/// A column, and a query for the ids that it may have; `None`: the caller's own.
type Way = (String, Option<String>);

/// Rows of which a policy has a function for those that name the caller.
type Functions = Vec<(EntityId, OfWhat)>;

/// The ways to read rows of an entity.
fn found(model: &Model, id: EntityId) -> Option<(Vec<Way>, Functions)> {
    let everywhere: Everywhere = mine::bound(model, id, &OfWhat::Read)?;
    let mut functions = Functions::new();
    let found = of_rule(model, id, &OfWhat::Read, 0, &mut functions)?;
    // PostgreSQL finds them by itself.
    let alone = found.len() == 1 && found.iter().all(|(_, ids)| ids.is_none());
    let alone = alone && everywhere.is_empty();
    let count = of_columns(&found).len();
    ((1..=WAYS_MAX).contains(&count) && !alone).then_some((found, functions))
}

/// One way for each column, which refers to all of its sets.
fn of_columns(found: &[Way]) -> Vec<Way> {
    let mut columns: Vec<(&str, Option<Vec<&str>>)> = Vec::new();
    for (column, ids) in found {
        let same = (columns.iter_mut())
            .find(|(other, sets)| other == column && sets.is_some() == ids.is_some());
        match (same, ids) {
            (Some((_, Some(sets))), Some(ids)) if !sets.contains(&ids.as_str()) => sets.push(ids),
            (Some(_), _) => {}
            (None, _) => columns.push((column, ids.as_deref().map(|ids| vec![ids]))),
        }
    }
    let joined = |sets: Vec<&str>| sets.join(" union all ");
    let columns = columns.into_iter();
    columns
        .map(|(column, sets)| (column.to_owned(), sets.map(joined)))
        .collect()
}

/// The ways to fulfil a rule that is bounded by the caller.
fn of_rule(
    model: &Model,
    id: EntityId,
    what: &OfWhat,
    depth: usize,
    functions: &mut Functions,
) -> Option<Vec<Way>> {
    let mut found = Vec::new();
    for arm in mine::arms(model, id, &mine::granted(model, id, what)) {
        for way in of_part(model, id, &arm.by, depth, functions)? {
            if !found.contains(&way) {
                found.push(way);
            }
        }
    }
    Some(found)
}

/// The columns by which the rows are found for which this part of a rule holds.
fn of_part(
    model: &Model,
    id: EntityId,
    by: &Expr,
    depth: usize,
    functions: &mut Functions,
) -> Option<Vec<Way>> {
    let entity = &model.entities[id];
    // A list may not name a column that the request role can't read, though a policy may.
    if entity.reads_private(by) {
        return None;
    }
    let column = |relation: usize, target: EntityId| {
        references::column(&entity.belongs[relation], &model.entities[target])
    };
    let held = |role: usize| {
        let role = names::snake(&model.roles[role].name);
        Some(format!("select unnest(sec.scopes_{role}())"))
    };
    Some(match by {
        Expr::MeIs { relation } => vec![(column(*relation, model.identity), None)],
        Expr::MeIsThis => vec![("id".into(), None)],
        Expr::MeHoldsOf {
            role,
            relation: Some(relation),
        } => {
            // A role is only held of what its scopes say.
            let scopes = &model.roles[*role].scopes;
            let targets = entity.belongs[*relation].targets.iter();
            let way = |target: &EntityId| (column(*relation, *target), held(*role));
            targets.filter(|t| scopes.contains(t)).map(way).collect()
        }
        Expr::MeHoldsOf { role, .. } => vec![("id".into(), held(*role))],
        Expr::MeIn { has, me, filter } => {
            let set = sets::name(model, id, *has, me, filter.as_deref());
            vec![("id".into(), Some(format!("select sec.{set}()")))]
        }
        Expr::Of { relation, what } => {
            let mut found = Vec::new();
            for (target, what) in what {
                let ids = of_parent(model, *target, what, depth, functions)?;
                let column = column(*relation, *target);
                found.extend(ids.into_iter().map(|ids| (column.clone(), Some(ids))));
            }
            found
        }
        _ => return None,
    })
}

/// Queries for the parent rows that name the caller; none if no row ever does. Where policies use a function for them, so
/// does this query.
fn of_parent(
    model: &Model,
    target: EntityId,
    what: &OfWhat,
    depth: usize,
    functions: &mut Functions,
) -> Option<Vec<String>> {
    if depth == DEPTH_MAX {
        return None;
    }
    if seen::is_deep(model, target, what) && !mine::is_looked_up(model, target, what) {
        let call = mine::call(model, target, what);
        let function = (target, what.clone());
        if call.is_some() && !functions.contains(&function) {
            functions.push(function);
        }
        return Some(
            call.map(|call| format!("select {call}"))
                .into_iter()
                .collect(),
        );
    }
    let table = names::table(&model.entities[target]);
    let selects = of_rule(model, target, what, depth + 1, functions)?
        .into_iter()
        .map(|(column, ids)| match ids {
            None => format!("select p.id from {table} as p where p.{column} = (select sec.uid())"),
            Some(ids) if column == "id" => ids,
            Some(ids) => {
                format!("select p.id from ({ids}) as m(id) join {table} as p on p.{column} = m.id")
            }
        })
        .collect();
    Some(selects)
}
