//! Checks that a policy can't express, because it never sees the row before and after a change together.
//!
//! For the request role, each action may only have its own effect: `archive` changes nothing but the status, `publish`
//! nothing but the state, from one of its start states, and `update` neither. Field rules and new references are
//! checked here too. For all roles, every change creates a new version; setting a value that is set already is no
//! change.

use super::{
    cases::{REFUSED, cases, changed, plain, refuse_field, refuse_fields},
    columns::{ARCHIVED_WITH, LIVE_KEY, OPEN_KEY, columns, derived_columns, goes_along},
    grants::{insertable, updatable, updates},
    later,
    names::{self, Roles},
    object::{Function, on_table, quote, quoted_list, trigger, trigger_function},
    predicate::{Sql, all, atom, not},
    references::has_live_children,
    rules::{Context, Scope, predicate},
};
use crate::model::{Entity, EntityId, Field, Lifecycle, Model, Transition};
use crate::objects::{Kind, Object};

/// Trigger functions that all tables share.
pub fn shared(model: &Model) -> [Object; 4] {
    let function = |name: &str, doc: &str, body: &str| {
        Function {
            kind: Kind::Function,
            name,
            arguments: "",
            returns: "trigger",
            attributes: "language plpgsql set search_path = pg_catalog, pg_temp",
            definer: None,
            callers: Vec::new(),
            doc,
            body: format!("begin\n{body}\n  return new;\nend"),
        }
        .object(Roles(&model.app))
    };
    let stamp = "  new.version := old.version + 1;\n  new.updated_at := now();";
    let live = "  new.live_key := case when new.status <> 'archived' then true end;";
    [
        function(
            "sec.stamp",
            "Counts up the version of a changed row, so that its entity tag changes.",
            stamp,
        ),
        function(
            "sec.live",
            "Sets `live_key`, to which references of live rows point. Called where the status changes.",
            live,
        ),
        function(
            "sec.live_and_open",
            "Sets `live_key` and `open_key`. Of an archived row, `open_key` is set again if children are left to follow.",
            OPEN,
        ),
        function(
            "sec.keep_status",
            "Restores a row with the status that it had before it was archived: restoring does not undo a suspension.",
            KEEP_STATUS,
        ),
    ]
}

const OPEN: &str = "  new.live_key := case when new.status <> 'archived' then true end;
  if new.status is distinct from old.status then
    new.open_key := new.live_key;
  end if;";

/// The status before archiving is stored and restored for every writer, including those that rules don't bind. A
/// trigger argument says that rows of this table may be archived together with others.
const KEEP_STATUS: &str = "  if new.status = 'archived' and old.status <> 'archived' then
    new.archived_from := old.status;
  elsif new.status <> 'archived' and old.status = 'archived' then
    new.status := coalesce(old.archived_from, 'active');
    new.archived_from := null;
    if tg_nargs > 0 then
      new.archived_with := null;
    end if;
  end if;";

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let mut found = Vec::new();
    if entity.lifecycle == Lifecycle::SoftDelete {
        let argument = if goes_along(model, entity) {
            "'along'"
        } else {
            ""
        };
        let when = format!(
            "before update of status on {table}\n  for each row execute function sec.keep_status({argument})"
        );
        // Triggers fire in the order of their names: this one before the guard, which checks its result.
        found.push(trigger(
            &table,
            &format!("{}_archived", entity.plural),
            &when,
        ));
    }
    if entity.lifecycle != Lifecycle::AppendOnly {
        let columns = written_columns(model, id);
        let when = format!(
            "before update of {} on {table}\n  for each row when ({})\n  execute function sec.stamp()",
            columns.join(", "),
            changed(entity, &columns).closed(),
        );
        found.push(trigger(&table, &format!("{}_stamp", entity.plural), &when));
    }
    if has_live_children(model, id) {
        let function = match later::has_any(model, id) {
            true => "sec.live_and_open",
            false => "sec.live",
        };
        let when = format!(
            "before insert or update of status on {table}\n  for each row when (new.status = 'archived' or new.live_key is not true)\n  execute function {function}()"
        );
        found.push(trigger(&table, &format!("{}_live", entity.plural), &when));
    }
    found.extend(ended(model, entity));
    found.extend(update_guard(model, id));
    found.extend(insert_guard(model, id));
    found
}

/// Columns whose change counts as a change of the row: all but counters, bookkeeping and computed columns.
pub fn written_columns(model: &Model, id: EntityId) -> Vec<String> {
    let derived = derived_columns(model, id);
    let fixed = [
        "id",
        LIVE_KEY,
        OPEN_KEY,
        "version",
        "created_at",
        "updated_at",
    ];
    (columns(model, id).into_iter())
        .filter(|c| {
            c.generated.is_none() && !fixed.contains(&c.name.as_str()) && !derived.contains(&c.name)
        })
        .map(|c| c.name)
        .collect()
}

/// Records who ended a row that is about a person: a row that they ended themselves can't be restored by anybody else.
fn ended(model: &Model, entity: &Entity) -> Vec<Object> {
    let about: Vec<_> = entity.belongs.iter().filter(|r| r.consents).collect();
    if about.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_ended");
    // Not recorded for a row that is archived together with another, since it is restored together with it.
    let alone = if goes_along(model, entity) {
        format!(" and new.{ARCHIVED_WITH} is null")
    } else {
        String::new()
    };
    let lines: String = about
        .iter()
        .map(|r| {
            format!(
                "  new.{} := new.status = 'archived'{alone} and coalesce(new.{} = sec.uid(), false);\n",
                r.ended_column(),
                r.id_column()
            )
        })
        .collect();
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            None,
            "Records whether the person that the row is about archived it.",
            format!("begin\n{lines}  return new;\nend"),
        ),
        trigger(
            &table,
            &format!("{}_ended", entity.plural),
            &format!(
                "before update of status on {table}\n  for each row when (new.status is distinct from old.status)\n  \
                 execute function {function}()"
            ),
        ),
    ]
}

fn update_guard(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let granted = updates(entity);
    if granted.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_guard");
    let ruled = entity
        .fields
        .iter()
        .any(|field| field.write.is_some() && updatable(entity).contains(&field.name));
    let refused = if ruled { REFUSED } else { "" };
    let body = format!(
        "declare\n  v_action constant text := coalesce(sec.action(), '');\n{refused}begin\n{}  case v_action\n{}    else\n      \
         raise exception 'no such action: %', v_action using errcode = '42501';\n  end case;\n  return new;\nend",
        effects(entity),
        cases(model, id).concat(),
    );
    let when = format!(
        "before update of {} on {table}\n  for each row when (current_user = {})\n  execute function {function}()",
        granted.join(", "),
        quote(&roles.app()),
    );
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            None,
            "Refuses changes that do not belong to the action of the request.",
            body,
        ),
        trigger(&table, &format!("{}_guard", entity.plural), &when),
    ]
}

/// Refuses changes of a column under other actions than those that set it.
fn effects(entity: &Entity) -> String {
    let mut text = String::new();
    let mut hold = |actions: Vec<String>, columns: Vec<String>| {
        if columns.is_empty() {
            return;
        }
        text.push_str(&format!(
            "  if v_action not in ({}) and {} then\n    raise exception 'not changed by %', v_action using errcode = '42501';\n  end if;\n",
            quoted_list(&actions),
            changed(entity, &columns).closed(),
        ));
    };
    let mut rest = updatable(entity);
    for column in updates(entity) {
        let mut actions = actions_setting(entity, &column);
        if actions.is_empty() {
            continue;
        }
        if rest.contains(&column) {
            actions.push("update".into());
            rest.retain(|c| *c != column);
        }
        hold(actions, vec![column]);
    }
    hold(vec!["update".into()], rest);
    text
}

/// Actions other than `update` that set this column.
fn actions_setting(entity: &Entity, column: &str) -> Vec<String> {
    if column == "status" && entity.lifecycle == Lifecycle::SoftDelete {
        let moves = super::policies::STATUS_ACTIONS
            .iter()
            .map(|(action, ..)| (*action).to_owned());
        return moves.collect();
    }
    let sets = |t: &&Transition| t.columns().any(|changed| changed == column);
    entity
        .transitions
        .iter()
        .filter(sets)
        .map(|t| t.name.clone())
        .collect()
}

/// Fields that only some callers may set: in rows of others they must have their default.
fn insert_guard(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let columns = insertable(entity);
    let ruled: Vec<&Field> = entity
        .fields
        .iter()
        .filter(|f| f.write.is_some() && columns.contains(&f.name))
        .collect();
    if ruled.is_empty() {
        return Vec::new();
    }
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_guard_insert");
    let scope = Scope {
        entity: id,
        alias: "new",
        context: Context::Row,
    };
    let checks = ruled.iter().map(|field| {
        let value = plain(entity, "new", &field.name);
        let set = match &field.default {
            Some(default) => atom(format!("{value} <> {}", super::rules::literal(default))),
            None => atom(format!("{value} is not null")),
        };
        let rule = field
            .write
            .as_ref()
            .map_or(Sql::True, |r| predicate(model, scope, r));
        refuse_field(&all([set, not(rule)]).block(4), &field.name, 2)
    });
    let body = format!(
        "declare\n{REFUSED}begin\n{}{}  return new;\nend",
        checks.collect::<String>(),
        refuse_fields(2),
    );
    let when = format!(
        "before insert on {table}\n  for each row when (current_user = {})\n  execute function {function}()",
        quote(&roles.app())
    );
    vec![
        on_table(
            &table,
            trigger_function(
                roles,
                &table,
                &function,
                None,
                "Checks the rules of fields when a row is created.",
                body,
            ),
        ),
        trigger(&table, &format!("{}_guard_insert", entity.plural), &when),
    ]
}
