//! The statement that finds the country of a row or of the caller, whose national telephone numbers are accepted in a
//! body.

use crate::emit::actions::Action;
use crate::emit::rust::{text, texts};
use crate::emit::schema::names::table;
use crate::model::{
    Entity, EntityId, Model, Ty,
    whereabouts::{Way, way},
};

/// The expression `Some(kernel::resource::National { … })`, or `None` if the entity has no telephone numbers that a
/// body can hold, or no path of relations leads to a country, neither from the entity nor from the caller.
pub fn national(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let sent = [Action::Create, Action::Update];
    let fields = numbers(model, entity);
    let own = way(model, id);
    let callers = way(model, model.identity);
    if fields.is_empty()
        || sent.iter().all(|action| action.open(entity).is_none())
        || (own.is_none() && callers.is_none())
    {
        return "None".to_owned();
    }
    let of_row = own.as_ref().map_or_else(
        || "select null::text where $1::text is null and $2::uuid is null".to_owned(),
        |way| of_row(model, entity, way),
    );
    let of_caller = callers.as_ref().map_or_else(
        || "select null::text where $3::uuid is null".to_owned(),
        |way| {
            let from = joined(model, &table(&model.entities[model.identity]), way, 0);
            format!("select {from} where n0.id = $3::uuid")
        },
    );
    format!(
        "Some(kernel::resource::National {{ fields: {}, by: {}, by_id: {},\n            country: {} }})",
        texts(&fields),
        text(&own.as_ref().map_or(String::new(), Way::first_column)),
        own.as_ref().is_some_and(|way| !way.steps.is_empty()),
        text(&format!(
            "select coalesce(({of_row}), ({of_caller})) as country"
        ))
    )
}

/// The fields of a body that hold telephone numbers: `phone`, or `social_links.whatsapp` within an object.
fn numbers(model: &Model, entity: &Entity) -> Vec<String> {
    let sent = entity.fields.iter().filter(|field| !field.system);
    let of = sent.flat_map(|field| match field.ty {
        Ty::Object { object } => {
            let inside = model.objects[object].fields.iter();
            let inside = inside.filter(|inside| is_number(&inside.ty));
            inside
                .map(|inside| format!("{}.{}", field.name, inside.name))
                .collect()
        }
        _ if is_number(&field.ty) => vec![field.name.clone()],
        _ => Vec::new(),
    });
    of.collect()
}

/// Whether a text of this type may be a telephone number. The page of a member on WhatsApp is one.
fn is_number(ty: &Ty) -> bool {
    match ty {
        Ty::Phone => true,
        Ty::Social { network } => *network == "whatsapp",
        _ => false,
    }
}

/// The query of the row's country: from the value in the body (`$1`), or, if that is null, from the stored row (`$2`).
fn of_row(model: &Model, entity: &Entity, way: &Way) -> String {
    let (own, column) = (table(entity), way.first_column());
    let stored = format!("(select t.{column} from {own} as t where t.id = $2::uuid)");
    let Some((first, _)) = way.steps.split_first() else {
        return format!("select coalesce($1::text, {stored})");
    };
    let from = joined(model, &table(&model.entities[first.targets[0]]), way, 1);
    format!("select {from} where n1.id = coalesce($1::text::uuid, {stored})")
}

/// The `from` and `join` clauses along the path, without its first `skipped` steps, such as `n2.code from app.cities
/// as n1 join app.countries as n2 on n2.id = n1.country_id`.
fn joined(model: &Model, first: &str, way: &Way, skipped: usize) -> String {
    let mut text = format!("from {first} as n{skipped}");
    for (before, relation) in way.steps.iter().enumerate().skip(skipped) {
        let (at, column) = (before + 1, relation.id_column());
        let target = table(&model.entities[relation.targets[0]]);
        text.push_str(&format!(
            " join {target} as n{at} on n{at}.id = n{before}.{column}"
        ));
    }
    format!("n{}.{} {text}", way.steps.len(), way.column)
}
