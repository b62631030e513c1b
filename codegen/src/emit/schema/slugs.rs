//! `slug from title`: makes a slug for rows whose body has none. Slugs and handles that were taken in the meantime get an
//! ending when their row is restored.
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
    let handles = entity.fields.iter().filter_map(|f| match &f.ty {
        Ty::Handle { max, .. } => Some((f.name.as_str(), *max)),
        _ => None,
    });
    let of_handles = handles.flat_map(|(handle, max)| {
        let kept = max.saturating_sub(ENDING) as usize;
        again(model, id, handle, Ending { kept, mark: '_' })
    });
    slugs
        .flat_map(|(slug, from)| of(model, id, slug, from))
        .chain(of_handles)
        .collect()
}

/// How an ending is added: the number of characters that are kept before it, and the mark between them.
#[derive(Clone, Copy)]
struct Ending {
    kept: usize,
    mark: char,
}

/// The length of an ending with its mark.
const ENDING: u32 = 9;

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
    let ending = Ending {
        kept: KEPT,
        mark: '-',
    };
    let mut found = again(model, id, slug, ending);
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

/// A row that is restored after its slug or handle was given to another row gets the last characters of its id instead
/// of staying archived.
fn again(model: &Model, id: EntityId, name: &str, ending: Ending) -> Vec<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let taken = taken(model, id, name, &table);
    if entity.lifecycle != Lifecycle::SoftDelete || taken.is_empty() {
        return Vec::new();
    }
    let function = format!("{table}_{name}_again");
    let Ending { kept, mark } = ending;
    let body = format!(
        "declare\n  v_base text := btrim(left(new.{name}, {kept}), '{mark}');\n  v_end text := right(new.id::text, 8);\nbegin\n  \
         while {taken} loop\n    new.{name} := v_base || '{mark}' || v_end;\n    \
         -- Needed only if another row already has the name with that end.\n    v_end := right(gen_random_uuid()::text, 8);\n  end loop;\n  return new;\nend",
    );
    // The function bypasses row-level security, because a hidden row may have the name too.
    let doc =
        "Gives a name in addresses another end if another row took it while this row was archived.";
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        // Fires after the guard (triggers fire in the order of their names), which must not see the changed name.
        trigger(
            &table,
            &format!("{}_restore_{name}", entity.plural),
            &format!(
                "before update of status on {table}\n  for each row when (old.status = 'archived' and new.status <> 'archived')\n  \
                 execute function {function}()"
            ),
        ),
    ]
}

/// The number of characters that are kept of a slug of the greatest length (`sec.is_slug`) when an ending is added.
const KEPT: usize = 91;

/// The condition that a live row has the name that `new` would have. Empty if the name isn't unique.
fn taken(model: &Model, id: EntityId, name: &str, table: &str) -> String {
    let entity = &model.entities[id];
    let taken: Vec<String> = unique_sets(entity)
        .iter()
        .filter(|set| set.iter().any(|c| c == name))
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
