create function audit.note(p_entity_type text, p_entity_id uuid, p_action text, p_changed jsonb) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Records an action on something that is not a row of a table, such as an administrator's command to the queue.
begin
  insert into audit.audit_logs
    (entity_type, entity_id, action, performed_by, performed_role, session_id, request_id, reason, changed)
  values (
    p_entity_type, p_entity_id, p_action,
    sec.uid(), sec.performed_role(), sec.session(), sec.request(), sec.reason(), p_changed
  );
end
$$;
alter function audit.note(text,uuid,text,jsonb) owner to <app>_audit;
revoke execute on function audit.note(text,uuid,text,jsonb) from public;
grant execute on function audit.note(text,uuid,text,jsonb) to <app>_queue;

create function audit.row_hash(p_row audit.audit_logs) returns bytea
  language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' as $$
-- Hashes every column together with its length, so that no text can move from one column to the next unnoticed.
begin
  return (
    select sha256(convert_to(string_agg(coalesce(length(v)::text || ':' || v, '-'), '|' order by n), 'UTF8'))
    from unnest(array[
      p_row.id::text, p_row.tx::text, p_row.entity_type, p_row.entity_id::text, p_row.action,
      p_row.performed_by::text, p_row.performed_role, p_row.session_id::text, p_row.request_id::text,
      p_row.reason, p_row.changed::text, p_row.created_at::text
    ]) with ordinality as u(v, n)
  );
end
$$;
alter function audit.row_hash(audit.audit_logs) owner to <app>_audit;
revoke execute on function audit.row_hash(audit.audit_logs) from public;

create function audit.block_hash(p_prev bytea, p_ids int8multirange, p_closed_to bigint, out row_count bigint, out hash bytea) returns record
  language sql stable set search_path = pg_catalog, pg_temp as $$
-- The number of rows with these ids, and a hash of them that also covers the hash of the seal before.
  select count(*), sha256(p_prev
    || convert_to(p_ids::text || ' ' || p_closed_to::text || ' ' || count(*)::text, 'UTF8')
    || coalesce(string_agg(audit.row_hash(l), '' order by l.id), ''))
  from audit.audit_logs l where l.id >= lower(p_ids) and l.id < upper(p_ids) and p_ids @> l.id
$$;
alter function audit.block_hash(bytea,int8multirange,bigint) owner to <app>_audit;
revoke execute on function audit.block_hash(bytea,int8multirange,bigint) from public;

create function audit.seal() returns table(seal bigint, row_count bigint, hash text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Seals the committed rows that no seal covers yet. Publish the hash elsewhere: a person who can rewrite the table can
-- also remove its latest seals.
-- Ids are assigned in order, but their transactions commit in any order. A seal therefore lists the ids that it
-- covers; `closed_to` is the id up to which no row can be committed any more, because every transaction that was
-- running when that id was assigned has ended. They have lower transaction ids than the seal, which gets its own
-- afterwards (`seen_tx`). The end of a snapshot would not do: it may be the id of a transaction that is running.
-- Transaction ids only serve to decide this: they start anew where a dump is restored, and then all earlier
-- transactions have ended.
declare
  v_last audit.seals;
  -- Read before the next statement takes its snapshot, so that all ids up to this one were drawn before the snapshot.
  v_seen bigint := coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit.audit_logs', 'id')::regclass), 0);
  v_block record;
begin
  lock table audit.seals in share row exclusive mode;
  select * into v_last from audit.seals order by id desc limit 1;
  select n.ids, n.closed_to into v_block
  from (select pg_snapshot_xmin(s) as xmin, pg_snapshot_xmax(s) as xmax from pg_current_snapshot() s) now,
    lateral (
      select greatest(coalesce(v_last.closed_to, 0), (
          select max(s.seen_id) from audit.seals s
          where s.seen_id > coalesce(v_last.closed_to, 0) and (s.seen_tx <= now.xmin or s.seen_tx > now.xmax)
        )) as closed_to,
        (
          select range_agg(int8range(l.id, l.id, '[]')) from audit.audit_logs l
          where l.id > coalesce(v_last.closed_to, 0) and not exists (
            -- A seal may cover ids above its `seen_id`, but none above that of the next seal: earlier seals need not
            -- be read.
            select 1 from audit.seals s where s.seen_id >= coalesce(v_last.closed_to, 0) and s.ids @> l.id)
        ) as ids
    ) n;
  if v_block.ids is null then
    return;
  end if;
  return query
    insert into audit.seals as s (id, ids, row_count, seen_id, seen_tx, closed_to, prev, hash)
    select coalesce(v_last.id, 0) + 1, v_block.ids, b.row_count, v_seen, pg_current_xact_id(), v_block.closed_to, v_last.hash, b.hash
    from audit.block_hash(coalesce(v_last.hash, ''), v_block.ids, v_block.closed_to) b
    returning s.id, s.row_count, encode(s.hash, 'hex');
end
$$;
alter function audit.seal() owner to <app>_audit;
revoke execute on function audit.seal() from public;
grant execute on function audit.seal() to <app>_job;

create function audit.verify() returns table(seal bigint, problem text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Returns the first seal that does not match the rows, and why; no row if all seals match.
declare
  v_seal audit.seals;
  v_prev bytea;
  v_number bigint := 0;
  v_sealed int8multirange := '{}';
  v_closed_to bigint := 0;
  v_block record;
begin
  for v_seal in select * from audit.seals order by id loop
    v_number := v_number + 1;
    select * into v_block from audit.block_hash(coalesce(v_prev, ''), v_seal.ids, v_seal.closed_to);
    problem := case
      when v_seal.id <> v_number then 'a seal before it is missing'
      when v_seal.prev is distinct from v_prev then 'it does not follow the seal before'
      when v_seal.ids && v_sealed or v_seal.closed_to < v_closed_to then 'it covers what is sealed already'
      when v_block.row_count < v_seal.row_count then 'rows are missing'
      when v_block.row_count > v_seal.row_count then 'rows were added'
      -- Rows that were added before the sealing: the sequence assigns each id only once.
      when v_block.row_count > (select sum(upper(r) - lower(r)) from unnest(v_seal.ids) r) then 'an id is there twice'
      when v_block.hash <> v_seal.hash then 'rows were changed'
    end;
    if problem is not null then
      seal := v_seal.id;
      return next;
      return;
    end if;
    v_prev := v_seal.hash;
    v_sealed := v_sealed + v_seal.ids;
    v_closed_to := v_seal.closed_to;
  end loop;
  -- Rows that no seal covers although their ids are closed: no transaction could commit them properly any more.
  select min(s.id), 'rows were added' into seal, problem
  from audit.audit_logs l, audit.seals s
  where l.id <= v_closed_to and not v_sealed @> l.id and s.closed_to >= l.id
  having count(*) > 0;
  if found then
    return next;
  end if;
end
$$;
alter function audit.verify() owner to <app>_audit;
revoke execute on function audit.verify() from public;
grant execute on function audit.verify() to <app>_job;

create function audit.has_seal(p_hash text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
-- Whether a published seal still exists.
begin
  return exists (select 1 from audit.seals s where encode(s.hash, 'hex') = p_hash);
end
$$;
alter function audit.has_seal(text) owner to <app>_audit;
revoke execute on function audit.has_seal(text) from public;
grant execute on function audit.has_seal(text) to <app>_job;

create function audit.created_today(p_performed_by uuid, p_entity_type text) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
-- The number of rows of an entity that a member has created since midnight (UTC). Looks back in growing windows of
-- ids, until the entries before a window are of an earlier day. The time of those entries is read with `max`: for
-- `exists`, PostgreSQL expects an early match, and reads the index by object from its beginning.
declare
  v_ids bigint := 10000;
  v_midnight constant timestamptz := date_trunc('day', now(), 'UTC');
  v_before bigint := pg_sequence_last_value(pg_get_serial_sequence('audit.audit_logs', 'id')::regclass) + 1;
  v_count bigint := 0;
begin
  while v_before > 0 loop
    v_count := v_count + (
      select count(*) from audit.audit_logs l
      where l.id >= v_before - v_ids and l.id < v_before and l.performed_by = p_performed_by
        and l.entity_type = p_entity_type and l.action = 'create' and l.performed_role not like 'job:%'
        and l.created_at >= v_midnight
    );
    v_before := v_before - v_ids;
    v_ids := v_ids * 10;
    exit when (
      select max(l.created_at) from audit.audit_logs l where l.id >= v_before - 1000 and l.id < v_before
    ) < v_midnight;
  end loop;
  return v_count;
end
$$;
alter function audit.created_today(uuid,text) owner to <app>_audit;
revoke execute on function audit.created_today(uuid,text) from public;
grant execute on function audit.created_today(uuid,text) to <app>_queue;

create function audit.history(p_entity_type text, p_entity_id uuid, p_performed_by uuid, p_before bigint, p_limit integer) returns setof audit.audit_logs
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
-- Entries, the newest first. The statement contains only the filters that are given, so that each combination uses its
-- index. Unless one object is given, the newest ids are searched first, then ten times as many before them, until
-- there are enough entries.
declare
  v_before bigint := p_before;
  -- Windows of ids start at existing ids, even if `p_before` is far higher.
  v_end constant bigint := coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit.audit_logs', 'id')::regclass), 0) + 1;
  v_wanted integer := p_limit;
  v_ids bigint := 10000;
  v_from bigint;
  v_found integer;
begin
  while v_wanted > 0 loop
    v_from := case when p_entity_id is null then greatest(least(v_before, v_end), 0) - v_ids end;
    if v_from <= 0 then
      v_from := null;
    end if;
    return query execute 'select l.* from audit.audit_logs l where true'
      || case when p_entity_type is not null then ' and l.entity_type = $1' else '' end
      || case when p_entity_id is not null then ' and l.entity_id = $2' else '' end
      || case when p_performed_by is not null then ' and l.performed_by = $3' else '' end
      || case when v_before is not null then ' and l.id < $4' else '' end
      || case when v_from is not null then ' and l.id >= $5' else '' end
      || ' order by l.id desc limit $6'
    using p_entity_type, p_entity_id, p_performed_by, v_before, v_from, v_wanted;
    get diagnostics v_found = row_count;
    exit when v_from is null;
    v_wanted := v_wanted - v_found;
    v_before := v_from;
    v_ids := v_ids * 10;
  end loop;
end
$$;
alter function audit.history(text,uuid,uuid,bigint,integer) owner to <app>_audit;
revoke execute on function audit.history(text,uuid,uuid,bigint,integer) from public;
grant execute on function audit.history(text,uuid,uuid,bigint,integer) to <app>_job;
