//! `quota`: how many rows of an entity one member may create in a day.
//!
//! Counted by a trigger, so no way of creating goes around it; what modules write for a member is not counted.
//! Requests that must come with a key are counted in the same table, by the layer that claims the key.

use super::{
    audit::column,
    names::{self, Roles},
    object::{Function, object, on_table, quote, trigger},
    tables,
};
use crate::model::{EntityId, Model};
use crate::objects::{Kind, Object};

const TABLE: &str = "requests.quotas";
const COUNT: &str = "requests.count_created";

/// What all quotas share.
pub fn shared(model: &Model) -> Vec<Object> {
    let mut found = vec![table(model), take(model)];
    if model.entities.iter().any(|entity| entity.quota.is_some()) {
        found.push(count(model));
    }
    found
}

pub fn objects(model: &Model, id: EntityId) -> Option<Object> {
    let entity = &model.entities[id];
    let (quota, table) = (entity.quota?, names::table(entity));
    Some(trigger(
        &table,
        &names::quota(entity),
        &format!(
            "after insert on {table}\n  referencing new table as added\n  for each statement execute function {COUNT}({}, '{quota}')",
            quote(&entity.name),
        ),
    ))
}

fn table(model: &Model) -> Object {
    let columns = vec![
        column("principal", "uuid", true, None),
        column("entity", "text", true, None),
        column("day", "date", true, None),
        column("used", "integer", true, None),
    ];
    let mut lines: Vec<String> = columns.iter().map(tables::line).collect();
    lines.push("constraint quotas_pkey primary key (principal, entity)".to_owned());
    let create = format!(
        "create table {TABLE} (\n  {}\n);\ncomment on table {TABLE} is {};\nalter table {TABLE} owner to {};",
        lines.join(",\n  "),
        quote(
            "What each member has created, or begun, on the last day on which they did: by entity, or by the name of what is no row."
        ),
        Roles(&model.app).queue(),
    );
    Object {
        columns,
        ..on_table(
            TABLE,
            object(Kind::Table, TABLE, create, format!("drop table {TABLE};")),
        )
    }
}

/// Of what is no row: the caller says what it is, and what does not fit is not counted.
fn take(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = "begin
  if sec.uid() is null then
    raise exception 'only a member has a quota' using errcode = '42501';
  end if;
  insert into requests.quotas as q (principal, entity, day, used)
  select sec.uid(), p_what, (now() at time zone 'UTC')::date, 1 where p_limit > 0
  on conflict (principal, entity) do update
    set used = 1 + case when q.day = excluded.day then q.used else 0 end, day = excluded.day
    where q.day <> excluded.day or q.used < p_limit;
  return found;
end";
    Function {
        kind: Kind::TableFunction,
        name: "requests.take",
        arguments: "p_what text, p_limit integer",
        returns: "boolean",
        attributes: "language plpgsql",
        definer: Some(roles.queue()),
        callers: vec![roles.app(), roles.job()],
        doc: "Counts one of so many that the caller may begin in a day (UTC). False: there is none left.",
        body: body.into(),
    }
    .object(roles)
}

/// One row per member and entity. Its lock lets those who create at the same moment count one after the other.
fn count(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = "declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_used integer;
begin
  if sec.uid() is null or sec.job() is not null then
    return null;
  end if;
  update requests.quotas q
  set used = c.made + case when q.day = v_today then q.used else 0 end, day = v_today
  from (select count(*) as made from added) c
  where q.principal = sec.uid() and q.entity = tg_argv[0] and c.made > 0
  returning q.used into v_used;
  if not found then
    -- The first of this kind; somebody else may be quicker.
    insert into requests.quotas as q (principal, entity, day, used)
    select sec.uid(), tg_argv[0], v_today, count(*) from added having count(*) > 0
    on conflict (principal, entity) do update
      set used = excluded.used + case when q.day = excluded.day then q.used else 0 end, day = excluded.day
    returning q.used into v_used;
  end if;
  if v_used > tg_argv[1]::integer then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      constraint = tg_name, message = 'created as many as one may in a day';
  end if;
  return null;
end";
    Function {
        kind: Kind::TableFunction,
        name: COUNT,
        arguments: "",
        returns: "trigger",
        attributes: "language plpgsql",
        definer: Some(roles.queue()),
        callers: Vec::new(),
        doc: "Arguments: the entity, and how many of it one member may create in a day.",
        body: body.into(),
    }
    .object(roles)
}
