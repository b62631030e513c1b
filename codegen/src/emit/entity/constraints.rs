//! What a violated constraint of the database means to the caller: one line per constraint.

mod blamed;

use crate::emit::actions;
use crate::emit::openapi::words;
use crate::emit::rust::text;
use crate::emit::schema::{asked_of_state, children, giver, is_live, keep_detail, names};
use crate::model::{
    Change, DerivedKind, Entity, EntityId, Exclude, Expr, Future, Model, Relation, Transition, Ty,
};

/// Only constraints that a checked body can still violate. A violation of any other one is a fault of the server, and
/// is answered as such.
pub fn of(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    if !entity.writable() {
        return Vec::new();
    }
    let mut lines = uniques(model, id);
    lines.extend(exclusions(model, id));
    lines.extend(checks(model, id));
    lines.extend(futures(entity));
    lines.extend(references(model, entity));
    lines.extend(guards(model, id));
    lines.extend(keeps(model, id));
    lines.extend(still_may(model, id));
    lines.extend(quota(entity));
    lines.extend(along(model, id));
    lines.extend(checks_of_parents(model, id));
    lines
}

/// `pub mod constraint`: a constant for the name of each constraint that hand-written code may violate.
pub fn names(entity: &Entity) -> String {
    let uniques = unique_columns(entity).into_iter();
    let exclusions = entity
        .exclude
        .iter()
        .map(|exclude| names::exclusion(entity, &exclude.named()));
    let checks = entity.checks.iter();
    let checks = checks.map(|check| names::check(entity, &check.name, "check"));
    let all: Vec<String> = uniques
        .map(|columns| names::unique(entity, &columns))
        .chain(exclusions)
        .chain(checks)
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let lines: String = all
        .iter()
        .map(|name| {
            let short = name.strip_prefix(&format!("{}_", entity.plural));
            let constant = short.unwrap_or(name).to_uppercase();
            format!("    pub const {constant}: &str = {};\n", text(name))
        })
        .collect();
    format!(
        "\n/// Constraints that a row written by hand can run into.\n#[rustfmt::skip]\npub mod constraint {{\n{lines}}}\n"
    )
}

/// The `when` of a transition in words.
pub fn when(model: &Model, id: EntityId, transition: &Transition) -> Option<String> {
    transition
        .when
        .as_ref()
        .map(|when| words::explain(model, id, when).inline().replace('`', ""))
}

/// Without a column, the error is about the whole body.
fn conflict(name: &str, column: Option<&str>, detail: &str) -> String {
    let pointer = column.map_or_else(String::new, |column| format!("/{column}"));
    format!(
        "Constraint::conflict({}, {}, {})",
        text(name),
        text(&pointer),
        text(detail)
    )
}

fn invalid(name: &str, column: &str, detail: &str) -> String {
    format!(
        "Constraint::invalid({}, {}, {})",
        text(name),
        text(&format!("/{column}")),
        text(detail)
    )
}

/// A check of a counter over rows of the same entity: the row that violates it may be the parent of the row in the
/// request.
fn counted(name: &str, column: &str, detail: &str) -> String {
    let line = invalid(name, column, detail);
    line.replacen("Constraint::invalid", "Constraint::counted", 1)
}

fn unique_columns(entity: &Entity) -> Vec<Vec<String>> {
    let fields = entity
        .fields
        .iter()
        .filter(|field| field.unique)
        .map(|field| vec![field.name.clone()]);
    let relations = entity
        .belongs
        .iter()
        .filter(|r| r.unique)
        .map(|r| r.type_column().into_iter().chain([r.id_column()]).collect());
    fields
        .chain(relations)
        .chain(entity.unique.iter().cloned())
        .collect()
}

fn uniques(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let all = unique_columns(entity);
    let line = |columns: &Vec<String>| {
        // The error points to the last column that a body contains, which is the one that the caller chose: a city's
        // slug, a user's handle.
        let of_caller = |column: &str| {
            let mut relations = entity.belongs.iter();
            relations.any(|r| r.of_caller() && r.id_column() == column)
        };
        let mut chosen = columns.iter().rev().map(String::as_str);
        let blamed = chosen.find(|column| !of_caller(column));
        let what = columns
            .iter()
            .map(|column| words::spaced(column.strip_suffix("_id").unwrap_or(column)))
            .collect::<Vec<_>>();
        let one = words::article(&words::spaced(&entity.name));
        conflict(
            &names::unique(entity, columns),
            blamed,
            &format!(
                "there is already {one} with this {}{}",
                what.join(" and "),
                about(model, id, entity.unique_where(columns))
            ),
        )
    };
    all.iter().map(line).collect()
}

/// Describes the rows that a rule applies to; empty if it applies to all.
fn about(model: &Model, id: EntityId, filter: Option<&Expr>) -> String {
    filter.map_or(String::new(), |filter| {
        let rows = words::explain(model, id, filter).inline();
        format!(" where {}", rows.replace('`', ""))
    })
}

fn exclusions(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let line = |exclude: &Exclude| {
        let detail = format!(
            "overlaps another {} of the same {}{}",
            words::spaced(&entity.name),
            words::spaced(&exclude.columns.join(" and ")),
            about(model, id, exclude.filter.as_ref())
        );
        let order = format!("must be after {}", words::spaced(&exclude.from));
        [
            conflict(
                &names::exclusion(entity, &exclude.named()),
                Some(&exclude.from),
                &detail,
            ),
            invalid(
                &names::check(entity, &exclude.to, "order"),
                &exclude.to,
                &order,
            ),
        ]
    };
    entity.exclude.iter().flat_map(line).collect()
}

fn checks(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let told = |expr| {
        format!(
            "must hold: {}",
            words::explain(model, id, expr).inline().replace('`', "")
        )
    };
    let own = counters_of(entity, id);
    let fields = entity.fields.iter().filter_map(|field| {
        let check = field.check.as_ref()?;
        let answer = match names_one(check, &own) {
            true => counted,
            false => invalid,
        };
        Some(answer(
            &names::check(entity, &field.name, "check"),
            &field.name,
            &told(check),
        ))
    });
    let rows = entity.checks.iter().map(|check| {
        let (name, doc) = (
            names::check(entity, &check.name, "check"),
            check.doc.clone(),
        );
        let told = doc.unwrap_or_else(|| told(&check.expr));
        if !names_one(&check.expr, &own) {
            return invalid(&name, &blamed::column(entity, &check.expr), &told);
        }
        let columns = check.expr.columns();
        let sent = columns.iter().find(|column| entity.field(column).is_some());
        counted(&name, sent.map_or("", String::as_str), &told)
    });
    // Only the database knows which time zones exist.
    let zones = entity
        .fields
        .iter()
        .filter(|field| field.ty == Ty::Timezone && !field.system)
        .map(|field| {
            invalid(
                &names::check(entity, &field.name, "format"),
                &field.name,
                "must be a time zone such as Europe/Berlin",
            )
        });
    // The JSON pointer to the whole body is the empty string.
    zones
        .chain(fields)
        .chain(rows.map(|line| line.replace("\"/\"", "\"\"")))
        .collect()
}

/// Checks of parents that use counters over this entity: creating, changing or archiving a row may violate the check
/// of its parent.
fn checks_of_parents(model: &Model, id: EntityId) -> Vec<String> {
    let mut lines = Vec::new();
    for (parent_id, parent) in model.entities.iter().enumerate() {
        let counted = counters_of(parent, id);
        if counted.is_empty() || parent_id == id {
            continue;
        }
        let fields = parent
            .fields
            .iter()
            .filter_map(|field| Some((field.name.as_str(), field.check.as_ref()?, None)));
        let rows = (parent.checks.iter())
            .map(|check| (check.name.as_str(), &check.expr, check.doc.as_deref()));
        for (name, expr, doc) in fields.chain(rows) {
            if !names_one(expr, &counted) {
                continue;
            }
            let must = || {
                let words = words::explain(model, parent_id, expr).inline();
                format!(
                    "This {} must keep to: {}.",
                    words::spaced(&parent.name),
                    words.replace('`', "")
                )
            };
            lines.push(format!(
                "Constraint::kept({}, {})",
                text(&names::check(parent, name, "check")),
                text(&doc.map_or_else(must, str::to_owned))
            ));
        }
    }
    lines
}

/// Counters of `parent` over rows of this entity.
fn counters_of(parent: &Entity, child: EntityId) -> Vec<&str> {
    let counts = parent.derived.iter().filter(|derived| match derived.kind {
        DerivedKind::Count { has, .. }
        | DerivedKind::Sum { has, .. }
        | DerivedKind::Avg { has, .. } => parent.has[has].child == child,
        DerivedKind::Flag { .. } => false,
    });
    counts.map(|derived| derived.name.as_str()).collect()
}

fn names_one(check: &Expr, counters: &[&str]) -> bool {
    let columns = check.columns();
    columns.iter().any(|c| counters.contains(&c.as_str()))
}

/// The foreign keys of the references, one line per target.
fn references(model: &Model, entity: &Entity) -> Vec<String> {
    let mut lines = Vec::new();
    for relation in entity
        .belongs
        .iter()
        .filter(|relation| !relation.system && !relation.of_caller())
    {
        let blamed = format!("/{}", relation.id_column());
        for target in &relation.targets {
            let there = &model.entities[*target];
            let column = match relation.polymorphic {
                true => names::target_column(relation, there),
                false => relation.id_column(),
            };
            let same = relation
                .same
                .iter()
                .any(|name| there.relation(name).is_some());
            // A composite key replaces the plain one unless a null in it would disable it. A reference that may be
            // changed is refused under the plain name if its new target isn't readable.
            let nullable = relation
                .same
                .iter()
                .any(|name| entity.relation(name).is_none_or(|r| r.optional));
            let plain = !same || nullable || relation.movable;
            let keys = [
                plain.then(|| names::foreign_key(entity, &column, &[])),
                same.then(|| names::foreign_key(entity, &column, &relation.same)),
                is_live(entity, relation, there)
                    .then(|| names::foreign_key(entity, &names::live_column(&column), &[])),
            ];
            let keys = keys
                .iter()
                .flatten()
                .map(|name| format!("Constraint::reference({}, {})", text(name), text(&blamed)));
            lines.push(keys.collect::<Vec<_>>().join(", "));
        }
    }
    lines
}

fn guards(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let mut lines = Vec::new();
    for transition in actions::transitions(entity) {
        if let Change::State { field, from, .. } = &transition.change {
            let detail = format!("only possible while {field} is {}", from.join(" or "));
            lines.push(conflict(
                &names::guard(entity, &transition.name, "from"),
                Some(field),
                &detail,
            ));
        }
        if let Some(when) = when(model, id, transition) {
            lines.push(conflict(
                &names::guard(entity, &transition.name, "when"),
                None,
                &format!("only possible when {when}"),
            ));
        }
    }
    lines
}

/// Times that have to be in the future.
fn futures(entity: &Entity) -> impl Iterator<Item = String> + '_ {
    let fields = entity.fields.iter();
    fields.filter_map(|field| {
        let kind = match field.future? {
            Future::Always => "future",
            Future::OnCreate => "future_on_create",
        };
        let detail = match field.ty {
            Ty::Date => "must be after today, by universal time",
            _ => "must be in the future",
        };
        Some(format!(
            "Constraint::{kind}({}, {}, {})",
            text(&names::future(entity, &field.name)),
            text(&format!("/{}", field.name)),
            text(detail)
        ))
    })
}

/// The `keep` constraints that a change of this entity's rows may violate: its own, and those of entities that
/// archiving cascades to, unless archiving also covers the rows for which they are kept.
fn keeps(model: &Model, id: EntityId) -> Vec<String> {
    let gone = archived_along(model, id);
    let mut lines = Vec::new();
    let keeping = (model.entities.iter().enumerate()).filter(|(_, e)| !e.keeps.is_empty());
    for (of, entity) in keeping {
        let kept = entity.keeps.iter().filter(|keep| {
            let mut others = entity
                .belongs
                .iter()
                .filter(|r| keep.per.as_ref() != Some(&r.name));
            let account = id == model.identity && of == model.assignments && keep.per.is_none();
            of == id || account || others.any(|r| goes_along(r, &gone))
        });
        lines.extend(kept.map(|keep| {
            format!(
                "Constraint::kept({}, {})",
                text(&names::keep(entity, &keep.name)),
                text(&keep_detail(entity, keep))
            )
        }));
    }
    lines
}

fn still_may(model: &Model, id: EntityId) -> Option<String> {
    giver(model, id)?;
    Some(format!(
        "Constraint::kept({}, {})",
        text(&names::still_may(&model.entities[id])),
        text("Whoever offered this can't give it any more. Ask for another offer.")
    ))
}

fn quota(entity: &Entity) -> Option<String> {
    let name = names::quota(entity);
    let detail = format!(
        "You have created {} {} today; the next day begins at midnight UTC.",
        entity.quota?,
        words::spaced(&entity.plural)
    );
    Some(format!(
        "Constraint::quota({}, {})",
        text(&name),
        text(&detail)
    ))
}

/// Rules of rows that archiving a row of this entity cascades to, and that may prevent it.
fn along(model: &Model, id: EntityId) -> Vec<String> {
    let gone = archived_along(model, id);
    let mut lines = Vec::new();
    for (child, entity) in model.entities.iter().enumerate() {
        for relation in entity.belongs.iter().filter(|r| goes_along(r, &gone)) {
            let Some(state) = asked_of_state(model, child, relation) else {
                continue;
            };
            let told = words::explain(model, child, &state).inline();
            let detail = format!(
                "{} that goes along may only be archived when {}.",
                capital(&words::article(&words::spaced(&entity.name))),
                told.replace('`', "")
            );
            lines.push(format!(
                "Constraint::blocked({}, {})",
                text(&names::along(entity, relation)),
                text(&detail)
            ));
        }
    }
    lines
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next();
    first.map_or(String::new(), |c| {
        c.to_uppercase().chain(characters).collect()
    })
}

/// The entity, and all entities that archiving one of its rows cascades to, directly or indirectly.
fn archived_along(model: &Model, id: EntityId) -> Vec<EntityId> {
    let mut found = vec![id];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        for child in children(model, parent) {
            let mut belongs = model.entities[child].belongs.iter();
            if !found.contains(&child) && belongs.any(|relation| goes_along(relation, &[parent])) {
                found.push(child);
            }
        }
    }
    found
}

fn goes_along(relation: &Relation, gone: &[EntityId]) -> bool {
    relation.cascades() && relation.targets.iter().any(|target| gone.contains(target))
}
