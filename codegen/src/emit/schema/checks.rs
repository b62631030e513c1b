//! CHECK constraints: formats and bounds of fields, invariants of rows, closed JSON objects.
//!
//! PostgreSQL plans a check anew for every statement, so a short expression costs less than a long one: each field has
//! one function for all conditions on a text, or one array of all allowed values.

use super::{
    columns::{LIVE_KEY, OPEN_KEY},
    later,
    names::{self, Roles},
    object::{Function, constraint, quote, quoted_list},
    predicate::{Sql, all, atom},
    references::has_live_children,
    rules::{Context, Scope, predicate},
};
use crate::model::{Entity, EntityId, Expr, Field, Lifecycle, Model, Relation, Ty};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let check = |column: &str, kind: &str, condition: String| {
        let name = names::check(entity, column, kind);
        constraint(
            Kind::Constraint,
            &table,
            &name,
            &format!("check ({condition})"),
        )
    };
    let row = |expr: &Expr| {
        predicate(
            model,
            Scope {
                entity: id,
                alias: "",
                context: Context::Definer,
            },
            expr,
        )
        .block(4)
    };
    let mut found = Vec::new();
    if entity.lifecycle == Lifecycle::SoftDelete {
        found.push(check(
            "status",
            "choice",
            choice("status", &["active", "suspended", "archived"]),
        ));
    }
    if has_live_children(model, id) {
        let live = "(live_key is true) = (status <> 'archived')";
        found.push(check(LIVE_KEY, "check", live.into()));
    }
    if later::has_any(model, id) {
        let open = "open_key is true or status = 'archived'";
        found.push(check(OPEN_KEY, "check", open.into()));
    }
    for relation in entity.belongs.iter().filter(|r| r.polymorphic) {
        found.extend(targets(model, entity, relation));
    }
    for field in &entity.fields {
        if let Some((kind, condition)) = bounds(model, field, &field.name) {
            found.push(check(&field.name, kind, condition));
        }
        if let Some(expr) = &field.check {
            found.push(check(&field.name, "check", row(expr)));
        }
    }
    found.extend(
        entity
            .checks
            .iter()
            .map(|c| check(&c.name, "check", row(&c.expr))),
    );
    found.extend(entity.exclude.iter().map(|exclude| {
        let condition = format!("{} > {}", exclude.to, exclude.from);
        check(&exclude.to, "order", condition)
    }));
    found
}

/// A function for each closed object: `sec.is_social_links(jsonb)`. It is in PL/pgSQL, like all functions that checks
/// call, because PostgreSQL plans a check for every statement and would parse a function in SQL each time in order to
/// inline it. It is strict, since null satisfies every check.
pub fn object_functions(model: &Model) -> Vec<Object> {
    let roles = Roles(&model.app);
    (model.objects.iter())
        .map(|object| {
            let keys: Vec<&String> = object.fields.iter().map(|f| &f.name).collect();
            let fields = object.fields.iter().map(|field| object_field(model, field));
            // `case`, because `-` and `->` fail on values that aren't objects.
            let condition = all(std::iter::once(atom(format!(
                "p_value - array[{}] = '{{}}'",
                quoted_list(keys.iter().copied())
            )))
            .chain(fields));
            Function {
                kind: Kind::Function,
                name: &format!("sec.is_{}", object.name),
                arguments: "p_value jsonb",
                returns: "boolean",
                attributes: "language plpgsql immutable strict parallel safe",
                definer: None,
                callers: Vec::new(),
                doc: "An object with these keys only, each with its format.",
                body: format!(
                    "begin\n  return case when jsonb_typeof(p_value) <> 'object' then false else\n    {}\n  end;\nend",
                    condition.block(4)
                ),
            }
            .object(roles)
        })
        .collect()
}

fn targets(model: &Model, entity: &Entity, relation: &Relation) -> Vec<Object> {
    let (table, id_column) = (names::table(entity), relation.id_column());
    let type_column = relation.type_column().expect("it is polymorphic");
    let kinds = relation
        .targets
        .iter()
        .map(|&t| model.entities[t].name.as_str());
    let kinds: Vec<&str> = kinds.collect();
    let check = |kind: &str, condition: String| {
        let name = names::check(entity, &type_column, kind);
        constraint(
            Kind::Constraint,
            &table,
            &name,
            &format!("check ({condition})"),
        )
    };
    let mut found = vec![check("choice", choice(&type_column, &kinds))];
    if relation.optional {
        found.push(check(
            "pair",
            format!("({type_column} is null) = ({id_column} is null)"),
        ));
    }
    found
}

/// The condition that a field's type imposes on its value, with the kind of the constraint.
fn bounds(model: &Model, field: &Field, value: &str) -> Option<(&'static str, String)> {
    let format = |function: &str| Some(("format", format!("sec.is_{function}({value})")));
    match &field.ty {
        Ty::Text { min, max } => Some(("length", format!("sec.is_text({value}, {min}, {max})"))),
        Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max } => {
            range(value, *min, *max).map(|condition| ("range", condition))
        }
        Ty::Url => format("url"),
        Ty::Email => Some(("format", format!("sec.is_email({value})"))),
        Ty::Phone => format("phone"),
        Ty::Social { network } => {
            let network = quote(network);
            Some(("format", format!("sec.is_social({value}, {network})")))
        }
        Ty::LocalTime => format("local_time"),
        Ty::Code { min, max } => Some((
            "format",
            format!("sec.is_text({value}, {min}, {max}) and sec.is_code({value})"),
        )),
        Ty::Handle { min, max } => {
            Some(("format", format!("sec.is_handle({value}, {min}, {max})")))
        }
        // Fields that no body contains are written by the platform, so their times need no bounds.
        Ty::Time if !field.system => Some((
            "range",
            format!(
                "{value} >= '1900-01-01 00:00:00+00'::timestamptz and {value} < '2201-01-01 00:00:00+00'::timestamptz"
            ),
        )),
        Ty::Date if !field.system => Some((
            "range",
            format!("{value} between '1900-01-01'::date and '2200-12-31'::date"),
        )),
        Ty::Slug { .. } => format("slug"),
        Ty::Currency => format("currency"),
        Ty::Country => format("country"),
        Ty::Locale => format("locale"),
        Ty::Timezone => format("timezone"),
        Ty::Enum { values } | Ty::States { values } => Some(("choice", choice(value, values))),
        Ty::Object { object } => Some((
            "format",
            format!("sec.is_{}({value})", model.objects[*object].name),
        )),
        Ty::TextList { max, count } => Some((
            "length",
            format!("sec.is_text_list({value}, {max}, {count})"),
        )),
        Ty::Bool | Ty::Time | Ty::Date | Ty::Uuid | Ty::Json | Ty::Decimal { .. } | Ty::Point => {
            None
        }
    }
}

/// Whether the value is one of the words. Words need no quotes in the text of an array, except `null`.
fn choice(value: &str, words: &[impl AsRef<str>]) -> String {
    let quoted = |word: &str| match word.eq_ignore_ascii_case("null") {
        true => format!("\"{word}\""),
        false => word.to_owned(),
    };
    let words: Vec<String> = words.iter().map(|word| quoted(word.as_ref())).collect();
    format!("{value} = any ('{{{}}}'::text[])", words.join(","))
}

fn range(value: &str, min: Option<i64>, max: Option<i64>) -> Option<String> {
    match (min, max) {
        (Some(min), Some(max)) => Some(format!("{value} between {min} and {max}")),
        (Some(min), None) => Some(format!("{value} >= {min}")),
        (None, Some(max)) => Some(format!("{value} <= {max}")),
        (None, None) => None,
    }
}

/// The key's JSON type, and the format of its text. An optional key may be absent or null.
fn object_field(model: &Model, field: &Field) -> Sql {
    let key = quote(&field.name);
    let text = format!("p_value ->> {key}");
    let numeric = format!("({text})::numeric");
    let (json, value) = match field.ty {
        Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } | Ty::Decimal { .. } => {
            ("number", numeric)
        }
        Ty::Bool => ("boolean", text.clone()),
        _ => ("string", format!("({text})")),
    };
    let mut tests = match field.ty {
        // Pages show the links in objects, so they must be https.
        Ty::Url => vec![format!("sec.is_https({text})")],
        Ty::Email => vec![format!("sec.is_email({text})")],
        // Objects contain times as text.
        Ty::Json | Ty::Object { .. } | Ty::TextList { .. } | Ty::Time | Ty::Date => Vec::new(),
        _ => bounds(model, field, &value)
            .map(|b| b.1)
            .into_iter()
            .collect(),
    };
    if let Ty::Object { object } = field.ty {
        tests = vec![format!(
            "sec.is_{}(p_value -> {key})",
            model.objects[object].name
        )];
    } else if let Ty::TextList { max, count } = field.ty {
        tests = vec![text_list(&key, max, count)];
    } else if field.ty != Ty::Json {
        tests.insert(0, format!("jsonb_typeof(p_value -> {key}) = '{json}'"));
    }
    if tests.is_empty() {
        return if field.optional {
            Sql::True
        } else {
            atom(format!("p_value ? {key}"))
        };
    }
    // `case` fixes the order: the type is tested before the value is cast.
    let tested = if tests.len() > 1 {
        format!(
            "case when {} then {} else false end",
            tests[0],
            tests[1..].join(" and ")
        )
    } else {
        tests.remove(0)
    };
    let absent = if field.optional { "true" } else { "false" };
    atom(format!(
        "case when {text} is null then {absent} else {tested} end"
    ))
}

fn text_list(key: &str, max: u32, count: u32) -> String {
    format!(
        "case when jsonb_typeof(p_value -> {key}) = 'array' then \
         sec.is_text_list(array(select jsonb_array_elements_text(p_value -> {key})), {max}, {count}) else false end"
    )
}
