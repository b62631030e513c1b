//! The Rust types of an entity's file: enums, the row, the bodies. One line per field.

use crate::emit::actions::Action;
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{doc, ident, pascal, wrap};
use crate::model::{DerivedKind, Entity, Field, Literal, Model, Relation, Ty};

/// The enums of fields and of the types of `one of` relations.
pub fn enums(model: &Model, entity: &Entity) -> String {
    let mut out = String::new();
    for field in &entity.fields {
        if let Ty::Enum { values } | Ty::States { values } = &field.ty {
            out.push_str(&choice(&enum_name(entity, &field.name), values));
        }
    }
    for relation in entity
        .belongs
        .iter()
        .filter(|relation| relation.polymorphic)
    {
        let targets: Vec<&str> = relation
            .targets
            .iter()
            .map(|id| model.entities[*id].name.as_str())
            .collect();
        out.push_str(&choice(&type_name(entity, relation), &targets));
    }
    out
}

/// Names of the enums of a file.
pub fn enum_names(entity: &Entity) -> Vec<String> {
    let fields = (entity.fields.iter())
        .filter(|field| matches!(field.ty, Ty::Enum { .. } | Ty::States { .. }))
        .map(|field| enum_name(entity, &field.name));
    let relations = (entity.belongs.iter())
        .filter(|relation| relation.polymorphic)
        .map(|relation| type_name(entity, relation));
    fields.chain(relations).collect()
}

/// `EventCategory`
pub fn enum_name(entity: &Entity, column: &str) -> String {
    enum_name_of(&entity.name, column)
}

pub fn enum_name_of(owner: &str, column: &str) -> String {
    format!("{}{}", pascal(owner), pascal(column))
}

/// `EventHostType`
pub fn type_name(entity: &Entity, relation: &Relation) -> String {
    format!("{}{}Type", pascal(&entity.name), pascal(&relation.name))
}

pub fn choice<S: AsRef<str>>(name: &str, words: &[S]) -> String {
    let variants: Vec<String> = words.iter().map(|word| variant(word.as_ref())).collect();
    let head = "#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]\n#[rustfmt::skip]\n";
    let one_line = format!("pub enum {name} {{ {} }}", variants.join(", "));
    if one_line.len() <= 120 {
        return format!("\n{head}{one_line}\n");
    }
    format!(
        "\n{head}pub enum {name} {{\n    {},\n}}\n",
        wrap(&variants, 120, "    ")
    )
}

/// The name of the enum variant for a value.
pub fn variant_name(word: &str) -> String {
    match pascal(word) {
        // `Self` is reserved, and every such enum has the constants `WORDS` and `ALL`.
        name if ["Self", "WORDS", "ALL"].contains(&name.as_str()) => format!("{name}_"),
        name => name,
    }
}

/// The struct of a row.
pub fn row(model: &Model, entity: &Entity) -> String {
    let mut out = format!(
        "\n{}#[derive(Debug, Clone, Entity)]\n",
        doc("///", &entity.doc)
    );
    out.push_str(&format!("pub struct {} {{\n", pascal(&entity.name)));
    for column in columns::row(entity) {
        let guarded = column.read_rule().is_some();
        out.extend(column.doc().map(|sentence| doc("    ///", sentence)));
        if guarded {
            out.push_str("    #[entity(private)]\n");
        }
        let ty = rust_type(model, &column);
        let ty = if guarded || column.optional() {
            format!("Option<{ty}>")
        } else {
            ty
        };
        out.push_str(&format!("    pub {}: {ty},\n", ident(&column.name())));
    }
    out + "}\n"
}

/// The structs of the bodies of create and update, if the entity has such routes.
pub fn bodies(model: &Model, entity: &Entity) -> String {
    let mut out = String::new();
    let name = pascal(&entity.name);
    if Action::Create.open(entity).is_some() {
        let fields = columns::create(entity)
            .iter()
            .map(|column| created(model, column))
            .collect::<String>();
        out.push_str(&body("create", &format!("Create{name}"), &fields));
    }
    if Action::Update.open(entity).is_some() {
        let fields = columns::update(entity)
            .iter()
            .map(|column| updated(model, column))
            .collect::<String>();
        out.push_str(&body("update", &format!("Update{name}"), &fields));
    }
    out
}

pub fn type_checks(ty: &Ty) -> Vec<String> {
    let format = |name: &str| Some(format!("format = \"{name}\""));
    if let Ty::Code { min, max } = ty {
        return vec![format!("length({min}, {max})"), "format = \"code\"".into()];
    }
    if let Ty::Handle { min, max } = ty {
        return vec![
            format!("length({min}, {max})"),
            "format = \"handle\"".into(),
        ];
    }
    let check = match ty {
        Ty::Text { min, max } => Some(format!("length({min}, {max})")),
        Ty::Int { min, max } | Ty::Bigint { min, max } | Ty::Money { min, max } => {
            range(*min, *max)
        }
        Ty::Decimal { places } => Some(format!("places({places})")),
        Ty::TextList { max, count } => Some(format!("list({max}, {count})")),
        Ty::Url => format("url"),
        Ty::Email => format("email"),
        Ty::Phone => format("phone"),
        Ty::Social { network } => format(network),
        Ty::LocalTime => format("local_time"),
        Ty::Slug { .. } => format("slug"),
        Ty::Currency => format("currency"),
        Ty::Country => format("country"),
        Ty::Locale => format("locale"),
        Ty::Timezone => format("timezone"),
        _ => None,
    };
    check.into_iter().collect()
}

pub fn default_of(field: &Field, enum_name: &str) -> Option<String> {
    let value = match field.default.as_ref()? {
        Literal::Null => return None,
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) if matches!(field.ty, Ty::Decimal { .. }) => format!("{value}.0"),
        Literal::Int(value) if i32::try_from(*value).is_err() => format!("{value}i64"),
        Literal::Int(value) => value.to_string(),
        Literal::Decimal(value) => value.clone(),
        Literal::Text(value) if matches!(field.ty, Ty::Enum { .. } | Ty::States { .. }) => {
            format!("{enum_name}::{}", variant_name(value))
        }
        Literal::Text(value) => crate::emit::rust::text(value),
        Literal::Now => "Utc::now()".into(),
        Literal::Today => "Utc::now().date_naive()".into(),
    };
    Some(format!("default = {value}"))
}

/// The type of the value, without the `Option` of an optional column.
pub fn rust_type(model: &Model, column: &Column) -> String {
    let entity = column.entity;
    match column.source {
        Source::Id | Source::IdOf(_) => "Uuid".into(),
        Source::Status => "Status".into(),
        Source::TypeOf(relation) => type_name(entity, relation),
        Source::Version => "i64".into(),
        Source::CreatedAt | Source::UpdatedAt => "DateTime<Utc>".into(),
        Source::Field(field) => field_type(model, &field.ty, &enum_name(entity, &field.name)),
        Source::Derived(derived) => match derived.kind {
            DerivedKind::Flag { .. } => "bool".into(),
            DerivedKind::Avg { .. } => "f64".into(),
            _ if column.sums_decimals(model) => "f64".into(),
            DerivedKind::Count { .. } | DerivedKind::Sum { .. } => "i64".into(),
        },
    }
}

pub fn field_type(model: &Model, ty: &Ty, enum_name: &str) -> String {
    match ty {
        Ty::Int { .. } => "i32".into(),
        Ty::Bigint { .. } | Ty::Money { .. } => "i64".into(),
        Ty::Decimal { .. } => "f64".into(),
        Ty::Bool => "bool".into(),
        Ty::Time => "DateTime<Utc>".into(),
        Ty::Date => "NaiveDate".into(),
        Ty::Uuid => "Uuid".into(),
        Ty::Json => "Json".into(),
        Ty::Enum { .. } | Ty::States { .. } => enum_name.into(),
        Ty::Point => "Point".into(),
        Ty::Object { object } => pascal(&model.objects[*object].name),
        Ty::TextList { .. } => "Vec<String>".into(),
        _ => "String".into(),
    }
}

/// The variant, with its value where the derive would infer another one.
fn variant(word: &str) -> String {
    let name = variant_name(word);
    let mut guess = String::new();
    for (i, c) in name.char_indices() {
        if i > 0 && c.is_uppercase() {
            guess.push('_');
        }
        guess.extend(c.to_lowercase());
    }
    if guess == word {
        name
    } else {
        format!("#[choice(rename = \"{word}\")] {name}")
    }
}

fn body(kind: &str, name: &str, fields: &str) -> String {
    let fields = if fields.is_empty() {
        " {}".to_owned()
    } else {
        format!(" {{\n{fields}}}")
    };
    format!(
        "\n#[derive(Debug, Clone, Input)]\n#[input({kind})]\n#[rustfmt::skip]\npub struct {name}{fields}\n"
    )
}

fn created(model: &Model, column: &Column) -> String {
    let mut rules = checks(column);
    rules.extend(default(column));
    // A slug that is made of another field may be left out although the column is never null.
    let made = matches!(column.ty(), Some(Ty::Slug { from: Some(_) }));
    let ty = rust_type(model, column);
    let ty = if column.optional() || made {
        format!("Option<{ty}>")
    } else {
        ty
    };
    field_line(column, rules, &ty)
}

fn updated(model: &Model, column: &Column) -> String {
    let default = default(column);
    let mut rules = Vec::new();
    if column.keeps() {
        rules.push("keep".to_owned());
    } else if default.is_none() && !column.optional() {
        rules.push("required".to_owned());
    }
    if column.optional() {
        rules.push("optional".to_owned());
    }
    rules.extend(checks(column));
    rules.extend(default.filter(|_| !column.keeps()));
    let ty = match column.ty() {
        // A PATCH may change single keys.
        Some(Ty::Json | Ty::Object { .. }) => format!("Edit<{}>", rust_type(model, column)),
        _ => rust_type(model, column),
    };
    field_line(column, rules, &format!("Patch<{ty}>"))
}

fn field_line(column: &Column, rules: Vec<String>, ty: &str) -> String {
    let rules = if rules.is_empty() {
        String::new()
    } else {
        format!("#[input({})] ", rules.join(", "))
    };
    format!("    {rules}pub {}: {ty},\n", ident(&column.name()))
}

/// `length(1, 140)`, `format = "email"`, …
fn checks(column: &Column) -> Vec<String> {
    match column.source {
        Source::IdOf(relation) if relation.polymorphic => {
            vec![format!("with = \"{}_type\"", relation.name)]
        }
        Source::Field(field) => type_checks(&field.ty),
        _ => Vec::new(),
    }
}

fn range(min: Option<i64>, max: Option<i64>) -> Option<String> {
    let bound = |bound: Option<i64>| bound.map_or("_".to_owned(), |bound| bound.to_string());
    (min.is_some() || max.is_some()).then(|| format!("range({}, {})", bound(min), bound(max)))
}

fn default(column: &Column) -> Option<String> {
    let Source::Field(field) = column.source else {
        return None;
    };
    default_of(field, &enum_name(column.entity, &field.name))
}
