//! `sec.restore_<plural>(ids)`: restores rows that were archived together with a parent, as far as that is possible.
//!
//! Each row is restored independently of the others. A row with another archived parent waits for that parent. A row
//! whose unique value is taken by now stays as if it had been archived on its own, and so does a row whose state does
//! not fulfil the `restore` rule ([`states::to_restore`]). The rows that stay archived are noted in the transaction
//! (`sec.stayed()`) and listed in the answer to the request that restored the parent.

use super::{
    columns::{ARCHIVED_WITH, goes_along},
    names::{self, Roles},
    object::{Function, on_table, quote},
    references::{self, Reference},
    states,
    uniques::clashes,
};
use crate::model::{Entity, EntityId, Lifecycle, Model};
use crate::objects::{Kind, Object};

/// The most rows that are reported per transaction and per call, so that a member's ten thousand likes are not listed.
const TOLD: u32 = 500;
const TOLD_AT_ONCE: u32 = 200;

/// `sec.restore_likes`
pub(super) fn name(entity: &Entity) -> String {
    names::fit(format!("sec.restore_{}", entity.plural))
}

/// A reason that keeps a row from being restored.
struct Obstacle {
    /// The reason given in the answer: `reference`, `state` or `conflict`.
    code: &'static str,
    /// The column that causes the conflict. Empty if there is no single such column.
    column: String,
    /// The SQL condition, over the archived row `t`, under which the row cannot be restored.
    condition: String,
}

pub fn function(model: &Model, id: EntityId) -> Option<Object> {
    let entity = &model.entities[id];
    if !goes_along(model, entity) {
        return None;
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(entity),
        arguments: "p_ids uuid[]",
        returns: "void",
        attributes: "language plpgsql",
        definer: Some(roles.counter()),
        callers: Vec::new(),
        doc: "Restores these rows, except those with an obstacle; `sec.keep_status` sets their status.",
        body: body(model, id),
    };
    Some(on_table(&table, function.object(roles)))
}

fn body(model: &Model, id: EntityId) -> String {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let obstacles = obstacles(model, id);
    let free = obstacles
        .iter()
        .map(|o| format!("\n{{pad}}and not {}", o.condition))
        .collect::<String>();
    let update = |which: &str, pad: &str| {
        format!(
            "update {table} t set status = 'active'\n{pad}where {which} and t.status = 'archived'{};",
            free.replace("{pad}", &format!("{pad}  "))
        )
    };
    let lost = "unique_violation or exclusion_violation or foreign_key_violation";
    format!(
        "declare\n  v_id uuid;\nbegin\n  if cardinality(p_ids) = 0 then\n    return;\n  end if;\n  begin\n    {}\n  \
         exception when {lost} then\n    -- Two of the rows conflict, or a concurrent change conflicts with one of them: restores the rows one by one.\n    \
         foreach v_id in array p_ids loop\n      begin\n        {}\n      exception when {lost} then\n        null;\n      end;\n    end loop;\n  end;\n\
         {}\n{}\nend",
        update("t.id = any(p_ids)", "    "),
        update("t.id = v_id", "        "),
        tell(entity, &table, &obstacles),
        wait(model, entity, &table),
    )
}

/// References to rows that are archived themselves, states that don't allow restoring, and unique values that are
/// taken.
fn obstacles(model: &Model, id: EntityId) -> Vec<Obstacle> {
    let entity = &model.entities[id];
    let mut found: Vec<Obstacle> = parents(model, entity)
        .map(|(reference, column)| Obstacle {
            code: "reference",
            column: reference.relation.id_column(),
            condition: is_archived(&model.entities[reference.target], &column),
        })
        .collect();
    found.extend(states::to_restore(model, id).map(|state| {
        let columns = states::columns(model, id, &state);
        let holds = states::condition(model, id, "t", &state).line();
        Obstacle {
            code: "state",
            column: match columns.as_slice() {
                [column] => column.clone(),
                _ => String::new(),
            },
            // A condition that is null because of a null column does not permit restoring.
            condition: format!("({holds}) is not true"),
        }
    }));
    found.extend(clashes(model, id).into_iter().map(|clash| Obstacle {
        code: "conflict",
        column: clash.column,
        condition: clash.condition,
    }));
    found
}

/// References that would be to an archived row, each with its column.
fn parents<'m>(
    model: &'m Model,
    entity: &'m Entity,
) -> impl Iterator<Item = (Reference<'m>, String)> {
    references::of(model, entity).filter_map(move |reference| {
        let target = &model.entities[reference.target];
        let column = references::column(reference.relation, target);
        (target.lifecycle == Lifecycle::SoftDelete).then_some((reference, column))
    })
}

fn is_archived(parent: &Entity, column: &str) -> String {
    format!(
        "exists (select from {} p where p.id = t.{column} and p.status = 'archived')",
        names::table(parent)
    )
}

fn pointer(column: &str) -> String {
    match column {
        "" => String::new(),
        column => format!("/{column}"),
    }
}

fn tell(entity: &Entity, table: &str, obstacles: &[Obstacle]) -> String {
    let cases = |value: &dyn Fn(&Obstacle) -> String| -> String {
        let whens = obstacles
            .iter()
            .map(|o| format!("\n        when {} then {}", o.condition, value(o)));
        whens.collect()
    };
    format!(
        "  perform pg_catalog.set_config('app.stayed', (sec.stayed() || coalesce((\n    \
         select jsonb_agg(jsonb_build_object('type', {}, 'id', s.id) || s.why)\n    from (\n      \
         select t.id, case{}\n        else '{{\"code\": \"conflict\", \"pointer\": \"\"}}'::jsonb end as why\n      \
         from {table} t\n      where t.id = any(p_ids) and t.status = 'archived'\n      \
         order by t.id\n      limit least({TOLD_AT_ONCE}, greatest(0, {TOLD} - jsonb_array_length(sec.stayed())))\n    ) s\n  \
         ), '[]'::jsonb))::text, true);",
        quote(&entity.name),
        cases(&|o| format!(
            "{}::jsonb",
            quote(&format!(
                "{{\"code\": \"{}\", \"pointer\": \"{}\"}}",
                o.code,
                pointer(&o.column)
            ))
        )),
    )
}

/// Rows that can't be restored now wait for another parent with which they are archived, or for none.
fn wait(model: &Model, entity: &Entity, table: &str) -> String {
    let whens: String = parents(model, entity)
        .filter(|(reference, _)| reference.relation.cascades())
        .map(|(reference, column)| {
            let parent = &model.entities[reference.target];
            format!(
                "\n    when {} then t.{column}",
                is_archived(parent, &column)
            )
        })
        .collect();
    format!(
        "  update {table} t set {ARCHIVED_WITH} = case{whens}\n  end\n  \
         where t.id = any(p_ids) and t.status = 'archived';"
    )
}
