-- What must not be so in the catalogue, seen by the request role. One row per finding; none is right.
with
  server as (
    select oid, rolname from pg_roles where rolname in ('culturepass_app', 'culturepass_job')
  ),
  tables as (
    -- Tables of extensions, and the list of migrations, hold nothing of ours.
    select c.oid, c.oid::regclass::text as name, n.nspname, c.relname, c.relowner, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reloptions
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname not like 'pg\_toast%' and n.nspname not like 'pg\_temp%'
      and c.relname <> '_sqlx_migrations'
      and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  ),
  functions as (
    select p.oid, p.oid::regprocedure::text as name, p.prosecdef, p.proconfig
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('app', 'sec', 'audit', 'jobs', 'requests', 'counters')
  )
select 'the server may use ' || t.name || ', which does not force row-level security'
from tables t, server s
where t.relkind in ('r', 'p') and not (t.relrowsecurity and t.relforcerowsecurity)
  and has_any_column_privilege(s.oid, t.oid, 'select, insert, update')
  -- Counters hold ids and numbers, are written by triggers only, and are read beside the row that they belong to.
  and not (t.nspname = 'counters' and not has_any_column_privilege(s.oid, t.oid, 'insert, update'))
union
select s.rolname || ' may ' || p.privilege || ' ' || t.name
from tables t, server s, (values ('delete'), ('truncate'), ('update'), ('insert'), ('trigger'), ('references')) p (privilege)
where has_table_privilege(s.oid, t.oid, p.privilege)
  -- Modules throw away what is theirs alone; what that is, their policies say.
  and not (s.rolname = 'culturepass_job' and p.privilege = 'delete' and t.relrowsecurity)
union
select 'several permissive policies for one command and role on ' || polrelid::regclass::text
from pg_policy where polpermissive group by polrelid, polcmd, polroles having count(*) > 1
union
select 'a policy for everybody: ' || polname || ' on ' || polrelid::regclass::text
from pg_policy where polroles = '{0}'
union
select 'a policy that reads a setting once per row: ' || polname || ' on ' || polrelid::regclass::text
from pg_policy, pg_proc f
where f.proname = 'current_setting' and f.pronamespace = 'pg_catalog'::regnamespace
  -- As stored: writing all policies out as SQL takes most of the time of a start.
  and concat(polqual::text, polwithcheck::text) like '%:funcid ' || f.oid || ' %'
union
select 'a definer function without a search_path of its own: ' || name
from functions where prosecdef and not coalesce(proconfig::text, '') like '%search_path=pg_catalog, pg_temp%'
union
-- Without its own place in the path, the temporary schema is searched first for types, also if the path is empty.
select 'a function whose search_path is not `pg_catalog, pg_temp`: ' || name
from functions where proconfig::text like '%search_path%' and not proconfig::text like '%search_path=pg_catalog, pg_temp%'
union
select s.rolname || ' may create temporary objects in this database; `culturepass migrate up` revokes that'
from server s where has_database_privilege(s.oid, current_database(), 'temporary')
union
select 'a definer function that everybody may call: ' || name
from functions where prosecdef and has_function_privilege('public', oid, 'execute')
union
-- Projections show what strangers may read, and go around row-level security for that; nothing else may.
select 'the server may read ' || t.name || ', a view that goes around row-level security'
from tables t, server s
where t.relkind in ('v', 'm') and has_any_column_privilege(s.oid, t.oid, 'select')
  and not coalesce(t.reloptions::text, '') ~ 'security_invoker=(on|true)'
  and not (t.nspname = 'app' and t.relname ~ '_public(_else)?$' and pg_get_userbyid(t.relowner) = 'culturepass_authz')
union
select s.rolname || ' may create objects in schema ' || n.nspname
from pg_namespace n, server s
where n.nspname not like 'pg\_%' and has_schema_privilege(s.oid, n.oid, 'create')
union
-- Roles are not in a dump of the database. Made anew by hand, they may lack what the schema builds on.
select r.rolname || ' is held to row-level security, so members and their roles are not found; `alter role ' || r.rolname || ' bypassrls` as a superuser'
from pg_roles r where r.rolname in ('culturepass_authz', 'culturepass_counter') and not r.rolbypassrls
union
select s.rolname || ' has no ' || w.name || ', so one request may keep a connection for ever; copy the roles with `pg_dumpall --roles-only`'
from server s
join (values ('culturepass_app', 'statement_timeout'), ('culturepass_app', 'lock_timeout'),
             ('culturepass_app', 'idle_in_transaction_session_timeout'),
             ('culturepass_job', 'lock_timeout'), ('culturepass_job', 'idle_in_transaction_session_timeout')) w (role, name)
  on w.role = s.rolname
-- A setting for this database counts more than one for all; one for another database counts nothing. Zero is no limit.
where not coalesce((select split_part(c, '=', 2) !~ '^0+[a-z]*$'
                    from pg_db_role_setting d, unnest(d.setconfig) c
                    where d.setrole = s.oid and starts_with(c, w.name || '=')
                      and d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                    order by d.setdatabase desc limit 1), false)
union
select s.rolname || ' may become ' || r.rolname
from pg_roles r, server s
where r.oid <> s.oid and pg_has_role(s.oid, r.oid, 'member')
order by 1
