//! The database's side of the comparison: answers a question, evaluated as the request role.
//!
//! Triggers are disabled meanwhile: guards limit actions to their own effect and would refuse some changes before the
//! policies, which must refuse them by themselves.

use super::questions::{How, Question};
use codegen::model::Model;
use kernel::Facts;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, types::Json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Tries a statement for every row, and undoes it each time. Constraints are checked after the policies, so their
/// errors count as success. The statement is prepared once, because planning takes longer than running; a change is
/// first tried for all rows together.
const PASSES: &str = "
create function public.passes(p_how text, p_statement text, p_rows jsonb) returns setof text
  language plpgsql as $$
declare
  v_row jsonb;
  v_count bigint;
  v_message text;
  v_all text[];
begin
  if p_how = 'do' then
    begin
      execute 'with done as (' || replace(p_statement, 't.id = $1', 't.id = any ($1)') || ' returning t.id::text)
          select array_agg(id) from done'
        into v_all
        using array(select (value->>'id')::uuid from jsonb_array_elements(p_rows)), null::bigint[];
      return query select unnest(v_all);
      return;
    exception
      when integrity_constraint_violation or insufficient_privilege then null;
    end;
  end if;
  if p_how = 'create' then
    execute 'prepare attempt (jsonb) as ' || p_statement;
  end if;
  for v_row in select jsonb_array_elements(p_rows) loop
    begin
      if p_how = 'create' then
        execute format('execute attempt (%L)', v_row);
        v_count := 1;
      else
        execute p_statement using (v_row->>'id')::uuid, null::bigint[];
        get diagnostics v_count = row_count;
      end if;
      raise exception using errcode = 'ZZ001';
    exception
      when sqlstate 'ZZ001' then null;
      when integrity_constraint_violation then v_count := 1;
      when insufficient_privilege then
        get stacked diagnostics v_message = message_text;
        if v_message not like 'new row violates row-level security policy%' then
          raise;
        end if;
        v_count := 0;
    end;
    if v_count > 0 then
      return next v_row->>'id';
    end if;
  end loop;
  if p_how = 'create' then
    deallocate attempt;
  end if;
end
$$";

/// Prepares the database of a world for questions, until the end of the transaction.
pub async fn prepare(conn: &mut PgConnection) {
    sqlx::raw_sql(PASSES).execute(&mut *conn).await.unwrap();
    sqlx::raw_sql("set local session_replication_role = replica")
        .execute(conn)
        .await
        .unwrap();
}

/// The database's answer. Everything is sent in one message, because there are thousands of questions.
pub async fn ask(conn: &mut PgConnection, model: &Model, question: &Question) -> BTreeSet<String> {
    let statement = match question.how {
        How::Read | How::Reach | How::Blind | How::Ask => question.statement.clone(),
        how => format!(
            "select passes as id from public.passes({}, {}, {})",
            if how == How::Create {
                "'create'"
            } else {
                "'do'"
            },
            super::world::quote(&question.statement),
            super::world::quote(&question.rows.to_string()),
        ),
    };
    let me = question
        .me
        .map_or("null".to_owned(), |me| format!("'{me}'"));
    let table = &model.entities[question.entity].plural;
    let open = match question.how {
        How::Blind => format!("alter policy {table}_select on app.{table} using (true);"),
        _ => String::new(),
    };
    let (role, enter) = match question.how {
        How::Ask => (
            "job",
            format!("sec.enter_job('tests', {me}, null, gen_random_uuid())"),
        ),
        _ => (
            "app",
            format!(
                "sec.enter({me}, null, '{}', gen_random_uuid())",
                question.action
            ),
        ),
    };
    let text = format!(
        "savepoint ask; {open} set local role {}_{role}; select {enter}; {statement}",
        model.app
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_all(&mut *conn)
        .await;
    sqlx::raw_sql("rollback to savepoint ask; reset role")
        .execute(conn)
        .await
        .unwrap();
    match rows {
        Ok(rows) => rows
            .iter()
            .filter_map(|row| row.try_get("id").ok())
            .collect(),
        // The role has no UPDATE privilege at all.
        Err(error) if is_denied(&error) && matches!(question.how, How::Reach | How::Blind) => {
            BTreeSet::new()
        }
        // A policy that queries one row and finds several: counts as a wrong answer.
        Err(error) if code(&error).as_deref() == Some("21000") => {
            BTreeSet::from([Uuid::nil().to_string()])
        }
        Err(error) => panic!("{} {table}: {error}", question.action),
    }
}

fn is_denied(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("42501")
}

fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

/// The roles of an actor, as the database sees them.
pub async fn facts(
    conn: &mut PgConnection,
    model: &Model,
    me: Option<Uuid>,
    action: &'static str,
) -> Facts {
    if me.is_none() {
        return Facts::default();
    }
    let role = format!("savepoint facts; set local role {}_app", model.app);
    sqlx::raw_sql(AssertSqlSafe(role))
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query("select sec.enter($1, null, $2, gen_random_uuid())")
        .bind(me)
        .bind(action)
        .execute(&mut *conn)
        .await
        .unwrap();
    let Json(facts) = sqlx::query_scalar("select sec.facts()")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    sqlx::raw_sql("rollback to savepoint facts; reset role")
        .execute(conn)
        .await
        .unwrap();
    facts
}
