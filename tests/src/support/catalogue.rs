//! The contents of a database's catalogue as sorted lines: two databases have the same schema if these are the same.
//!
//! Leaves out what depends on the history: numbers of objects, the order of columns, and whether default privileges
//! are stored explicitly. Leaves out the objects of extensions.

use sqlx::PgConnection;

/// The sorted lines for the schemas `app`, `sec`, `audit`, `jobs`, `requests` and `search`, with owners and
/// privileges.
pub async fn catalogue(conn: &mut PgConnection) -> Vec<String> {
    let mut lines: Vec<String> = sqlx::query_scalar(QUERY)
        .fetch_all(conn)
        .await
        .expect("catalogue");
    lines.sort_unstable();
    lines
}

/// The lines that only one of the catalogues has, with `-` for the first and `+` for the second.
pub fn difference(first: &[String], second: &[String]) -> Vec<String> {
    let only = |a: &[String], b: &[String], sign: &str| -> Vec<String> {
        a.iter()
            .filter(|line| b.binary_search(line).is_err())
            .map(|line| format!("{sign} {line}"))
            .collect()
    };
    let mut lines = only(first, second, "-");
    lines.extend(only(second, first, "+"));
    lines
}

const QUERY: &str = "
with
  ours as (
    select oid, nspname, nspowner, nspacl from pg_namespace where nspname in ('app', 'sec', 'audit', 'jobs', 'requests', 'search', 'counters')
  ),
  foreign_objects as (
    select classid, objid from pg_depend where deptype = 'e'
  ),
  relation as (
    select c.*, n.nspname || '.' || c.relname as name
    from pg_class c join ours n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'S', 'p')
  ),
  routine as (
    select p.*, p.oid::regprocedure::text as name from pg_proc p join ours n on n.oid = p.pronamespace
    where not exists (select from foreign_objects f where f.classid = 'pg_proc'::regclass and f.objid = p.oid)
  ),
  rights as (
    select 'schema ' || nspname as thing, coalesce(nspacl, acldefault('n', nspowner)) as acl from ours
    union all
    select 'relation ' || name, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::\"char\", relowner))
    from relation
    union all
    select 'column ' || r.name || '.' || a.attname, a.attacl
    from relation r join pg_attribute a on a.attrelid = r.oid
    where a.attnum > 0 and not a.attisdropped and a.attacl is not null
    union all
    select 'function ' || name, coalesce(proacl, acldefault('f', proowner)) from routine
  )
select 'schema ' || nspname || ' of ' || nspowner::regrole from ours
union all
select 'extension ' || extname from pg_extension
union all
select 'relation ' || name || ' ' || relkind::text || ' of ' || relowner::regrole
  || case relpersistence when 'u' then ' unlogged' else '' end
  || ' row security ' || relrowsecurity || '/' || relforcerowsecurity
  || coalesce(' with ' || array_to_string(reloptions, ','), '')
  || coalesce(': ' || obj_description(oid, 'pg_class'), '')
from relation
union all
select 'column ' || r.name || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
  || case when a.attnotnull then ' not null' else '' end
  || case a.attgenerated when 's' then ' generated ' else ' default ' end || coalesce(pg_get_expr(d.adbin, d.adrelid), '-')
  || case when a.attstorage <> t.typstorage then ' storage ' || a.attstorage::text else '' end
  || case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation::text else '' end
  || case when a.attidentity <> '' then ' identity ' || a.attidentity::text else '' end
  || coalesce(': ' || col_description(r.oid, a.attnum), '')
from relation r
  join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind <> 'S'
union all
select 'constraint ' || r.name || '.' || c.conname || ' ' || pg_get_constraintdef(c.oid)
  || coalesce(': ' || obj_description(c.oid, 'pg_constraint'), '')
from relation r join pg_constraint c on c.conrelid = r.oid
where c.contype <> 't'
union all
select 'index ' || pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' invalid' end
from relation r join pg_index i on i.indrelid = r.oid
union all
select 'view ' || name || ' ' || pg_get_viewdef(oid) from relation where relkind in ('v', 'm')
union all
select 'trigger ' || pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
from relation r join pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
union all
select 'policy ' || r.name || '.' || p.polname || ' ' || p.polcmd::text || ' ' || p.polpermissive || ' to '
  || (select string_agg(x::regrole::text, ',' order by x::regrole::text) from unnest(p.polroles) x)
  || ' using ' || coalesce(pg_get_expr(p.polqual, p.polrelid), '-')
  || ' check ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '-')
from relation r join pg_policy p on p.polrelid = r.oid
union all
select 'function ' || name || ' of ' || proowner::regrole || ' ' || pg_get_functiondef(oid) from routine where prokind in ('f', 'p')
union all
select 'right ' || thing || ': ' || e.privilege_type || ' to ' || case e.grantee when 0 then 'public' else e.grantee::regrole::text end
  || case when e.is_grantable then ' with grant option' else '' end
from rights cross join lateral aclexplode(acl) e
";
