//! `slug from title`: makes a slug for rows whose body has none.
//!
//! If the slug must be unique, the last characters of the id are always added, whether or not another row has the same
//! words. A counter would reveal rows that the reader may not see, and two transactions at once would choose the same
//! number.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    uniques::{about, unique_sets},
};
use crate::model::{EntityId, Lifecycle, Model, Ty};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let slugs = entity.fields.iter().filter_map(|f| match &f.ty {
        Ty::Slug { from: Some(from) } => Some((f.name.as_str(), from.as_str())),
        _ => None,
    });
    slugs
        .flat_map(|(slug, from)| of(model, id, slug, from))
        .collect()
}

fn of(model: &Model, id: EntityId, slug: &str, from: &str) -> Vec<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_{slug}_from_{from}");
    let is_unique = unique_sets(entity)
        .iter()
        .any(|set| set.iter().any(|c| c == slug));
    // The last 32 bits of the id, which are random.
    let end = if is_unique {
        " || '-' || right(new.id::text, 8)"
    } else {
        ""
    };
    let body = format!(
        "begin\n  -- A text without Latin letters or digits: the slug is the name of the entity.\n  \
         new.{slug} := coalesce(nullif(sec.slugify(new.{from}), ''), {}){end};\n  return new;\nend",
        quote(&entity.name.replace('_', "-")),
    );
    let doc = "The words and the end of the id: reveals nothing about other rows, and concurrent inserts do not clash.";
    let mut found = again(model, id, slug);
    found.extend([
        trigger_function(roles, &table, &function, None, doc, body),
        trigger(
            &table,
            &format!("{}_{slug}", entity.plural),
            &format!(
                "before insert on {table}\n  for each row when (new.{slug} is null) execute function {function}()"
            ),
        ),
    ]);
    found
}

/// A row that is restored after its slug was given to another row gets the last characters of its id instead of
/// staying archived.
fn again(model: &Model, id: EntityId, slug: &str) -> Vec<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let taken = taken(model, id, slug, &table);
    if entity.lifecycle != Lifecycle::SoftDelete || taken.is_empty() {
        return Vec::new();
    }
    let function = format!("{table}_{slug}_again");
    let body = format!(
        "declare\n  v_base text := btrim(left(new.{slug}, {KEPT}), '-');\n  v_end text := right(new.id::text, 8);\nbegin\n  \
         while {taken} loop\n    new.{slug} := v_base || '-' || v_end;\n    \
         -- Needed only if another row already has the slug with that end.\n    v_end := right(gen_random_uuid()::text, 8);\n  end loop;\n  return new;\nend",
    );
    // The function bypasses row-level security, because a hidden row may have the slug too.
    let doc = "Gives a slug another end if another row took it while this row was archived.";
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        // Fires after the guard (triggers fire in the order of their names), which must not see the changed slug.
        trigger(
            &table,
            &format!("{}_restore_{slug}", entity.plural),
            &format!(
                "before update of status on {table}\n  for each row when (old.status = 'archived' and new.status <> 'archived')\n  \
                 execute function {function}()"
            ),
        ),
    ]
}

/// The number of characters that are kept of a slug of the greatest length (`sec.is_slug`) when an ending is added.
const KEPT: usize = 91;

/// The condition that a live row has the slug that `new` would have. Empty if the slug isn't unique.
fn taken(model: &Model, id: EntityId, slug: &str, table: &str) -> String {
    let entity = &model.entities[id];
    let taken: Vec<String> = unique_sets(entity)
        .iter()
        .filter(|set| set.iter().any(|c| c == slug))
        .map(|set| {
            let equal = set.iter().map(|c| format!("t.{c} = new.{c}"));
            let filter = entity.unique_where(set);
            let both = filter.map(|f| ["t", "new"].map(|row| about(model, id, f, row)));
            let equal: Vec<String> = equal.chain(both.into_iter().flatten()).collect();
            format!(
                "exists (select 1 from {table} t where t.status <> 'archived' and {})",
                equal.join(" and ")
            )
        })
        .collect();
    taken.join("\n    or ")
}
