//! Unique and exclusion constraints over live rows, and the indexes that the spec asks for.

use super::{
    apart::is_apart,
    names,
    object::{constraint, index},
    rules::{Context, compile},
};
use crate::model::{DerivedKind, Entity, EntityId, Exclude, Expr, Lifecycle, Model, Ty};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let mut found: Vec<Object> = unique_sets(entity)
        .iter()
        .map(|columns| unique(model, id, columns))
        .collect();
    found.extend(
        entity
            .exclude
            .iter()
            .map(|exclude| exclusion(model, id, exclude)),
    );
    found.extend(entity.index.iter().map(|columns| extra(model, id, columns)));
    found.extend(sorted(model, id).map(|column| plain(entity, &[column, "id".into()])));
    let unique = unique_sets(entity);
    let addresses = (entity.fields.iter())
        .filter(|f| is_address(entity, &f.name) && !f.sort)
        .filter(|f| !unique.iter().any(|set| set.contains(&f.name)));
    found.extend(addresses.map(|f| plain(entity, std::slice::from_ref(&f.name))));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// Sets of columns whose values no two live rows share: `unique:` and the `unique` modifier.
pub fn unique_sets(entity: &Entity) -> Vec<Vec<String>> {
    let mut sets: Vec<Vec<String>> = Vec::new();
    sets.extend(
        entity
            .fields
            .iter()
            .filter(|f| f.unique)
            .map(|f| vec![f.name.clone()]),
    );
    for relation in entity.belongs.iter().filter(|r| r.unique) {
        sets.push(
            relation
                .type_column()
                .into_iter()
                .chain([relation.id_column()])
                .collect(),
        );
    }
    sets.extend(entity.unique.iter().cloned());
    let mut seen = Vec::new();
    sets.retain(|set| {
        !seen.contains(set) && {
            seen.push(set.clone());
            true
        }
    });
    sets
}

/// Whether an index over all rows begins with the column: one declared in the spec, or a unique one without a
/// condition.
pub fn is_led_by(model: &Model, id: EntityId, column: &str) -> bool {
    let entity = &model.entities[id];
    let begins = |columns: &[String]| columns.first().is_some_and(|first| first == column);
    let mut uniques = unique_sets(entity).into_iter();
    entity.index.iter().any(|columns| begins(columns))
        || uniques
            .any(|set| begins(&address_first(entity, &set)) && rows(model, id, &set).is_empty())
}

/// Whether an index finds the live rows with a given value of the column. Lists contain live rows only.
pub(super) fn finds_live(model: &Model, id: EntityId, column: &str) -> bool {
    let entity = &model.entities[id];
    let of_live_rows = |set: &[String]| {
        let rows = rows(model, id, set);
        rows.is_empty() || rows == " where status <> 'archived'"
    };
    let mut uniques = unique_sets(entity).into_iter();
    is_led_by(model, id, column)
        || uniques.any(|set| {
            address_first(entity, &set).first().map(String::as_str) == Some(column)
                && of_live_rows(&set)
        })
}

/// A reason why an archived row can't be restored: a live row has its unique value or overlaps it.
pub struct Clash {
    /// The column that the error names.
    pub column: String,
    /// The SQL condition over the archived row `t`.
    pub condition: String,
}

/// One for each unique set and exclusion constraint. Slugs that are made of another field are not included: they get
/// another ending.
pub fn clashes(model: &Model, id: EntityId) -> Vec<Clash> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let clash = |column: &str, equal: Vec<String>, filter: Option<&Expr>| {
        // Both rows must fulfil the filter of the constraint.
        let about = filter.map(|filter| {
            let of = |row: &str| format!(" and {}", about(model, id, filter, row));
            of("o") + &of("t")
        });
        Clash {
            column: column.to_owned(),
            condition: format!(
                "exists (select from {table} o where o.status <> 'archived' and {}{})",
                equal.join(" and "),
                about.unwrap_or_default()
            ),
        }
    };
    let is_made = |column: &String| {
        let field = entity.field(column);
        field.is_some_and(|f| matches!(f.ty, Ty::Slug { from: Some(_) }))
    };
    let sets = unique_sets(entity)
        .into_iter()
        .filter(|set| !set.iter().any(is_made));
    let mut found: Vec<Clash> = sets
        .map(|set| {
            let null_is_a_value = !nulls(entity, &set).is_empty();
            let equal = set
                .iter()
                .map(|column| equal(entity, column, null_is_a_value));
            let column = set.last().map_or("", String::as_str);
            clash(column, equal.collect(), entity.unique_where(&set))
        })
        .collect();
    found.extend(entity.exclude.iter().map(|exclude| {
        let range = |row: &str| {
            format!(
                "pg_catalog.{}({row}.{}, {row}.{}, '[)')",
                range_type(entity, &exclude.from),
                exclude.from,
                exclude.to
            )
        };
        let equal = exclude.columns.iter().map(|column| {
            format!(
                "{} = {}",
                comparable(entity, "o.", column),
                comparable(entity, "t.", column)
            )
        });
        let overlap = format!("{} && {}", range("o"), range("t"));
        let equal = equal.chain([overlap]).collect();
        clash(&exclude.from, equal, exclude.filter.as_ref())
    }));
    found
}

/// The condition of `where` in parentheses.
pub(super) fn about(model: &Model, id: EntityId, filter: &Expr, row: &str) -> String {
    format!("({})", compile(model, id, filter, row, Context::Definer))
}

/// The column in the collation that lists are sorted by: the root collation of Unicode for texts, not the order of
/// code points.
pub fn as_sorted(entity: &Entity, column: &str) -> String {
    let field = entity.field(column);
    match field.is_some_and(|f| f.sort && matches!(f.ty, Ty::Text { .. })) {
        true => format!("{column} collate \"und-x-icu\""),
        false => column.to_owned(),
    }
}

fn equal(entity: &Entity, column: &str, null_is_a_value: bool) -> String {
    match null_is_a_value && entity.field(column).is_none() && may_refer_to_nothing(entity, column)
    {
        true => format!("o.{column} is not distinct from t.{column}"),
        false => format!("o.{column} = t.{column}"),
    }
}

/// The `where` clause for the rows that a unique set applies to.
fn rows(model: &Model, id: EntityId, columns: &[String]) -> String {
    let entity = &model.entities[id];
    let live =
        (entity.lifecycle == Lifecycle::SoftDelete).then(|| "status <> 'archived'".to_owned());
    // If null counts as a value of references, rows with null fields are excluded explicitly.
    let filled = (columns.iter())
        .filter(|_| !nulls(entity, columns).is_empty())
        .filter(|c| entity.field(c).is_some_and(|f| f.optional))
        .map(|c| format!("{c} is not null"));
    let filter = entity.unique_where(columns);
    let filter = filter.map(|filter| about(model, id, filter, ""));
    let conditions: Vec<String> = live.into_iter().chain(filled).chain(filter).collect();
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" where {}", conditions.join(" and ")),
    }
}

fn unique(model: &Model, id: EntityId, columns: &[String]) -> Object {
    let entity = &model.entities[id];
    let rest = format!(
        "({}){}{}",
        address_first(entity, columns).join(", "),
        nulls(entity, columns),
        rows(model, id, columns)
    );
    index(
        &names::table(entity),
        &names::unique(entity, columns),
        true,
        &rest,
    )
}

/// The order of the columns in the index: a slug that lists are filtered by comes first, because it is looked up
/// without its scope too.
fn address_first(entity: &Entity, columns: &[String]) -> Vec<String> {
    let (mut first, rest): (Vec<_>, Vec<_>) =
        (columns.iter().cloned()).partition(|column| is_address(entity, column));
    first.extend(rest);
    first
}

/// Whether the column is a slug that lists are filtered by.
fn is_address(entity: &Entity, column: &str) -> bool {
    let field = entity.field(column);
    field.is_some_and(|f| f.filter && matches!(f.ty, Ty::Slug { .. }))
}

/// In a set of several columns, a null reference counts as a value of its own: a role can be held everywhere once, not
/// any number of times. A null field is never equal to another.
fn nulls(entity: &Entity, columns: &[String]) -> &'static str {
    let is_list = entity.unique.iter().any(|set| set == columns) && columns.len() > 1;
    if is_list && columns.iter().any(|c| may_refer_to_nothing(entity, c)) {
        " nulls not distinct"
    } else {
        ""
    }
}

/// Whether this is a column of an optional relation.
fn may_refer_to_nothing(entity: &Entity, column: &str) -> bool {
    (entity.belongs.iter().filter(|r| r.optional))
        .any(|r| r.id_column() == column || r.type_column().as_deref() == Some(column))
}

/// An index of the spec. If its last column is one that lists can be sorted by, the id is added: without it, each page
/// of such a list would read and sort all rows that have the last value of the page before.
fn extra(model: &Model, id: EntityId, columns: &[String]) -> Object {
    let entity = &model.entities[id];
    let pages = columns
        .last()
        .is_some_and(|last| sorted(model, id).any(|column| column == *last));
    if !pages {
        return plain(entity, columns);
    }
    let with_id: Vec<String> = columns.iter().cloned().chain(["id".into()]).collect();
    plain(entity, &with_id)
}

fn plain(entity: &Entity, columns: &[String]) -> Object {
    let parts: Vec<String> = columns.iter().map(|c| as_sorted(entity, c)).collect();
    let rest = match columns {
        [column] if is_point(entity, column) => format!("using gist ({column})"),
        _ => format!("({})", parts.join(", ")),
    };
    index(
        &names::table(entity),
        &names::index(entity, columns),
        false,
        &rest,
    )
}

fn is_point(entity: &Entity, column: &str) -> bool {
    entity.field(column).is_some_and(|f| f.ty == Ty::Point)
}

/// Columns that lists can be sorted by and that are stored in this table. Each index on them ends in the id, which
/// breaks ties.
fn sorted(model: &Model, id: EntityId) -> impl Iterator<Item = String> + '_ {
    let entity = &model.entities[id];
    let fields = entity
        .fields
        .iter()
        .filter(|f| f.sort)
        .map(|f| f.name.clone());
    let derived = entity.derived.iter().filter(move |d| {
        d.sort && !matches!(d.kind, DerivedKind::Flag { .. }) && !is_apart(model, id, d)
    });
    fields.chain(derived.map(|d| d.name.clone()))
}

fn exclusion(model: &Model, id: EntityId, exclude: &Exclude) -> Object {
    let entity = &model.entities[id];
    let equal = exclude
        .columns
        .iter()
        .map(|column| format!("{} with =", comparable(entity, "", column)));
    let range = format!(
        "{}({}, {}, '[)') with &&",
        range_type(entity, &exclude.from),
        exclude.from,
        exclude.to
    );
    let parts: Vec<String> = equal.chain([range]).collect();
    let live =
        (entity.lifecycle == Lifecycle::SoftDelete).then(|| "status <> 'archived'".to_owned());
    let filter = exclude.filter.as_ref();
    let filter = filter.map(|filter| about(model, id, filter, ""));
    let rows: Vec<String> = live.into_iter().chain(filter).collect();
    let rows = match rows.is_empty() {
        true => String::new(),
        false => format!(" where ({})", rows.join(" and ")),
    };
    let rest = format!("exclude using gist ({}){rows}", parts.join(", "));
    constraint(
        Kind::Constraint,
        &names::table(entity),
        &names::exclusion(entity, &exclude.named()),
        &rest,
    )
}

/// An expression that an exclusion constraint can compare for equality. A null reference counts as a value of its own,
/// so rows without a scope exclude each other; a null field overlaps with nothing. Booleans have no GiST operator
/// class.
fn comparable(entity: &Entity, row: &str, column: &str) -> String {
    let plain = format!("{row}{column}");
    let nil = "'00000000-0000-0000-0000-000000000000'::uuid";
    let or = |value: &str| format!("(coalesce({plain}, {value}))");
    match entity.field(column).map(|field| &field.ty) {
        None if !may_refer_to_nothing(entity, column) => plain,
        None if column.ends_with("_type") => or("''"),
        None => or(nil),
        Some(Ty::Bool) => format!("({plain}::int)"),
        Some(_) => plain,
    }
}

fn range_type(entity: &Entity, from: &str) -> &'static str {
    match entity.field(from).map(|f| &f.ty) {
        Some(Ty::Date) => "daterange",
        Some(Ty::Int { .. }) => "int4range",
        Some(Ty::Bigint { .. } | Ty::Money { .. }) => "int8range",
        Some(Ty::Decimal { .. }) => "numrange",
        _ => "tstzrange",
    }
}
