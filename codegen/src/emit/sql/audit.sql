create function audit.mask(p_value jsonb) returns jsonb
  language sql immutable set search_path = '' as $$
-- That there is a value, not which.
  select case when p_value = 'null' then p_value else '"•"' end
$$;
alter function audit.mask(jsonb) owner to <app>_audit;

create function audit.record() returns trigger
  language plpgsql security definer set search_path = '' as $$
-- Arguments: the entity, and its masked and its left out columns, each as an array.
declare
  v_masked constant text[] := tg_argv[1];
  v_ignored constant text[] := tg_argv[2];
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) else '{}' end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) else '{}' end;
  v_id uuid := case when tg_op = 'DELETE' then old.id else new.id end;
  v_changed jsonb;
begin
  select jsonb_object_agg(c.key, case
      when c.key = any (v_masked) then jsonb_build_array(audit.mask(c.before), audit.mask(c.after))
      else jsonb_build_array(c.before, c.after)
    end)
  into v_changed
  from (
    select key, coalesce(o.value, 'null') as before, coalesce(n.value, 'null') as after
    from jsonb_each(v_old) o full join jsonb_each(v_new) n using (key)
  ) c
  where c.before is distinct from c.after and not c.key = any (v_ignored);
  insert into audit.audit_logs
    (entity_type, entity_id, action, performed_by, performed_role, session_id, request_id, reason, changed)
  values (
    tg_argv[0], v_id,
    case tg_op when 'INSERT' then 'create' else coalesce(sec.action(), lower(tg_op)) end,
    sec.uid(), sec.performed_role(), sec.session(), sec.request(), sec.reason(), coalesce(v_changed, '{}')
  );
  return null;
end
$$;
alter function audit.record() owner to <app>_audit;
revoke execute on function audit.record() from public;

create function audit.note(p_entity_type text, p_entity_id uuid, p_action text, p_changed jsonb) returns void
  language sql security definer set search_path = '' as $$
-- What was done to something that is no row of a table: an administrator's orders to the queue.
  insert into audit.audit_logs
    (entity_type, entity_id, action, performed_by, performed_role, session_id, request_id, reason, changed)
  values (
    p_entity_type, p_entity_id, p_action,
    sec.uid(), sec.performed_role(), sec.session(), sec.request(), sec.reason(), p_changed
  )
$$;
alter function audit.note(text,uuid,text,jsonb) owner to <app>_audit;
revoke execute on function audit.note(text,uuid,text,jsonb) from public;
grant execute on function audit.note(text,uuid,text,jsonb) to <app>_queue;

create function audit.row_hash(p_row audit.audit_logs) returns bytea
  language sql stable set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' as $$
-- Every column, each with its length, so that nothing can move from one to the next.
  select sha256(convert_to(string_agg(coalesce(length(v)::text || ':' || v, '-'), '|' order by n), 'UTF8'))
  from unnest(array[
    p_row.id::text, p_row.tx::text, p_row.entity_type, p_row.entity_id::text, p_row.action,
    p_row.performed_by::text, p_row.performed_role, p_row.session_id::text, p_row.request_id,
    p_row.reason, p_row.changed::text, p_row.created_at::text
  ]) with ordinality as u(v, n)
$$;
alter function audit.row_hash(audit.audit_logs) owner to <app>_audit;
revoke execute on function audit.row_hash(audit.audit_logs) from public;

create function audit.block_hash(p_prev bytea, p_from xid8, p_to xid8, out row_count bigint, out hash bytea) returns record
  language sql stable set search_path = '' as $$
-- Of the rows of finished transactions in [from, to), chained to the seal before.
  select count(*), sha256(p_prev || convert_to(p_from::text || ' ' || p_to::text || ' ' || count(*)::text, 'UTF8')
    || coalesce(string_agg(audit.row_hash(l), '' order by l.tx, l.id), ''))
  from audit.audit_logs l
  where l.tx >= p_from and l.tx < p_to
$$;
alter function audit.block_hash(bytea,xid8,xid8) owner to <app>_audit;
revoke execute on function audit.block_hash(bytea,xid8,xid8) from public;

create function audit.seal() returns table(seal bigint, row_count bigint, hash text)
  language plpgsql security definer set search_path = '' as $$
-- Seals what has been finished since the last seal. Publish the hash elsewhere: who can rewrite the table can
-- also take its last seals away.
declare
  v_last audit.seals;
  v_block record;
begin
  lock table audit.seals in share row exclusive mode;
  select * into v_last from audit.seals order by id desc limit 1;
  -- One statement, one snapshot: every transaction before its xmin is finished and seen.
  select s.upto, b.row_count, b.hash into v_block
  from (select pg_snapshot_xmin(pg_current_snapshot()) as upto) s,
    lateral audit.block_hash(coalesce(v_last.hash, ''), coalesce(v_last.to_tx, '0'), s.upto) b;
  if v_block.row_count = 0 then
    return;
  end if;
  return query
    insert into audit.seals as s (id, from_tx, to_tx, row_count, prev, hash)
    values (coalesce(v_last.id, 0) + 1, coalesce(v_last.to_tx, '0'), v_block.upto, v_block.row_count, v_last.hash, v_block.hash)
    returning s.id, s.row_count, encode(s.hash, 'hex');
end
$$;
alter function audit.seal() owner to <app>_audit;
revoke execute on function audit.seal() from public;
grant execute on function audit.seal() to <app>_job;

create function audit.verify() returns table(seal bigint, problem text)
  language plpgsql security definer set search_path = '' as $$
-- The first seal that does not hold; no row: all do.
declare
  v_seal audit.seals;
  v_prev bytea;
  v_to xid8 := '0';
  v_number bigint := 0;
  v_block record;
begin
  for v_seal in select * from audit.seals order by id loop
    v_number := v_number + 1;
    select * into v_block from audit.block_hash(coalesce(v_prev, ''), v_seal.from_tx, v_seal.to_tx);
    problem := case
      when v_seal.id <> v_number then 'a seal before it is missing'
      when v_seal.prev is distinct from v_prev or v_seal.from_tx <> v_to then 'it does not follow the seal before'
      when v_block.row_count < v_seal.row_count then 'rows are missing'
      when v_block.row_count > v_seal.row_count then 'rows were added'
      when v_block.hash <> v_seal.hash then 'rows were changed'
    end;
    if problem is not null then
      seal := v_seal.id;
      return next;
      return;
    end if;
    v_prev := v_seal.hash;
    v_to := v_seal.to_tx;
  end loop;
end
$$;
alter function audit.verify() owner to <app>_audit;
revoke execute on function audit.verify() from public;
grant execute on function audit.verify() to <app>_job;

create function audit.has_seal(p_hash text) returns boolean
  language sql stable security definer set search_path = '' as $$
-- Is a published seal still there?
  select exists (select 1 from audit.seals s where encode(s.hash, 'hex') = p_hash)
$$;
alter function audit.has_seal(text) owner to <app>_audit;
revoke execute on function audit.has_seal(text) from public;
grant execute on function audit.has_seal(text) to <app>_job;

create function audit.history(p_entity_type text, p_entity_id uuid, p_performed_by uuid, p_before bigint, p_limit integer) returns setof audit.audit_logs
  language plpgsql stable security definer set search_path = '' as $$
-- Newest first. A statement of its own for what was asked, so that each finds its index.
begin
  return query execute 'select l.* from audit.audit_logs l where true'
    || case when p_entity_type is not null then ' and l.entity_type = $1' else '' end
    || case when p_entity_id is not null then ' and l.entity_id = $2' else '' end
    || case when p_performed_by is not null then ' and l.performed_by = $3' else '' end
    || case when p_before is not null then ' and l.id < $4' else '' end
    || ' order by l.id desc limit $5'
  using p_entity_type, p_entity_id, p_performed_by, p_before, p_limit;
end
$$;
alter function audit.history(text,uuid,uuid,bigint,integer) owner to <app>_audit;
revoke execute on function audit.history(text,uuid,uuid,bigint,integer) from public;
grant execute on function audit.history(text,uuid,uuid,bigint,integer) to <app>_job;
