-- What the engine expects of a generated schema, by hand and as small as it gets:
-- cities that everybody sees, and things in them that have an owner, a state and a secret.

do $$ begin
  if not exists (select 1 from pg_roles where rolname = 'kernel_test_app') then
    create role kernel_test_app login noinherit password 'app';
  end if;
  if not exists (select 1 from pg_roles where rolname = 'kernel_test_job') then
    create role kernel_test_job login noinherit password 'job';
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
alter role kernel_test_app set statement_timeout = '5s';
alter role kernel_test_app set lock_timeout = '300ms';
alter role kernel_test_app set idle_in_transaction_session_timeout = '10s';

create schema app;
create schema sec;
create schema audit;

create table app.users (id uuid primary key, status text not null default 'active', admin boolean not null default false);
create table app.sessions (id uuid primary key, user_id uuid not null, revoked_at timestamptz);
create table audit.reasons (reason text, action text, by uuid, request text);

create function sec.setting(p_name text) returns text language sql stable as
  $$ select nullif(current_setting('app.' || p_name, true), '') $$;
create function sec.uid() returns uuid language sql stable as $$ select sec.setting('user_id')::uuid $$;
create function sec.action() returns text language sql stable as $$ select sec.setting('action') $$;
create function sec.job() returns text language sql stable as $$ select sec.setting('job') $$;
create function sec.is_admin() returns boolean language sql stable as $$ select sec.setting('admin') is not null $$;
create function sec.show_archived() returns boolean language sql stable as
  $$ select coalesce(sec.setting('action') in ('archive', 'restore'), false) $$;
create function sec.stayed() returns jsonb language sql stable as $$ select '[]'::jsonb $$;
create function sec.facts() returns jsonb language sql stable as
  $$ select jsonb_build_object('user', sec.uid(), 'roles', jsonb_build_object('admin', sec.is_admin())) $$;
create function sec.set_reason(p_reason text) returns void language sql as
  $$ select set_config('app.reason', p_reason, true) $$;

create function sec.enter(p_user uuid, p_session uuid, p_action text, p_request uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare v app.users;
begin
  if p_user is not null then
    select * into v from app.users where id = p_user;
    if v.id is null then
      raise exception 'account_unknown' using errcode = '28000';
    elsif v.status <> 'active' then
      raise exception 'account_suspended' using errcode = '28000';
    elsif p_session is not null and not exists (
      select 1 from app.sessions s where s.id = p_session and s.user_id = p_user and s.revoked_at is null
    ) then
      raise exception 'session_revoked' using errcode = '28000';
    end if;
  end if;
  perform set_config('app.user_id', coalesce(p_user::text, ''), true),
    set_config('app.action', p_action, true),
    set_config('app.request_id', coalesce(p_request::text, ''), true),
    set_config('app.admin', case when v.admin then '1' else '' end, true);
end $$;
create function sec.enter_job(p_job text, p_user uuid, p_session uuid, p_request uuid) returns void language sql as $$
  select sec.enter(p_user, p_session, '', p_request), set_config('app.job', p_job, true)
$$;

create table app.cities (
  id uuid primary key default gen_random_uuid(),
  status text not null default 'active',
  name text not null,
  version bigint not null default 1,
  created_at timestamptz not null default now()
);
create table app.things (
  id uuid primary key default gen_random_uuid(),
  status text not null default 'active',
  state text not null default 'draft',
  title text not null,
  rank int not null default 0,
  city_id uuid not null constraint things_city_id_fkey references app.cities,
  owner_id uuid not null default sec.uid(),
  version bigint not null default 1,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default now(),
  constraint things_title_key unique (title),
  constraint things_rank_check check (rank < 1000)
);

create function app.things_guard() returns trigger language plpgsql as $$
begin
  if sec.action() = 'publish' then
    if old.state <> 'draft' then
      raise exception 'x' using errcode = '23514', constraint = 'things_publish_from';
    elsif old.title = 'unready' then
      raise exception 'x' using errcode = '23514', constraint = 'things_publish_when';
    end if;
  end if;
  if sec.action() = 'update' and new.rank is distinct from old.rank and new.rank > 500 and not sec.is_admin() then
    raise exception 'fields rank' using errcode = '42501';
  end if;
  if sec.setting('reason') is not null then
    insert into audit.reasons values (sec.setting('reason'), sec.action(), sec.uid(), sec.setting('request_id'));
  end if;
  new.version := old.version + 1;
  new.updated_at := now();
  return new;
end $$;
create trigger things_guard before update on app.things for each row execute function app.things_guard();

alter table app.cities enable row level security;
alter table app.things enable row level security;
create policy cities_select on app.cities for select to kernel_test_app using (status = 'active');
create policy things_select on app.things for select to kernel_test_app using (
  (status = 'active' and (state = 'published' or owner_id = (select sec.uid()) or (select sec.is_admin())))
  or (status = 'suspended' and (owner_id = (select sec.uid()) or (select sec.is_admin())))
  or (status = 'archived' and (select sec.show_archived()) and owner_id = (select sec.uid()))
);
create policy things_insert on app.things for insert to kernel_test_app with check (
  owner_id = (select sec.uid()) and exists (select 1 from app.cities c where c.id = things.city_id)
);
create policy things_update on app.things for update to kernel_test_app
  using (case (select sec.action())
    when 'update' then status = 'active' and owner_id = (select sec.uid())
    when 'archive' then status = 'active' and owner_id = (select sec.uid())
    when 'restore' then status = 'archived' and owner_id = (select sec.uid())
    when 'suspend' then status = 'active' and (select sec.is_admin())
    when 'unsuspend' then status = 'suspended' and (select sec.is_admin())
    when 'publish' then status = 'active' and owner_id = (select sec.uid())
    when 'withdraw' then status = 'active' and owner_id = (select sec.uid())
    else false end)
  with check (true);
create policy things_job on app.things for all to kernel_test_job using ((select sec.job()) = 'sweeper');

-- As the generator's, but that it looks into the titles themselves.
create function app.things_search(p_text text, p_half boolean, p_within text[], p_before uuid, p_wanted int) returns setof uuid
  language sql stable security definer as $$
  select id from app.things
  where status = 'active' and state = 'published' and (p_before is null or id < p_before)
    and (to_tsvector('simple', title) @@ websearch_to_tsquery('simple', p_text) or title ilike '%' || replace(p_text, '%', '\%') || '%')
    and (cardinality(p_within) = 0 or city_id::text = any(p_within))
  order by id desc limit p_wanted
$$;
grant execute on function app.things_search(text, boolean, text[], uuid, int) to kernel_test_app;
create function app.things_search_own(p_text text, p_half boolean, p_within text[], p_before uuid, p_wanted int) returns setof uuid
  language sql stable security definer as $$
  select id from app.things
  where status = 'active' and state <> 'published' and owner_id = sec.uid() and (p_before is null or id < p_before)
    and title ilike '%' || replace(p_text, '%', '\%') || '%'
    and (cardinality(p_within) = 0 or city_id::text = any(p_within))
  order by id desc limit p_wanted
$$;
grant execute on function app.things_search_own(text, boolean, text[], uuid, int) to kernel_test_app;

grant usage on schema app, sec, audit to kernel_test_app, kernel_test_job;
grant select on app.cities, app.things to kernel_test_app, kernel_test_job;
grant insert (title, rank, city_id), update (title, rank, status, state) on app.things to kernel_test_app;
grant update (title) on app.things to kernel_test_job;
grant insert, select on audit.reasons to kernel_test_app;

-- As generated.
create function sec.broken_checks(p_table text, p_row jsonb, p_unknown text[], p_rest_is_null boolean, p_checks text[]) returns setof text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
-- Which of these checks a row like this would break; asked when it is refused anyway, to tell all that is wrong at
-- once. A check is left out if one of its columns is not known, or is none that would be null.
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
