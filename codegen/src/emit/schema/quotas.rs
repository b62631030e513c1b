//! `quota`: how many rows of an entity one member may create in a day.
//!
//! A trigger counts, so no way of creating rows bypasses it; rows that modules write for a member are not counted. The
//! counts are not written to the write-ahead log, which would slow every create down: if a member's count is missing
//! after a crash, it is recomputed from the audit log. Actions that create no row (requests that must have an
//! idempotency key, views) are counted by the code that performs them.

use super::{
    audit::column,
    names::{self, Roles},
    object::{Function, object, on_table, quote, trigger},
    tables,
};
use crate::model::{EntityId, Model};
use crate::objects::{Kind, Object};

const CREATED: &str = "requests.quotas";
const TAKEN: &str = "requests.taken";
const COUNT: &str = "requests.count_created";

/// The tables and functions that all quotas share.
pub fn shared(model: &Model) -> Vec<Object> {
    let created = "What each member has created on the last day on which they did. Lost in a crash, and then counted again from the audit log.";
    let taken = "What each member has begun that is no row, on the last day on which they did, by its name.";
    let mut found = vec![
        table(model, CREATED, "create unlogged table", created),
        table(model, TAKEN, "create table", taken),
        take(model),
        has_left(model),
    ];
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

fn table(model: &Model, table: &str, create: &str, doc: &str) -> Object {
    let columns = vec![
        column("principal", "uuid", true, None),
        column("entity", "text", true, None),
        column("day", "date", true, None),
        column("used", "integer", true, None),
    ];
    let mut lines: Vec<String> = columns.iter().map(tables::line).collect();
    let name = table.rsplit('.').next().unwrap_or(table);
    lines.push(format!(
        "constraint {name}_pkey primary key (principal, entity)"
    ));
    let create = format!(
        "{create} {table} (\n  {}\n);\ncomment on table {table} is {};\nalter table {table} owner to {};",
        lines.join(",\n  "),
        quote(doc),
        Roles(&model.app).queue(),
    );
    Object {
        columns,
        ..on_table(
            table,
            object(Kind::Table, table, create, format!("drop table {table};")),
        )
    }
}

/// Counts an action that creates no row, under a name that the caller of the function passes. At the limit nothing is
/// counted, and the function returns false.
fn take(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = "begin
  if sec.uid() is null then
    raise exception 'only a member has a quota' using errcode = '42501';
  end if;
  insert into requests.taken as q (principal, entity, day, used)
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
        doc: "Counts one of the `p_limit` actions that the caller may begin in a day (UTC). False: none is left.",
        body: body.into(),
    }
    .object(roles)
}

/// Whether an action that [`take`] counts is left, without counting one: for actions that count only if they fail.
fn has_left(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = "begin
  return p_limit > 0 and not exists (
    select from requests.taken q
    where q.principal = sec.uid() and q.entity = p_what and q.day = (now() at time zone 'UTC')::date and q.used >= p_limit);
end";
    Function {
        kind: Kind::TableFunction,
        name: "requests.has_left",
        arguments: "p_what text, p_limit integer",
        returns: "boolean",
        attributes: "language plpgsql stable",
        definer: Some(roles.queue()),
        callers: vec![roles.app(), roles.job()],
        doc: "Whether one of the `p_limit` actions that the caller may begin in a day (UTC) is left. Counts nothing.",
        body: body.into(),
    }
    .object(roles)
}

/// Keeps one row per member and entity. The lock on it serializes creations at the same moment.
fn count(model: &Model) -> Object {
    let roles = Roles(&model.app);
    let body = "declare
  v_today constant date := (now() at time zone 'UTC')::date;
  v_nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  v_since date;
  v_made integer;
  v_was integer;
  v_used integer;
begin
  -- What a session of the server says of itself doesn't count: only workers run jobs.
  if sec.uid() is null or (sec.job() is not null and session_user <> '<app>_app') then
    return null;
  end if;
  update requests.quotas q
  set used = c.made + case when q.day = v_today then q.used else 0 end, day = v_today
  from (select count(*) as made from added) c
  where q.principal = sec.uid() and q.entity = tg_argv[0] and c.made > 0
  returning q.used into v_used;
  if not found then
    -- The member's first row for this entity; a concurrent transaction may insert it first. Or a crash has emptied the
    -- table: the row of the zero id says since which day the table is complete. A transaction that finds no such row
    -- inserts it, or goes on without waiting if another transaction is about to.
    select count(*) into v_made from added;
    if v_made = 0 then
      return null;
    end if;
    select q.day into v_since from requests.quotas q where q.principal = v_nobody and q.entity = '';
    if v_since is null and pg_try_advisory_xact_lock(hashtextextended('requests.quotas', 0)) then
      insert into requests.quotas (principal, entity, day, used) values (v_nobody, '', v_today, 0)
      on conflict (principal, entity) do nothing;
    end if;
    v_was := v_made;
    if coalesce(v_since, v_today) = v_today then
      v_was := greatest(v_made, audit.created_today(sec.uid(), tg_argv[0]));
    end if;
    insert into requests.quotas as q (principal, entity, day, used)
    select sec.uid(), tg_argv[0], v_today, v_was where v_made > 0
    on conflict (principal, entity) do update
      set used = v_made + case when q.day = excluded.day then q.used else 0 end, day = excluded.day
    returning q.used into v_used;
  end if;
  if v_used > tg_argv[1]::integer then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      constraint = tg_name, message = 'created as many as one may in a day', detail = tg_argv[1];
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
        body: body.replace("<app>", &model.app),
    }
    .object(roles)
}
