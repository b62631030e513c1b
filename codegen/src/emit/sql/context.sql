create function sec.uid() returns uuid
  language sql stable parallel safe as $$
-- The caller's user id; null: not signed in. The functions that read settings have no SET clause, so that PostgreSQL
-- can inline them.
  select nullif(pg_catalog.current_setting('app.user_id', true), '')::pg_catalog.uuid
$$;
alter function sec.uid() owner to <app>_owner;

create function sec.session() returns uuid
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.session_id', true), '')::pg_catalog.uuid
$$;
alter function sec.session() owner to <app>_owner;

create function sec.action() returns text
  language sql stable parallel safe as $$
-- The action of the request: `update`, `archive`, `publish`, …
  select nullif(pg_catalog.current_setting('app.action', true), '')
$$;
alter function sec.action() owner to <app>_owner;

create function sec.request() returns uuid
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.request_id', true), '')::pg_catalog.uuid
$$;
alter function sec.request() owner to <app>_owner;

create function sec.reason() returns text
  language sql stable parallel safe as $$
  select nullif(pg_catalog.current_setting('app.reason', true), '')
$$;
alter function sec.reason() owner to <app>_owner;

create function sec.job() returns text
  language sql stable parallel safe as $$
-- The module that this transaction works for; null: a request.
  select nullif(pg_catalog.current_setting('app.job', true), '')
$$;
alter function sec.job() owner to <app>_owner;

create function sec.created() returns uuid
  language sql stable parallel safe as $$
-- The id of the row that this transaction creates, whose creator is about to be given a role in it.
  select nullif(pg_catalog.current_setting('app.created', true), '')::pg_catalog.uuid
$$;
alter function sec.created() owner to <app>_owner;

create function sec.changed() returns uuid
  language sql stable parallel safe as $$
-- The id of the row that this transaction changes, perhaps so that its caller may not read it afterwards.
  select nullif(pg_catalog.current_setting('app.changed', true), '')::pg_catalog.uuid
$$;
alter function sec.changed() owner to <app>_owner;

create function sec.show_archived() returns boolean
  language sql stable parallel safe as $$
  select coalesce(pg_catalog.current_setting('app.archived', true), '') = '1'
$$;
alter function sec.show_archived() owner to <app>_owner;

create function sec.set_reason(p_reason text) returns void
  language sql volatile as $$
-- Sets the reason that the audit log records for the changes of this transaction.
  select pg_catalog.set_config('app.reason', coalesce(p_reason, ''), true)
$$;
alter function sec.set_reason(text) owner to <app>_owner;

create function sec.broken_checks(p_table text, p_row jsonb, p_unknown text[], p_rest_is_null boolean, p_checks text[]) returns setof text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
-- Which of the given checks such a row would violate. Called after a row was refused, so that the answer names all
-- violated checks at once. A check is skipped if one of its columns is unknown, or is missing from the row and would
-- not be null.
declare
  v_table constant pg_catalog.regclass := pg_catalog.format('app.%I', p_table)::pg_catalog.regclass;
  v_check record;
  v_broken boolean;
begin
  for v_check in
    select c.conname, pg_catalog.pg_get_expr(c.conbin, c.conrelid) as rule, (
      select pg_catalog.jsonb_object_agg(a.attname, p_row -> a.attname) from pg_catalog.pg_attribute a
      where a.attrelid = c.conrelid and a.attnum = any (c.conkey) and p_row ? a.attname
    ) as known
    from pg_catalog.pg_constraint c
    where c.conrelid = v_table and c.contype = 'c' and c.conname = any (p_checks)
      and not exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = c.conrelid and a.attnum = any (c.conkey)
          and (a.attname = any (p_unknown)
            or not p_row ? a.attname and (not p_rest_is_null or a.attnotnull or a.atthasdef))
      )
    order by c.conname
  loop
    begin
      execute pg_catalog.format(
        'select not (%s) from pg_catalog.jsonb_populate_record(null::%s, $1)', v_check.rule, v_table
      ) into v_broken using coalesce(v_check.known, '{}');
      if v_broken then
        return next v_check.conname;
      end if;
    exception when data_exception then
      null;
    end;
  end loop;
end
$$;
alter function sec.broken_checks(text, jsonb, text[], boolean, text[]) owner to <app>_owner;

create function sec.stayed() returns jsonb
  language sql stable parallel safe as $$
-- Rows that a restore in this transaction left archived, and why.
  select coalesce(nullif(pg_catalog.current_setting('app.stayed', true), ''), '[]')::pg_catalog.jsonb
$$;
alter function sec.stayed() owner to <app>_owner;
