//! Checks `unique`, `exclude` and `index`: lists of columns, and the conditions on rows.

use super::Of;
use crate::model::{Entity, Expr, OnArchive, Op, Relation, Ty, Value};
use crate::resolve::Part;

pub fn check(of: &Of) {
    column_lists(of);
    about_own_columns(of);
    keys_fit_an_index(of);
    exclude(of);
    emptied(of);
}

/// Bytes that a key of a B-tree may take. PostgreSQL limits an index row to a third of a page and refuses longer ones
/// when they are written.
pub const KEY_BYTES_MAX: usize = 2_600;

/// The most bytes, in UTF-8, that a column can take in a key.
pub fn key_bytes(entity: &Entity, column: &str) -> usize {
    match entity.field(column).map(|field| &field.ty) {
        Some(Ty::Text { max, .. } | Ty::Code { max, .. }) => *max as usize * 4,
        Some(Ty::Handle { max, .. }) => *max as usize,
        Some(Ty::Url) => 2_000,
        Some(Ty::Email) => 254,
        Some(Ty::Social { .. }) => 300,
        Some(Ty::Slug { .. }) => 100,
        Some(Ty::Json | Ty::Object { .. } | Ty::TextList { .. }) => usize::MAX / 64,
        _ => 64,
    }
}

fn column_lists(of: &Of) {
    for (part, lists, what) in [
        (Part::Unique, &of.entity.unique, "unique"),
        (Part::Index, &of.entity.index, "index"),
    ] {
        for (n, columns) in lists.iter().enumerate() {
            if lists[..n].contains(columns)
                || (part == Part::Index && of.entity.unique.contains(columns))
            {
                of.refuse(
                    part,
                    &columns.join(","),
                    format!("this {what} is here twice"),
                    match what {
                    "unique" if !of.entity.unique_where.is_empty() => {
                        "one `where` with `or` for both, or one list more: add the field that tells them apart"
                    }
                    _ => "remove it: a unique list has an index",
                },
                );
            }
        }
    }
    // Internal rows are not listed by their references, which are indexed only where nothing else is.
    for columns in of.entity.index.iter().filter(|_| !of.entity.internal) {
        let mut references = of.entity.belongs.iter().filter(|r| !r.polymorphic);
        if references.any(|r| *columns == [r.id_column()]) {
            of.refuse(
                Part::Index,
                &columns.join(","),
                "each reference has an index already",
                "remove it, or add columns behind the reference",
            );
        }
    }
    for columns in &of.entity.unique {
        let field = (of.entity.fields.iter())
            .find(|f| f.unique && *columns == [f.name.clone()])
            .map(|f| &f.name);
        let relation = (of.entity.belongs.iter())
            .find(|r| r.unique && columns.iter().eq(&columns_of(r)))
            .map(|r| &r.name);
        if let Some(only) = field.or(relation) {
            of.refuse(
                Part::Unique,
                &columns.join(","),
                format!("`{only}` is unique already"),
                "remove one of the two",
            );
        }
    }
}

fn columns_of(relation: &Relation) -> Vec<String> {
    let kind = relation.type_column().into_iter();
    kind.chain([relation.id_column()]).collect()
}

/// `where` of `unique` and `exclude` may not use counters: a change of other rows would then violate the constraint.
fn about_own_columns(of: &Of) {
    let uniques =
        (of.entity.unique_where.iter()).map(|u| (Part::Unique, u.columns.join(","), &u.filter));
    let excludes = (of.entity.exclude.iter())
        .filter_map(|e| Some((Part::Exclude, e.place(), e.filter.as_ref()?)));
    for (part, place, filter) in uniques.chain(excludes) {
        let own = |column: &String| {
            let mut relations = of.entity.belongs.iter();
            of.entity.field(column).is_some()
                || relations
                    .any(|r| r.id_column() == *column || r.type_column().as_ref() == Some(column))
        };
        if let Some(other) = filter.columns().iter().find(|column| !own(column)) {
            of.refuse(
                part,
                &place,
                format!(
                    "`{other}` can't say which rows this is about: no request writes it by itself"
                ),
                "name fields and relations of the row; archived rows never count",
            );
        }
    }
}

/// A null reference is a value like any other here, so rows whose reference is emptied would clash with each other, and
/// the second of the objects to which they refer could never be archived.
fn emptied(of: &Of) {
    let entity = of.entity;
    let uniques = entity.unique.iter().map(|columns| {
        let filter = entity.unique_where(columns);
        (Part::Unique, columns.join(","), columns.clone(), filter)
    });
    let excludes = entity.exclude.iter().map(|e| {
        let filter = e.filter.as_ref();
        (Part::Exclude, e.place(), e.columns.clone(), filter)
    });
    for (part, place, columns, filter) in uniques.chain(excludes) {
        let cleared = entity.belongs.iter().find(|relation| {
            let id = relation.id_column();
            relation.on_archive == OnArchive::Detach
                && columns.contains(&id)
                // A unique reference by itself: any number of rows may lack it.
                && (part == Part::Exclude || columns != columns_of(relation))
                && !filter.is_some_and(|filter| needs(filter, &id))
        });
        if let Some(relation) = cleared {
            let (name, id) = (&relation.name, relation.id_column());
            of.refuse(
                part,
                &place,
                format!("`on archive detach` empties `{name}`, and rows without one clash here"),
                format!("add `where {id} != null`, or let `{name}` say `on archive cascade` or `restrict`"),
            );
        }
    }
}

/// Whether the condition never holds while the column is null.
fn needs(filter: &Expr, column: &str) -> bool {
    match filter {
        Expr::All(parts) => parts.iter().any(|part| needs(part, column)),
        Expr::Any(parts) => parts.iter().all(|part| needs(part, column)),
        Expr::Not(part) => matches!(&**part, Expr::IsNull(Value::Column(one)) if one == column),
        _ => false,
    }
}

fn exclude(of: &Of) {
    for (n, exclude) in of.entity.exclude.iter().enumerate() {
        let place = exclude.place();
        if of.entity.exclude[..n].iter().any(|e| e.place() == place) {
            of.refuse(
                Part::Exclude,
                &place,
                "this exclude is here twice: both have the same columns and the same start",
                "one `where` with `or` for both, or one column more: add the field that tells them apart",
            );
        }
        let end = |name: &str| {
            of.entity
                .field(name)
                .filter(|f| matches!(f.ty, Ty::Time | Ty::Date))
        };
        if exclude.from == exclude.to {
            of.refuse(
                Part::Exclude,
                &place,
                "this range is empty: it ends where it begins",
                "name the field with its end behind `..`",
            );
            continue;
        }
        if is_later(of.entity, &exclude.from, &exclude.to) {
            of.refuse(
                Part::Exclude,
                &place,
                format!(
                    "this range ends before it begins: a `check` says that `{}` is later",
                    exclude.from
                ),
                format!("write `{}..{}`", exclude.to, exclude.from),
            );
            continue;
        }
        let help = "a range goes from a required field that is a time (or date) to another, which may be optional: \
                    an open end; `created_at` and `updated_at` are no fields";
        match (end(&exclude.from), end(&exclude.to)) {
            (Some(from), Some(to)) if from.ty == to.ty && !from.optional => {}
            _ => of.refuse(Part::Exclude, &place, "this is no range", help),
        }
    }
}

/// Whether a check demands that the one time is later than the other, or not earlier.
fn is_later(entity: &Entity, late: &str, early: &str) -> bool {
    fn says(expr: &Expr, late: &str, early: &str) -> bool {
        match expr {
            Expr::All(parts) => parts.iter().any(|part| says(part, late, early)),
            Expr::Compare {
                left: Value::Column(left),
                op,
                right: Value::Column(right),
            } => match op {
                Op::Gt | Op::Ge => (left, right) == (&late.to_owned(), &early.to_owned()),
                Op::Lt | Op::Le => (right, left) == (&late.to_owned(), &early.to_owned()),
                Op::Eq | Op::Ne => false,
            },
            _ => false,
        }
    }
    let fields = entity.fields.iter().filter_map(|f| f.check.as_ref());
    let mut checks = fields.chain(entity.checks.iter().map(|c| &c.expr));
    checks.any(|expr| says(expr, late, early))
}

fn keys_fit_an_index(of: &Of) {
    for (part, lists) in [
        (Part::Unique, &of.entity.unique),
        (Part::Index, &of.entity.index),
    ] {
        for columns in lists {
            key_fits(of, part, &columns.join(","), columns);
        }
    }
    for exclude in &of.entity.exclude {
        key_fits(of, Part::Exclude, &exclude.place(), &exclude.columns);
        // The index of an exclusion compares places by distance, and not whether they are the same.
        if let Some(point) = exclude.columns.iter().find(|column| is_point(of, column)) {
            of.refuse(
                Part::Exclude,
                &exclude.place(),
                format!("`{point}` is a point, and no exclude compares points"),
                "name what is at the place: a relation, a code, a number",
            );
        }
    }
}

fn is_point(of: &Of, column: &str) -> bool {
    of.entity.field(column).is_some_and(|f| f.ty == Ty::Point)
}

fn key_fits(of: &Of, part: Part, place: &str, columns: &[String]) {
    let bytes: usize = columns.iter().map(|c| key_bytes(of.entity, c)).sum();
    if bytes > KEY_BYTES_MAX && !columns.iter().any(|column| is_point(of, column)) {
        of.refuse(
            part,
            place,
            "these may be too long together for an index",
            format!(
                "shorter texts: {} characters in all; lists and objects are no keys",
                KEY_BYTES_MAX / 4
            ),
        );
    }
}
