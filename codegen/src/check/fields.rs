//! Modifiers of fields that contradict their type, each other, or have no effect.

use super::{Of, Wrong, wrong};
use crate::model::{Field, Lifecycle, Literal, OnEnd, Ty, open};
use crate::names;
use crate::resolve::Part;

pub fn check(of: &Of) {
    for field in &of.entity.fields {
        // Only the first mistake of a field is reported, because others often follow from it.
        if let Some(wrong) = RULES.iter().find_map(|rule| rule(of, field)) {
            of.refuse_modifier(Part::Field, &field.name, wrong);
        }
    }
}

type Verdict = Option<Wrong>;

const RULES: [fn(&Of, &Field) -> Verdict; 20] = [
    money_has_currency,
    search_is_for_texts,
    search_is_public,
    filter_has_a_kind,
    filter_has_a_name,
    one_place_is_near,
    near_is_public,
    else_leads_to_a_place,
    sort_has_an_order,
    unique_is_comparable,
    key_fits_an_index,
    moves_between_rows,
    nothing_leaks_past_read,
    system_stands_alone,
    system_is_filled,
    system_is_written,
    fixed_has_an_effect,
    write_has_an_effect,
    no_list_of_internal,
    redact_has_an_effect,
];

/// Query parameters that every list has, or that `search` and points add.
const PARAMETERS: [&str; 9] = [
    "q", "sort", "cursor", "limit", "expand", "count", "near", "bbox", "radius_m",
];

pub fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

fn money_has_currency(of: &Of, field: &Field) -> Verdict {
    if !matches!(field.ty, Ty::Money { .. }) {
        return None;
    }
    if !field.name.ends_with("_cents") {
        return wrong(
            "",
            format!(
                "`{}` holds minor units, but its name does not say so",
                field.name
            ),
            format!("write `{}_cents`", field.name),
        );
    }
    if !of.entity.fields.iter().any(|f| f.ty == Ty::Currency) {
        return wrong(
            "",
            format!("`{}` is money without a currency", field.name),
            "add `currency: currency`",
        );
    }
    None
}

fn search_is_for_texts(_: &Of, field: &Field) -> Verdict {
    if field.search && !matches!(field.ty, Ty::Text { .. } | Ty::Handle { .. }) {
        return wrong(
            "search",
            format!("`{}` can't be searched: it is no text", field.name),
            "remove `search`, or add `filter`",
        );
    }
    None
}

fn is_public(of: &Of) -> bool {
    let read = of.entity.access.read.as_ref();
    !of.entity.internal && read.is_some_and(|read| open::to_anyone(of.cx.model, of.id, read))
}

fn search_is_public(of: &Of, field: &Field) -> Verdict {
    if field.search && !is_public(of) {
        return wrong(
            "search",
            "`search` needs a public `read`: it goes through the rows that anyone may read",
            "remove `search`, or let `read` be true for some rows without signing in",
        );
    }
    None
}

fn filter_has_a_kind(_: &Of, field: &Field) -> Verdict {
    if field.filter && matches!(field.ty, Ty::Json | Ty::Object { .. } | Ty::TextList { .. }) {
        return wrong(
            "filter",
            format!("`{}` can't be filtered by", field.name),
            "filters are for single values: remove `filter`",
        );
    }
    None
}

fn filter_has_a_name(_: &Of, field: &Field) -> Verdict {
    if field.filter && field.ty != Ty::Point && is_parameter(&field.name) {
        return wrong(
            "filter",
            format!(
                "`{0}` can't be filtered by: `?{0}=` means something else in every list",
                field.name
            ),
            "give the field another name, or remove `filter`",
        );
    }
    None
}

fn one_place_is_near(of: &Of, field: &Field) -> Verdict {
    let is_place = |f: &&Field| f.ty == Ty::Point && f.filter;
    let first = of.entity.fields.iter().find(is_place)?;
    if is_place(&field) && first.name != field.name {
        return wrong(
            "filter",
            format!("`near` and `bbox` are about `{}` already", first.name),
            "remove `filter` from one of the two",
        );
    }
    None
}

fn key_fits_an_index(of: &Of, field: &Field) -> Verdict {
    let word = match (field.unique, field.sort) {
        (true, _) => "unique",
        (_, true) => "sort",
        _ => return None,
    };
    if super::lists::key_bytes(of.entity, &field.name) <= super::lists::KEY_BYTES_MAX {
        return None;
    }
    wrong(
        word,
        format!("`{}` may be too long for an index", field.name),
        format!(
            "keep it to {} characters, or remove `{word}`",
            super::lists::KEY_BYTES_MAX / 4
        ),
    )
}

fn near_is_public(of: &Of, field: &Field) -> Verdict {
    if field.filter && field.ty == Ty::Point && !is_public(of) {
        return wrong(
            "filter",
            "`near` and `bbox` need a public `read`: they go through the rows that anyone may read",
            "remove `filter`, or let `read` be true for some rows without signing in",
        );
    }
    None
}

fn else_leads_to_a_place(of: &Of, field: &Field) -> Verdict {
    let beside = field.beside.as_ref()?;
    let refuse = |message: String, help: String| wrong("else", message, help);
    if !(field.ty == Ty::Point && field.optional && field.filter) {
        return refuse(
            "`else` says where `near` and `bbox` find a row without a place of its own".to_owned(),
            format!("write `{}: point?, filter, else …`", field.name),
        );
    }
    let name = &beside.relation;
    let Some(relation) = of.entity.relation(name) else {
        let known = of.entity.belongs.iter().map(|r| r.name.as_str());
        return refuse(
            format!("there is no relation `{name}` here"),
            names::suggest(name, known, "relations"),
        );
    };
    let [target] = relation.targets[..] else {
        return refuse(
            format!("`{name}` leads to several kinds of objects"),
            "name a relation to one entity".to_owned(),
        );
    };
    if relation.read.is_some() {
        return refuse(
            format!("who may not see `{name}` would find it by its place"),
            "name a relation without `read`".to_owned(),
        );
    }
    let target = &of.cx.model.entities[target];
    let place = target.field(&beside.field);
    if !place.is_some_and(|place| place.ty == Ty::Point && place.filter) {
        return refuse(
            format!(
                "`{}` has no place `{}` to be found by",
                target.name, beside.field
            ),
            format!("name a `point` of `{}` that has `filter`", target.name),
        );
    }
    if place.is_some_and(|place| place.beside.is_some()) {
        return refuse(
            format!(
                "the `else` of `{}.{}` is not followed",
                target.name, beside.field
            ),
            "name a place that has no `else` itself".to_owned(),
        );
    }
    None
}

fn sort_has_an_order(_: &Of, field: &Field) -> Verdict {
    if !field.sort {
        return None;
    }
    if matches!(
        field.ty,
        Ty::Json | Ty::Object { .. } | Ty::TextList { .. } | Ty::Point | Ty::Uuid
    ) {
        return wrong(
            "sort",
            format!("`{}` has no order to sort by", field.name),
            "remove `sort`",
        );
    }
    if field.optional {
        return wrong(
            "sort",
            format!("`{}` may be null, so it can't be sorted by", field.name),
            "remove `sort`, or make the field required with a default",
        );
    }
    None
}

fn unique_is_comparable(_: &Of, field: &Field) -> Verdict {
    let no = matches!(
        field.ty,
        Ty::Json
            | Ty::Object { .. }
            | Ty::TextList { .. }
            | Ty::Point
            | Ty::Bool
            | Ty::States { .. }
    );
    if field.unique && no {
        return wrong(
            "unique",
            format!("`{}` can't be unique", field.name),
            "remove `unique`; write `unique: [[a, b]]` for several together",
        );
    }
    None
}

fn moves_between_rows(of: &Of, field: &Field) -> Verdict {
    if !field.moves {
        return None;
    }
    if !field.unique {
        return wrong(
            "moves",
            "`moves` has no effect: several rows may have the value anyway",
            "write `unique, moves`",
        );
    }
    if of.entity.lifecycle != Lifecycle::SoftDelete {
        return wrong(
            "moves",
            "`moves` archives the row that had the value, but rows of this entity can't be archived",
            "remove `moves`, or `lifecycle`",
        );
    }
    None
}

fn nothing_leaks_past_read(_: &Of, field: &Field) -> Verdict {
    field.read.as_ref()?;
    for (given, word) in [
        (field.search, "search"),
        (field.filter, "filter"),
        (field.sort, "sort"),
    ] {
        if given {
            return wrong(
                word,
                format!("`{word}` would tell what `read` hides"),
                format!("remove `{word}`, or the `read` rule"),
            );
        }
    }
    None
}

fn system_stands_alone(_: &Of, field: &Field) -> Verdict {
    let states = matches!(field.ty, Ty::States { .. });
    if states && (field.fixed || field.system || field.write.is_some()) {
        return wrong(
            "",
            "a state is only changed by transitions anyway",
            "remove `fixed`, `system` and `write`",
        );
    }
    if field.system && field.fixed {
        return wrong(
            "fixed",
            "`fixed` has no effect beside `system`: no body has the field",
            "remove `fixed`",
        );
    }
    if field.system && field.write.is_some() {
        return wrong(
            "write",
            "`write` has no effect beside `system`: no body has the field",
            "remove `write`",
        );
    }
    None
}

/// A required field must be given its first value by some writer.
fn system_is_filled(of: &Of, field: &Field) -> Verdict {
    let given = field.optional || matches!(field.default, Some(ref d) if *d != Literal::Null);
    let server = field.system || matches!(field.ty, Ty::States { .. });
    if server && !given && of.creatable() && !matches!(field.ty, Ty::Slug { from: Some(_) }) {
        return wrong(
            "system",
            format!("nobody gives `{}` its first value", field.name),
            "add `= <default>`, or `?` after the type",
        );
    }
    None
}

/// A `system` field must be written by something after the row was created, since a constant needs no field.
fn system_is_written(of: &Of, field: &Field) -> Verdict {
    let made = matches!(field.ty, Ty::Slug { from: Some(_) });
    if !field.system || made || of.written_by_module() || of.written_by_engine(&field.name) {
        return None;
    }
    let mut transitions = of.entity.transitions.iter();
    let set = transitions.any(|t| t.sets().any(|set| set.column == field.name));
    // The database writes the field when the parent row ends.
    let ended = (of.entity.belongs.iter())
        .any(|relation| relation.on_end == Some(OnEnd::Set(field.name.clone())));
    // The default `now()` records the time of creation, so no further write is needed.
    if set || ended || matches!(field.default, Some(Literal::Now | Literal::Today)) {
        return None;
    }
    wrong(
        "system",
        format!("nothing ever writes `{}`", field.name),
        format!(
            "add a transition like `set {} = …`, name `{}` under `write:` of a module, or remove `system`",
            field.name, of.entity.name
        ),
    )
}

fn fixed_has_an_effect(of: &Of, field: &Field) -> Verdict {
    if field.fixed && !of.updatable() {
        return wrong(
            "fixed",
            "`fixed` has no effect: no row of this entity is ever updated",
            "remove `fixed`",
        );
    }
    None
}

fn write_has_an_effect(of: &Of, field: &Field) -> Verdict {
    if field.write.is_some() && !of.updatable() && !of.creatable() {
        return wrong(
            "write",
            "`write` has no effect: nobody writes this entity by a body",
            "remove `write`",
        );
    }
    None
}

fn no_list_of_internal(of: &Of, field: &Field) -> Verdict {
    if !of.entity.internal {
        return None;
    }
    let modifiers = [
        (field.search, "search"),
        (field.filter, "filter"),
        (field.sort, "sort"),
        (field.read.is_some(), "read"),
    ];
    let (_, word) = modifiers.into_iter().find(|(given, _)| *given)?;
    wrong(
        word,
        format!("`{word}` has no effect: an internal entity has no routes"),
        format!("remove `{word}`"),
    )
}

fn redact_has_an_effect(of: &Of, field: &Field) -> Verdict {
    if field.redact && !of.entity.audit {
        return wrong(
            "redact",
            "`redact` has no effect: this entity is not audited",
            "remove `redact`",
        );
    }
    None
}
