//! `slug from title`: a slug of its own where the body has none.
//!
//! Always with the end of the id, whether another row has the same words or not: a number that counts up would tell
//! of rows that its reader may not see, and two at once would choose the same.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    uniques::unique_sets,
};
use crate::model::{Entity, EntityId, Model, Ty};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let slugs = entity.fields.iter().filter_map(|f| match &f.ty {
        Ty::Slug { from: Some(from) } => Some((f.name.as_str(), from.as_str())),
        _ => None,
    });
    slugs
        .flat_map(|(slug, from)| of(model, entity, slug, from))
        .collect()
}

fn of(model: &Model, entity: &Entity, slug: &str, from: &str) -> Vec<Object> {
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_{slug}_from_{from}");
    let is_unique = unique_sets(entity)
        .iter()
        .any(|set| set.iter().any(|c| c == slug));
    // Of the id those 32 bits that are random.
    let end = if is_unique {
        " || '-' || right(new.id::text, 8)"
    } else {
        ""
    };
    let body = format!(
        "begin\n  -- Nothing Latin in it: what it is.\n  \
         new.{slug} := coalesce(nullif(sec.slugify(new.{from}), ''), {}){end};\n  return new;\nend",
        quote(&entity.name.replace('_', "-")),
    );
    let doc = "The words, and the end of the id: nothing of other rows shows in it, and two at once never clash.";
    vec![
        trigger_function(roles, &table, &function, None, doc, body),
        trigger(
            &table,
            &format!("{}_{slug}", entity.plural),
            &format!(
                "before insert on {table}\n  for each row when (new.{slug} is null) execute function {function}()"
            ),
        ),
    ]
}
