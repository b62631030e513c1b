//! What is unique among live rows, what never overlaps, and which orders are quick.

use super::{
    apart::is_apart,
    names,
    object::{constraint, index},
};
use crate::model::{DerivedKind, Entity, EntityId, Exclude, Lifecycle, Model, Ty};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let mut found: Vec<Object> = unique_sets(entity)
        .iter()
        .map(|columns| unique(entity, columns))
        .collect();
    found.extend(
        entity
            .exclude
            .iter()
            .map(|exclude| exclusion(entity, exclude)),
    );
    found.extend(entity.index.iter().map(|columns| extra(model, id, columns)));
    found.extend(sorted(model, id).map(|column| plain(entity, &[column, "id".into()])));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

/// Column lists that no two live rows share: `unique:` and the `unique` modifier.
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

/// What keeps an archived row from coming back: a live row that has its place.
pub struct Clash {
    /// The column to blame.
    pub column: String,
    /// Over the archived row `t`.
    pub condition: String,
}

/// One for each thing that is unique or never overlaps. Slugs that are made of another field are not among them:
/// they get another end.
pub fn clashes(entity: &Entity) -> Vec<Clash> {
    let table = names::table(entity);
    let clash = |column: &str, equal: Vec<String>| Clash {
        column: column.to_owned(),
        condition: format!(
            "exists (select from {table} o where o.status <> 'archived' and {})",
            equal.join(" and ")
        ),
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
            clash(set.last().map_or("", String::as_str), equal.collect())
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
        clash(&exclude.from, equal.chain([overlap]).collect())
    }));
    found
}

fn equal(entity: &Entity, column: &str, null_is_a_value: bool) -> String {
    let field = entity.field(column);
    if field.is_some_and(|f| f.ty == Ty::Email) {
        // The operator of an extension is outside of the empty search path.
        return format!("o.{column} operator(public.=) t.{column}");
    }
    match null_is_a_value && field.is_none() && may_refer_to_nothing(entity, column) {
        true => format!("o.{column} is not distinct from t.{column}"),
        false => format!("o.{column} = t.{column}"),
    }
}

/// The rows that a rule is about.
fn rows(entity: &Entity, columns: &[String]) -> String {
    let live =
        (entity.lifecycle == Lifecycle::SoftDelete).then(|| "status <> 'archived'".to_owned());
    // Where null is a value for references, fields have to be left out by name.
    let filled = (columns.iter())
        .filter(|_| !nulls(entity, columns).is_empty())
        .filter(|c| entity.field(c).is_some_and(|f| f.optional))
        .map(|c| format!("{c} is not null"));
    let conditions: Vec<String> = live.into_iter().chain(filled).collect();
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" where {}", conditions.join(" and ")),
    }
}

fn unique(entity: &Entity, columns: &[String]) -> Object {
    let rest = format!(
        "({}){}{}",
        columns.join(", "),
        nulls(entity, columns),
        rows(entity, columns)
    );
    index(
        &names::table(entity),
        &names::unique(entity, columns),
        true,
        &rest,
    )
}

/// In a list, referring to nothing is a scope like others: one role everywhere, not any number. A field that is
/// empty has nothing to be unique.
fn nulls(entity: &Entity, columns: &[String]) -> &'static str {
    let is_list = entity.unique.iter().any(|set| set == columns) && columns.len() > 1;
    if is_list && columns.iter().any(|c| may_refer_to_nothing(entity, c)) {
        " nulls not distinct"
    } else {
        ""
    }
}

/// A column of an optional reference.
fn may_refer_to_nothing(entity: &Entity, column: &str) -> bool {
    (entity.belongs.iter().filter(|r| r.optional))
        .any(|r| r.id_column() == column || r.type_column().as_deref() == Some(column))
}

/// One that ends in what a list may be sorted by ends in the id too: without it, each page of such a
/// list would read and sort all rows that share the last value of the page before.
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
    let rest = match columns {
        [column] if is_point(entity, column) => format!("using gist ({column})"),
        _ => format!("({})", columns.join(", ")),
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

/// What a list may be sorted by, each with the id that breaks ties; but for what is kept in another table.
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

fn exclusion(entity: &Entity, exclude: &Exclude) -> Object {
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
    let live = if entity.lifecycle == Lifecycle::SoftDelete {
        " where (status <> 'archived')"
    } else {
        ""
    };
    let rest = format!("exclude using gist ({}){live}", parts.join(", "));
    let named: Vec<String> = exclude
        .columns
        .iter()
        .chain([&exclude.from])
        .cloned()
        .collect();
    constraint(
        Kind::Constraint,
        &names::table(entity),
        &names::exclusion(entity, &named),
        &rest,
    )
}

/// Referring to nothing is a scope like others (a rule without a scope is one scope); a field that is empty
/// overlaps with nothing. Booleans have no GiST class.
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
