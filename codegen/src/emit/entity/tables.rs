//! Filters, sort orders and relations of an entity, one line each.

use crate::emit::columns::{self, Source};
use crate::emit::rust::{option, pascal, text, texts};
use crate::emit::schema::rules::{Context, compile};
use crate::emit::schema::{self, counters_table, is_apart, names};
use crate::model::{Derived, DerivedKind, Entity, EntityId, Has, Lifecycle, Model, Relation, Ty};

use super::types::enum_name;

pub fn filters(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let line = |param: &str, sql: &str, kind: &str| {
        format!("Filter::new({}, {}, {kind})", text(param), text(sql))
    };
    let looked_up = |value: &str| {
        let counters = counters_table(entity);
        format!("(select {value} from {counters} as counts where counts.id = t.id)")
    };
    let projection = names::projection(entity);
    let mut lines = Vec::new();
    if schema::searched(entity) {
        lines.push(line("q", &names::search(entity), "Kind::Search"));
    }
    for column in columns::row(entity) {
        let name = column.name();
        let sql = format!("t.{name}");
        let filters = lines.len();
        match column.source {
            Source::Field(field) if field.filter && field.ty == Ty::Point => {
                let mut line = line(&name, &projection, "Kind::Point");
                if field.beside.is_some() {
                    line.push_str(&format!(".or_in({})", text(&names::beside(entity))));
                }
                lines.push(line)
            }
            // The text is compared in the collation that the list is sorted by, so that the same index serves both.
            Source::Field(field) if field.filter => lines.push(line(
                &name,
                &format!("t.{}", schema::as_sorted(entity, &name)),
                &kind(entity, &name, &field.ty),
            )),
            Source::TypeOf(relation) if relation.filter => {
                let words = format!(
                    "Kind::Enum({}{}Type::WORDS)",
                    pascal(&entity.name),
                    pascal(&relation.name)
                );
                lines.push(line(&name, &sql, &words));
            }
            Source::IdOf(relation) if relation.filter => {
                lines.push(line(&name, &sql, "Kind::Uuid"))
            }
            // Looked up by the row's id, so that the filter needs no join in statements that only count.
            Source::Derived(derived) if derived.filter && is_apart(model, id, derived) => {
                let value = looked_up(&derived_sql(model, id, derived));
                lines.push(line(&name, &value, derived_kind(derived)));
            }
            Source::Derived(derived) if derived.filter => lines.push(line(
                &name,
                &derived_sql(model, id, derived),
                derived_kind(derived),
            )),
            _ => {}
        }
        if column.optional() && lines.len() > filters {
            let null = match column.source {
                Source::Derived(derived) if is_apart(model, id, derived) => {
                    looked_up(&format!("counts.{name}"))
                }
                _ => sql,
            };
            if let Some(line) = lines.last_mut() {
                line.push_str(&format!(".nullable({})", text(&null)));
            }
        }
    }
    lines
}

pub fn sorts(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let line = |name: &str, sql: &str, kind: &str| {
        format!("Sort::new({}, {}, {kind})", text(name), text(sql))
    };
    let mut lines = Vec::new();
    for column in columns::row(entity) {
        let name = column.name();
        match column.source {
            Source::Field(field) if field.sort => lines.push(line(
                &name,
                &format!("t.{}", schema::as_sorted(entity, &name)),
                &kind(entity, &name, &field.ty),
            )),
            Source::Derived(derived) if derived.sort => {
                lines.push(line(
                    &name,
                    &derived_sql(model, id, derived),
                    derived_kind(derived),
                ));
            }
            _ => {}
        }
    }
    lines
}

pub fn expands(model: &Model, entity: &Entity) -> Vec<String> {
    // A relation that a body may set must be known here even if none of its targets can be expanded.
    let given =
        |relation: &Relation| entity.writable() && !relation.of_caller() && !relation.system;
    let open = |relation: &&Relation| {
        (!relation.hidden || given(relation))
            && relation
                .targets
                .iter()
                .any(|id| !model.entities[*id].internal)
    };
    let line = |relation: &Relation| {
        let targets = relation
            .targets
            .iter()
            .filter(|id| !model.entities[**id].internal);
        let targets: Vec<&str> = targets
            .map(|id| model.entities[*id].name.as_str())
            .collect();
        let (name, column, targets) = (
            text(&relation.name),
            text(&relation.id_column()),
            texts(&targets),
        );
        let hidden = if relation.hidden { ".hidden()" } else { "" };
        match relation.type_column() {
            Some(ty) => format!(
                "Expand::to_one_of({name}, {column}, {}, {targets}){hidden}",
                text(&ty)
            ),
            None => format!("Expand::to({name}, {column}, {targets}){hidden}"),
        }
    };
    let belongs = entity.belongs.iter().filter(open).map(line);
    let firsts = (0..entity.firsts.len()).map(|n| first(model, entity, n));
    belongs.chain(firsts).collect()
}

/// The statement finds the ids of the first children of several rows, each with one look into an index.
fn first(model: &Model, entity: &Entity, n: usize) -> String {
    let first = &entity.firsts[n];
    let has = &entity.has[first.has];
    let child = &model.entities[has.child];
    let via = (child.relation(&has.via)).expect("checked: has names a relation of its child");
    let of_type = via.type_column();
    let of_type = of_type.map(|column| format!("t.{column} = '{}'", entity.name));
    let live = (child.lifecycle == Lifecycle::SoftDelete).then(|| "t.status = 'active'".to_owned());
    let filter = first.filter.iter().map(|filter| {
        let filter = compile(model, has.child, filter, "t", Context::Policy);
        match filter.contains(" or ") {
            true => format!("({filter})"),
            false => filter,
        }
    });
    let of = format!("t.{} = o.id", via.id_column());
    let conditions: Vec<String> = of_type
        .into_iter()
        .chain([of])
        .chain(live)
        .chain(filter)
        .collect();
    let pick = format!(
        "select f.id from unnest($1::uuid[]) as o (id) cross join lateral (select t.id from app.{} as t where {} order by t.{}, t.id limit 1) as f",
        child.plural,
        conditions.join(" and "),
        first.by
    );
    format!(
        "Expand::first({}, {}, {}, {})",
        text(&first.name),
        text(&via.id_column()),
        texts(&[child.name.as_str()]),
        text(&pick)
    )
}

/// Lists that the body of a create may contain.
pub fn together(model: &Model, entity: &Entity) -> Vec<String> {
    let line = |has: &Has| {
        let child = &model.entities[has.child];
        let via = child.relation(&has.via)?;
        Some(format!(
            "Together {{ name: {}, entity: {}, column: {}, type_column: {}, max: {} }}",
            text(&has.name),
            text(&child.name),
            text(&via.id_column()),
            option(via.type_column().map(|column| text(&column))),
            has.create_with?
        ))
    };
    entity.has.iter().filter_map(line).collect()
}

pub fn children(model: &Model, entity: &Entity) -> Vec<String> {
    let line = |has: &Has| {
        let child = &model.entities[has.child];
        let relation = child.relation(&has.via).filter(|_| model.is_listed(has))?;
        let column = match relation.polymorphic {
            true => names::target_column(relation, entity),
            false => relation.id_column(),
        };
        let path = text(&crate::names::kebab(&has.name));
        Some(format!(
            "Child::new({path}, {}, {})",
            text(&child.name),
            text(&format!("t.{column}"))
        ))
    };
    entity.has.iter().filter_map(line).collect()
}

fn kind(entity: &Entity, name: &str, ty: &Ty) -> String {
    let formatted = |format: &str| format!("Kind::Formatted(kernel::input::Format::{format})");
    match ty {
        Ty::Int { .. } => "Kind::Int".into(),
        Ty::Bigint { .. } | Ty::Money { .. } => "Kind::Bigint".into(),
        Ty::Decimal { .. } => "Kind::Decimal".into(),
        Ty::Bool => "Kind::Bool".into(),
        Ty::Time => "Kind::Time".into(),
        Ty::Date => "Kind::Date".into(),
        Ty::Uuid => "Kind::Uuid".into(),
        Ty::Enum { .. } | Ty::States { .. } => {
            format!("Kind::Enum({}::WORDS)", enum_name(entity, name))
        }
        Ty::Url => formatted("Url"),
        Ty::Email => formatted("Email"),
        Ty::Phone => formatted("Phone"),
        Ty::Currency => formatted("Currency"),
        Ty::Slug { .. } => formatted("Slug"),
        Ty::Country => formatted("Country"),
        Ty::Locale => formatted("Locale"),
        Ty::Timezone => formatted("Timezone"),
        Ty::LocalTime => formatted("LocalTime"),
        Ty::Code { .. } => formatted("Code"),
        Ty::Handle { .. } => formatted("Handle"),
        Ty::Social { network } => formatted(&network.to_ascii_uppercase()),
        _ => "Kind::Text".into(),
    }
}

fn derived_sql(model: &Model, id: EntityId, derived: &Derived) -> String {
    let kept = |derived: &Derived| match is_apart(model, id, derived) {
        true => format!("counts.{}", derived.name),
        false => format!("t.{}", derived.name),
    };
    match &derived.kind {
        DerivedKind::Flag { expr } => format!(
            "coalesce({}, false)",
            compile(model, id, expr, "t", Context::Policy)
        ),
        // Sort keys must not be null: a row without an average sorts as 0.
        DerivedKind::Avg { .. } => format!("coalesce({}, 0)", kept(derived)),
        _ => kept(derived),
    }
}

fn derived_kind(derived: &Derived) -> &'static str {
    match derived.kind {
        DerivedKind::Flag { .. } => "Kind::Bool",
        DerivedKind::Avg { .. } => "Kind::Decimal",
        DerivedKind::Count { .. } | DerivedKind::Sum { .. } => "Kind::Bigint",
    }
}
