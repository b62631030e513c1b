//! Whether one rule is implied by another, as far as their structure shows.
//!
//! `false` only means that no implication was found.

use super::{DerivedKind, Entity, EntityId, Exclude, Expr, Model, OfWhat, Relation, Value};

/// The nesting up to which rules are examined; deeper ones count as unknown.
const DEPTH_MAX: usize = 32;

/// Whether everybody who may create a row can read it.
pub fn creator_reads(model: &Model, id: EntityId) -> bool {
    let entity = &model.entities[id];
    match (&entity.access.create, &entity.access.read) {
        (Some(_), Some(read)) => {
            entity.creator.is_some() || implies(model, id, &created(entity, model), read, 0)
        }
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// Whether somebody who changes a row may be unable to read it afterwards.
pub fn hides(model: &Model, id: EntityId) -> bool {
    let entity = &model.entities[id];
    let access = &entity.access;
    let Some(read) = access.read.as_ref().filter(|_| entity.writable()) else {
        return false;
    };
    let changes = [&access.update, &access.restore, &access.suspend];
    let changes = changes.into_iter().flatten().cloned();
    // What `by` says about the column that the transition changes no longer holds afterwards.
    let verbs = (entity.transitions.iter()).map(|t| {
        let columns = t.columns();
        columns.fold(t.by.clone(), |rule, column| {
            without(entity, &rule, column, 0)
        })
    });
    let mut rules = changes.chain(verbs);
    !rules.all(|rule| implies(model, id, &rule, read, 0))
}

/// Whether everybody who may write a row that equals another one in these columns can read them in that other row.
pub fn writer_reads_equals(model: &Model, id: EntityId, columns: &[String]) -> bool {
    writer_reads(model, id, columns, columns)
}

/// Whether everybody who may write a row that the constraint refuses can read the row that it overlaps.
pub fn writer_reads_overlaps(model: &Model, id: EntityId, exclude: &Exclude) -> bool {
    writer_reads(model, id, &exclude.columns, &exclude.tried())
}

/// Whether a body may hold one of these columns.
pub fn is_chosen(entity: &Entity, columns: &[String]) -> bool {
    let chosen = |r: &Relation| !r.of_caller() && !r.system;
    let field = |column: &String| entity.field(column).is_some_and(|f| !f.system);
    let relation = |column: &String| {
        let mut belongs = entity.belongs.iter();
        belongs.any(|r| r.id_column() == *column && chosen(r))
    };
    columns.iter().any(|c| field(c) || relation(c))
}

/// What is still known from a rule when this column may have changed to any value.
fn without(entity: &Entity, rule: &Expr, column: &str, depth: usize) -> Expr {
    let part = |part: &Expr| without(entity, part, column, depth + 1);
    match rule {
        Expr::All(parts) => Expr::All(parts.iter().map(part).collect()),
        Expr::Any(parts) => Expr::Any(parts.iter().map(part).collect()),
        Expr::Condition(index) => {
            let of_it = &entity.conditions[*index].expr;
            match (names(entity, of_it, column, depth), depth < DEPTH_MAX) {
                (false, _) => rule.clone(),
                (true, true) => part(of_it),
                (true, false) => Expr::Anyone,
            }
        }
        other if names(entity, other, column, depth) => Expr::Anyone,
        other => other.clone(),
    }
}

/// Whether the rule looks at the column, also through conditions and derived values.
fn names(entity: &Entity, rule: &Expr, column: &str, depth: usize) -> bool {
    let part = |part: &Expr| names(entity, part, column, depth + 1);
    let leads = |relation: usize| entity.belongs[relation].id_column() == column;
    match rule {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(part),
        Expr::Not(inner) => part(inner),
        Expr::Condition(index) => depth > DEPTH_MAX || part(&entity.conditions[*index].expr),
        Expr::Of { relation, .. } | Expr::MeIs { relation } => leads(*relation),
        Expr::MeHoldsOf { relation, .. } => relation.is_some_and(leads),
        Expr::MeOutranks { relation, of } => relation.is_some_and(leads) || of.is_some_and(leads),
        other => other.columns().iter().any(|named| {
            let flag = entity.derived.iter().find(|derived| derived.name == *named);
            named == column
                || matches!(flag.map(|d| &d.kind), Some(DerivedKind::Flag { expr }) if depth > DEPTH_MAX || part(expr))
        }),
    }
}

/// Whether everybody who may write the columns `tried` of a row that equals another one in the columns `equal` can read
/// all of them in that other row.
fn writer_reads(model: &Model, id: EntityId, equal: &[String], tried: &[String]) -> bool {
    let entity = &model.entities[id];
    let Some(read) = &entity.access.read else {
        return false;
    };
    let writes = tried.iter().filter_map(|c| entity.field(c)?.write.as_ref());
    let update = entity.access.update.iter().cloned();
    let update = update.map(|rule| Expr::All(writes.clone().cloned().chain([rule]).collect()));
    let create = entity
        .access
        .create
        .as_ref()
        .map(|_| created(entity, model));
    let moves = |column: &String| {
        entity.field(column).is_some_and(|f| !f.fixed && !f.system)
            || entity
                .belongs
                .iter()
                .any(|r| r.movable && r.id_column() == *column)
    };
    let updates = tried.iter().any(moves);
    create
        .into_iter()
        .chain(update.filter(|_| updates))
        .all(|rule| {
            let known = about(entity, &rule, equal, 0);
            let sees = |rule: &Expr| implies(model, id, &known, rule, 0);
            let access = &entity.access;
            let moderates = [&access.update, &access.suspend];
            let suspended = Expr::Any(moderates.into_iter().flatten().cloned().collect());
            let guarded = entity.private_columns();
            let mut guarded = guarded.iter().filter(|(name, _)| tried.contains(name));
            sees(read)
                && (access.suspend.is_none() || sees(&suspended))
                && guarded.all(|(_, rule)| sees(rule))
        })
}

/// What is known about a row that somebody creates.
fn created(entity: &Entity, model: &Model) -> Expr {
    let mine = entity.belongs.iter().enumerate();
    let mine = mine.filter(|(_, r)| r.set_me && !r.optional && r.targets == [model.identity]);
    let mine = mine.map(|(relation, _)| Expr::MeIs { relation });
    Expr::All(entity.access.create.iter().cloned().chain(mine).collect())
}

fn implies(model: &Model, id: EntityId, a: &Expr, b: &Expr, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    let conditions = &model.entities[id].conditions;
    let implies = |a: &Expr, b: &Expr| implies(model, id, a, b, depth + 1);
    match (a, b) {
        (Expr::Nobody, _) | (_, Expr::Anyone) => true,
        (a, b) if a == b => true,
        (Expr::Any(parts), b) => parts.iter().all(|a| implies(a, b)),
        (a, Expr::All(parts)) => parts.iter().all(|b| implies(a, b)),
        (a, Expr::Any(parts)) if parts.iter().any(|b| implies(a, b)) => true,
        (Expr::Condition(index), b) => implies(&conditions[*index].expr, b),
        (Expr::All(parts), b) if parts.iter().any(|a| implies(a, b)) => true,
        (a, Expr::Condition(index)) => implies(a, &conditions[*index].expr),
        (
            Expr::MeIs { .. }
            | Expr::MeIsThis
            | Expr::MeHolds { .. }
            | Expr::MeHoldsOf { .. }
            | Expr::MeIn { .. }
            | Expr::MeOutranks { .. },
            Expr::SignedIn,
        ) => true,
        (
            Expr::Of { relation, what },
            Expr::Of {
                relation: other,
                what: wanted,
            },
        ) => {
            relation == other
                && what.iter().all(|(target, what)| {
                    let wanted = wanted.iter().find(|(id, _)| id == target);
                    wanted.is_some_and(|(_, wanted)| *wanted == OfWhat::Read || what == wanted)
                })
        }
        // One of several ways in the middle of a conjunction.
        (Expr::All(parts), b) => parts.iter().enumerate().any(|(at, part)| match part {
            Expr::Any(ways) => ways.iter().all(|way| {
                let mut parts = parts.clone();
                parts[at] = way.clone();
                implies(&Expr::All(parts), b)
            }),
            _ => false,
        }),
        _ => false,
    }
}

/// The part of a rule about these columns and the caller; everything else may or may not hold.
fn about(entity: &Entity, rule: &Expr, columns: &[String], depth: usize) -> Expr {
    let part = |part: &Expr| about(entity, part, columns, depth + 1);
    match rule {
        Expr::All(parts) => Expr::All(parts.iter().map(part).collect()),
        Expr::Any(parts) => Expr::Any(parts.iter().map(part).collect()),
        Expr::Condition(index) if depth < DEPTH_MAX => part(&entity.conditions[*index].expr),
        other if is_about(entity, other, columns) => other.clone(),
        _ => Expr::Anyone,
    }
}

fn is_about(entity: &Entity, expr: &Expr, columns: &[String]) -> bool {
    let relation = |index: usize| columns.contains(&entity.belongs[index].id_column());
    let value = |value: &Value| names_only(entity, value, columns);
    match expr {
        Expr::Anyone | Expr::SignedIn | Expr::Nobody | Expr::MeHolds { .. } => true,
        Expr::MeIs { relation: r } | Expr::Of { relation: r, .. } => relation(*r),
        Expr::MeHoldsOf { relation: r, .. } => r.is_some_and(relation),
        Expr::MeOutranks { relation: r, of } => r.is_some_and(relation) && of.is_none_or(relation),
        Expr::Compare { left, right, .. } => value(left) && value(right),
        Expr::In { value: one, .. } | Expr::IsNull(one) => value(one),
        Expr::Flag(name) => columns.contains(name),
        Expr::Not(_)
        | Expr::All(_)
        | Expr::Any(_)
        | Expr::Condition(_)
        | Expr::MeIsThis
        | Expr::MeIn { .. } => false,
    }
}

fn names_only(entity: &Entity, value: &Value, columns: &[String]) -> bool {
    match value {
        Value::Column(name) => {
            let flag =
                |d: &super::Derived| d.name == *name && matches!(d.kind, DerivedKind::Flag { .. });
            columns.contains(name) && !entity.derived.iter().any(flag)
        }
        Value::Literal(_) => true,
        Value::Related { .. } => false,
        Value::Add(a, b) | Value::Sub(a, b) => {
            names_only(entity, a, columns) && names_only(entity, b, columns)
        }
    }
}
