create function jobs.emit() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Puts an event into the outbox, in the transaction of the change. Arguments: the entity and the action. The change
-- that fires this trigger has locked the row, so the events of one object are in the order of their transactions.
begin
  insert into jobs.events (event, entity_type, entity_id, caused_by, request_id)
  values (tg_argv[0] || '.' || tg_argv[1], tg_argv[0], new.id, sec.uid(), sec.request());
  return null;
end
$$;
alter function jobs.emit() owner to <app>_queue;
revoke execute on function jobs.emit() from public;

create function jobs.tell(p_event text, p_entity_type text, p_entity_id uuid, p_payload jsonb) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- For modules: each may only emit its own events. Transactions that emit events of the same object wait for each
-- other, so that its events are in the order in which they became true.
declare
  v_id uuid;
begin
  if not coalesce(starts_with(p_event, sec.job() || '.'), false) then
    raise exception 'the module % may not tell of %', coalesce(sec.job(), '(none)'), p_event using errcode = '42501';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('jobs.events ' || p_entity_id, 0));
  insert into jobs.events (event, entity_type, entity_id, payload, caused_by, request_id)
  values (p_event, p_entity_type, p_entity_id, coalesce(p_payload, '{}'), sec.uid(), sec.request())
  returning id into v_id;
  return v_id;
end
$$;
alter function jobs.tell(text,text,uuid,jsonb) owner to <app>_queue;
revoke execute on function jobs.tell(text,text,uuid,jsonb) from public;
grant execute on function jobs.tell(text,text,uuid,jsonb) to <app>_job;

create function jobs.subscribe(p_events text[], p_jobs text[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Records which jobs consume which events. Workers repeat this regularly for the jobs that they know.
begin
  insert into jobs.subscriptions (event, job)
  select s.event, s.job from unnest(p_events, p_jobs) s(event, job) order by 1, 2
  on conflict (event, job) do update set seen_at = now();
end
$$;
alter function jobs.subscribe(text[],text[]) owner to <app>_queue;
revoke execute on function jobs.subscribe(text[],text[]) from public;
grant execute on function jobs.subscribe(text[],text[]) to <app>_job;

create function jobs.relay(p_limit integer) returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Turns each event into one job per consumer, in the order of the events. Consumers that no worker has reported for a
-- week are ignored. Only one process relays at a time; the others return at once.
declare
  v_count integer;
begin
  if not exists (select 1 from jobs.events e where e.relayed_at is null) then
    return 0;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('jobs.relay', 0)) then
    return 0;
  end if;
  -- In the order of `place`: an event that waits has a lower place than the later events of its object.
  with batch as (
    select e.* from jobs.events e where e.relayed_at is null order by e.place limit p_limit
  ),
  enqueued as (
    insert into jobs.queue (name, payload, order_key, request_id, max_attempts)
    select s.job,
      jsonb_build_object(
        'event_id', b.id, 'event', b.event, 'entity_type', b.entity_type, 'entity_id', b.entity_id,
        'caused_by', b.caused_by, 'created_at', b.created_at, 'payload', b.payload
      ),
      s.job || ' ' || b.entity_id, b.request_id, 100
    from batch b
    join jobs.subscriptions s on s.event = b.event and s.seen_at > now() - interval '7 days'
    order by b.place, s.job
  )
  update jobs.events e set relayed_at = now() from batch b where e.id = b.id;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function jobs.relay(integer) owner to <app>_queue;
revoke execute on function jobs.relay(integer) from public;
grant execute on function jobs.relay(integer) to <app>_job;

create function jobs.purge_events(p_before timestamptz, p_limit integer) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes up to `p_limit` events that were turned into jobs before `p_before`; returns their number.
declare
  v_count bigint;
begin
  delete from jobs.events e where e.id in (
    select d.id from jobs.events d where d.relayed_at < p_before limit p_limit
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function jobs.purge_events(timestamptz,integer) owner to <app>_queue;
revoke execute on function jobs.purge_events(timestamptz,integer) from public;
grant execute on function jobs.purge_events(timestamptz,integer) to <app>_job;
