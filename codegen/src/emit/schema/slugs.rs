//! `slug from title`: a slug of its own where the body has none, free among live rows.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    uniques::unique_sets,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, Ty};
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
    let body = format!(
        "declare\n  v_base text := sec.slugify(new.{from});\n  v_number int := 1;\nbegin\n  \
         -- Nothing Latin in it: the end of the id is as good.\n  \
         if v_base = '' then\n    v_base := {} || right(new.id::text, 8);\n  end if;\n  \
         new.{slug} := v_base;\n{}  return new;\nend",
        quote(&format!("{}-", entity.name.replace('_', "-"))),
        free(entity, slug, &table),
    );
    let mut found = again(model, entity, slug, from);
    // It looks past row-level security: a hidden row takes its slug, too.
    let doc = "Two at once may still choose the same; then the unique index refuses one of them.";
    found.extend([
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
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

/// The longest slug: `sec.is_slug`.
const LONGEST: usize = 100;

/// A row that comes back after its slug was given to another gets the next number instead of staying away.
fn again(model: &Model, entity: &Entity, slug: &str, from: &str) -> Vec<Object> {
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let taken = taken(entity, slug, &table);
    if entity.lifecycle != Lifecycle::SoftDelete || taken.is_empty() {
        return Vec::new();
    }
    let function = format!("{table}_{slug}_again");
    let body = format!(
        "declare\n  v_base text := new.{slug};\n  v_number int := 1;\n  v_end text;\nbegin\n  \
         -- What has a number already counts on from there.\n  \
         if new.{slug} ~ ('^' || sec.slugify(new.{from}) || '-[0-9]{{1,6}}$') then\n    \
         v_base := sec.slugify(new.{from});\n    v_number := substring(new.{slug} from '[0-9]+$')::int;\n  end if;\n  \
         while {taken} loop\n    v_number := v_number + 1;\n    v_end := '-' || v_number;\n    \
         new.{slug} := btrim(left(v_base, {LONGEST} - length(v_end)), '-') || v_end;\n  end loop;\n  return new;\nend",
    );
    let doc = "The next number for a slug that was taken while its row was archived.";
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        // After the guard (triggers fire by name), which knows nothing of it.
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

/// Numbers the slug until no live row has it.
fn free(entity: &Entity, slug: &str, table: &str) -> String {
    let taken = taken(entity, slug, table);
    if taken.is_empty() {
        return String::new();
    }
    format!(
        "  while {taken} loop\n    v_number := v_number + 1;\n    new.{slug} := v_base || '-' || v_number;\n  end loop;\n",
    )
}

/// A live row has what `new` would have. Empty where the slug is not unique.
fn taken(entity: &Entity, slug: &str, table: &str) -> String {
    let live = if entity.lifecycle == Lifecycle::SoftDelete {
        "t.status <> 'archived' and "
    } else {
        ""
    };
    let taken: Vec<String> = unique_sets(entity)
        .iter()
        .filter(|set| set.iter().any(|c| c == slug))
        .map(|set| {
            let equal: Vec<String> = set.iter().map(|c| format!("t.{c} = new.{c}")).collect();
            format!(
                "exists (select 1 from {table} t where {live}{})",
                equal.join(" and ")
            )
        })
        .collect();
    taken.join("\n    or ")
}
