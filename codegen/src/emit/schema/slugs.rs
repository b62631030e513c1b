//! `slug from title`: a slug of its own where the body has none, free among live rows.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    uniques::{may_refer_to_nothing, unique_sets},
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
    // It looks past row-level security: a hidden row takes its slug, too.
    let doc = "Two at once may still choose the same; then the unique index refuses one of them.";
    vec![
        trigger_function(roles, &table, &function, Some(roles.counter()), doc, body),
        trigger(
            &table,
            &format!("{}_{slug}", entity.plural),
            &format!(
                "before insert on {table}\n  for each row when (new.{slug} is null) execute function {function}()"
            ),
        ),
    ]
}

/// Numbers the slug until no live row has it.
fn free(entity: &Entity, slug: &str, table: &str) -> String {
    let live = if entity.lifecycle == Lifecycle::SoftDelete {
        "t.status <> 'archived' and "
    } else {
        ""
    };
    let taken: Vec<String> = unique_sets(entity)
        .iter()
        .filter(|set| set.iter().any(|c| c == slug))
        .map(|set| {
            // The index of a list takes two references to nothing for equal.
            let same = |column: &String| match may_refer_to_nothing(entity, column) && set.len() > 1
            {
                true => format!(
                    "(t.{column} = new.{column} or (t.{column} is null and new.{column} is null))"
                ),
                false => format!("t.{column} = new.{column}"),
            };
            let equal: Vec<String> = set.iter().map(same).collect();
            format!(
                "exists (select 1 from {table} t where {live}{})",
                equal.join(" and ")
            )
        })
        .collect();
    if taken.is_empty() {
        return String::new();
    }
    format!(
        "  while {} loop\n    v_number := v_number + 1;\n    new.{slug} := v_base || '-' || v_number;\n  end loop;\n",
        taken.join("\n    or ")
    )
}
