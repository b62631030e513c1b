-- Rules for the catalogue after every migration. Each row of the result is a violation.
-- Read by tests/src/database/lint.rs; `culturepass` stands for the application's name.
with
  requests as (select rolname from pg_roles where rolname in ('culturepass_app', 'culturepass_job')),
  -- Views that may run with their owner's rights: ids and places of rows that anonymous callers may read,
  -- see codegen's projection.rs.
  projections as (select c.oid from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'v'
    and c.relname ~ '_public(_else)?$' and pg_get_userbyid(c.relowner) = 'culturepass_authz'),
  tables as (select c.oid, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p')),
  functions as (select p.oid, p.proname, p.pronamespace, p.prosrc, p.proowner, p.prosecdef, p.proconfig, p.prolang, p.proargmodes from pg_proc p where p.pronamespace in ('app'::regnamespace, 'sec'::regnamespace, 'audit'::regnamespace, 'jobs'::regnamespace, 'requests'::regnamespace, 'counters'::regnamespace))

select 'row-level security is not forced: ' || oid::regclass as problem from tables t
  where not (relrowsecurity and relforcerowsecurity)
union all
select 'not owned by the owner role: ' || oid::regclass from tables
  where pg_get_userbyid(relowner) <> 'culturepass_owner'
union all
select 'a request role owns: ' || c.oid::regclass from pg_class c join requests r on pg_get_userbyid(c.relowner) = r.rolname
union all
select 'a request role is member of another: ' || rolname from pg_auth_members m join pg_roles r on r.oid = m.member join requests using (rolname)
union all
select 'role bypasses row-level security: ' || rolname from pg_roles
  where rolname in ('culturepass_app', 'culturepass_job', 'culturepass_owner', 'culturepass_audit', 'culturepass_queue') and (rolbypassrls or rolsuper)
union all
select 'role with its own rights can log in: ' || rolname from pg_roles
  where rolname in ('culturepass_owner', 'culturepass_authz', 'culturepass_counter', 'culturepass_audit', 'culturepass_queue') and rolcanlogin
union all
select 'more than one permissive policy per command: ' || polrelid::regclass || ' ' || polcmd::text from pg_policy
  where polpermissive group by polrelid, polcmd, polroles having count(*) > 1
union all
select 'policy for all commands: ' || polrelid::regclass || '.' || polname from pg_policy where polcmd = '*'
union all
select 'policy to everybody: ' || polrelid::regclass || '.' || polname from pg_policy where polroles = '{0}'
union all
select 'setting read once per row in policy: ' || polrelid::regclass || '.' || polname from pg_policy,
  -- Only policies for reading are checked, without the part for suspended and archived rows: queries read many rows, few of which
  -- are suspended or archived, and writes affect single rows.
  lateral (select regexp_replace(pg_get_expr(polqual, polrelid), '\(status = ''(suspended|archived)''.*', '')) as e(text)
  where polcmd = 'r' and (e.text ~ 'current_setting' or regexp_replace(e.text, 'SELECT \(?(unnest\()?sec\.\w+\(', '', 'g') ~ 'sec\.(uid|job|action|is_|scopes_|my_|show_)')
union all
select 'definer function without search path: ' || oid::regprocedure from functions
  where prosecdef and not coalesce(proconfig::text, '') ~ 'search_path'
union all
select 'definer function for everybody: ' || oid::regprocedure from functions
  where prosecdef and has_function_privilege('public', oid, 'execute')
union all
-- PostgreSQL can't inline such a function and plans it again at each call. Those that return a table are called seldom.
select 'planned at each call, should be PL/pgSQL: ' || oid::regprocedure from functions
  where prolang = (select l.oid from pg_language l where l.lanname = 'sql') and (prosecdef or proconfig is not null) and proargmodes is null
union all
-- The setting of the caller counts in what it calls, so that such a function would be planned anew for each row.
select 'planned at each call, because of ' || caller.oid::regprocedure || ': ' || called.oid::regprocedure
  from functions caller
  join functions called on caller.prosrc ~ ('\m' || called.pronamespace::regnamespace || '\.' || called.proname || '\(') and called.oid <> caller.oid
  where array_to_string(caller.proconfig, ' ') ~ 'plan_cache_mode=force_custom_plan'
    and called.prosrc ~* '\mfrom\s+(app|sec|search|counters|requests|audit|jobs)\.' and not coalesce(array_to_string(called.proconfig, ' '), '') ~ 'plan_cache_mode'
union all
select 'definer function of the wrong role: ' || oid::regprocedure from functions
  where prosecdef and pg_get_userbyid(proowner) not in ('culturepass_authz', 'culturepass_counter', 'culturepass_audit', 'culturepass_queue')
union all
select 'grant on the whole table: ' || t.oid::regclass || ' ' || p from tables t, unnest(array['delete', 'truncate', 'update', 'insert', 'references', 'trigger']) p
  where has_table_privilege('culturepass_app', t.oid, p)
union all
select 'jobs may truncate: ' || t.oid::regclass from tables t where has_table_privilege('culturepass_job', t.oid, 'truncate')
union all
select 'bookkeeping can be written: ' || a.attrelid::regclass || '.' || a.attname from tables t
  join pg_attribute a on a.attrelid = t.oid and a.attname in ('id', 'version', 'created_at', 'updated_at')
  where has_column_privilege('culturepass_app', t.oid, a.attnum, 'insert') or has_column_privilege('culturepass_app', t.oid, a.attnum, 'update')
union all
select 'view with its owner''s rights: ' || c.oid::regclass from pg_class c
  where c.relnamespace = 'app'::regnamespace and c.relkind = 'v' and not coalesce(c.reloptions::text, '') ~ 'security_invoker=(on|true)'
  and c.oid not in (select oid from projections)
union all
select 'a request role reaches the audit log or the queue: ' || c.oid::regclass from pg_class c cross join requests r
  where c.relnamespace in ('audit'::regnamespace, 'jobs'::regnamespace, 'requests'::regnamespace) and c.relkind = 'r'
  and has_any_column_privilege(r.rolname, c.oid, 'select,insert,update')
union all
select 'a request role writes counters: ' || c.oid::regclass from pg_class c cross join requests r
  where c.relnamespace = 'counters'::regnamespace and c.relkind = 'r'
  and (has_any_column_privilege(r.rolname, c.oid, 'insert,update') or has_table_privilege(r.rolname, c.oid, 'delete,truncate')
    or pg_get_userbyid(c.relowner) <> 'culturepass_owner')
union all
select 'a request role reaches search documents: ' || c.oid::regclass from pg_class c cross join requests r
  where c.relnamespace = 'search'::regnamespace and c.relkind = 'r'
  and (has_schema_privilege(r.rolname, 'search', 'usage') or has_any_column_privilege(r.rolname, c.oid, 'select,insert,update'))
union all
select 'a request role may create in: ' || n.nspname from pg_namespace n cross join requests r
  where n.nspname in ('app', 'sec', 'audit', 'jobs', 'requests', 'search', 'counters', 'public') and has_schema_privilege(r.rolname, n.oid, 'create')
union all
select 'reference without index: ' || k.conrelid::regclass || ' ' || k.conname from pg_constraint k
  where k.contype = 'f' and k.connamespace = 'app'::regnamespace
  and not exists (select 1 from pg_index i where i.indrelid = k.conrelid and (i.indkey::int2[])[0:0] = k.conkey[1:1])
union all
select 'reference not validated: ' || conrelid::regclass || ' ' || conname from pg_constraint
  where connamespace = 'app'::regnamespace and not convalidated
union all
-- Regardless of the collation, since filters and orders of a text use the same one.
select 'same index twice: ' || min(indexrelid::regclass::text) || ' ' || max(indexrelid::regclass::text) from pg_index i join tables t on t.oid = i.indrelid
  group by i.indrelid, i.indkey::text, i.indexprs::text, i.indpred::text, i.indclass::text having count(*) > 1
union all
-- A longer index also serves the queries of a shorter one. Unique indexes are exempt, since they enforce a rule.
select 'index that another one serves: ' || a.indexrelid::regclass || ', ' || b.indexrelid::regclass
  from pg_index a join pg_index b on b.indrelid = a.indrelid and b.indexrelid <> a.indexrelid
  join pg_class ac on ac.oid = a.indexrelid join pg_class bc on bc.oid = b.indexrelid and bc.relam = ac.relam
  where ac.relnamespace in ('app'::regnamespace, 'audit'::regnamespace, 'counters'::regnamespace)
  and not a.indisunique and a.indexprs is null and b.indexprs is null and a.indnkeyatts < b.indnkeyatts
  and (b.indkey::int2[])[0:a.indnkeyatts - 1] = (a.indkey::int2[])[0:a.indnkeyatts - 1]
  and pg_get_expr(a.indpred, a.indrelid) is not distinct from pg_get_expr(b.indpred, b.indrelid)
order by 1;
