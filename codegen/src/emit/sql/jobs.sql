create function jobs.put(p_name text, p_payload jsonb, p_run_at timestamptz, p_unique_key text, p_on_key text, p_order_key text, p_on_behalf_of uuid, p_priority integer, p_max_attempts integer) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp as $$
-- Puts a job into the queue, in this transaction, and returns its id. Null: `p_on_key` is `keep`, and a job with this
-- unique key is already waiting.
declare
  v_id uuid;
begin
  if coalesce(p_on_key, 'keep') not in ('keep', 'replace') then
    raise exception 'p_on_key is keep or replace' using errcode = '22023';
  end if;
  insert into jobs.queue as q
    (name, payload, run_at, unique_key, order_key, on_behalf_of, request_id, priority, max_attempts)
  values (
    p_name, coalesce(p_payload, '{}'), coalesce(p_run_at, now()), p_unique_key, p_order_key, p_on_behalf_of,
    sec.request(), coalesce(p_priority, 0), coalesce(p_max_attempts, 100)
  )
  on conflict (name, unique_key) where state = 'queued' and unique_key is not null do update
    set payload = excluded.payload, run_at = excluded.run_at, on_behalf_of = excluded.on_behalf_of,
      request_id = excluded.request_id, priority = excluded.priority, max_attempts = excluded.max_attempts,
      order_key = excluded.order_key,
      attempts = 0, last_error = null
    where p_on_key = 'replace'
  returning q.id into v_id;
  return v_id;
end
$$;
alter function jobs.put(text,jsonb,timestamptz,text,text,text,uuid,integer,integer) owner to <app>_queue;
revoke execute on function jobs.put(text,jsonb,timestamptz,text,text,text,uuid,integer,integer) from public;

create function jobs.enqueue(p_name text, p_payload jsonb, p_run_at timestamptz, p_unique_key text, p_on_key text, p_order_key text, p_on_behalf_of uuid, p_priority integer, p_max_attempts integer) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- For modules: each may only enqueue its own jobs.
begin
  if not coalesce(starts_with(p_name, sec.job() || '.'), false) then
    raise exception 'the module % may not enqueue the job %', coalesce(sec.job(), '(none)'), p_name
      using errcode = '42501';
  end if;
  return jobs.put(p_name, p_payload, p_run_at, p_unique_key, p_on_key, p_order_key, p_on_behalf_of, p_priority, p_max_attempts);
end
$$;
alter function jobs.enqueue(text,jsonb,timestamptz,text,text,text,uuid,integer,integer) owner to <app>_queue;
revoke execute on function jobs.enqueue(text,jsonb,timestamptz,text,text,text,uuid,integer,integer) from public;
grant execute on function jobs.enqueue(text,jsonb,timestamptz,text,text,text,uuid,integer,integer) to <app>_job;

create function jobs.request(p_name text, p_payload jsonb, p_run_at timestamptz, p_unique_key text, p_on_key text) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- For requests: enqueues a job that the spec lets requests ask for, always on behalf of the caller.
begin
  if sec.uid() is null or not p_name = any (<requested>) then
    raise exception 'this request may not ask for the job %', p_name using errcode = '42501';
  end if;
  return jobs.put(p_name, p_payload, p_run_at, sec.uid() || ' ' || p_unique_key, p_on_key, null, sec.uid(), 0, null);
end
$$;
alter function jobs.request(text,jsonb,timestamptz,text,text) owner to <app>_queue;
revoke execute on function jobs.request(text,jsonb,timestamptz,text,text) from public;
grant execute on function jobs.request(text,jsonb,timestamptz,text,text) to <app>_app;

create function jobs.cancel(p_name text, p_unique_key text) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes a waiting job by its unique key: a module may cancel its own jobs, a request those of its caller. A running
-- job is not stopped.
declare
  v_key text := p_unique_key;
begin
  if sec.job() is null or session_user = '<app>_app' then
    v_key := sec.uid() || ' ' || p_unique_key;
  elsif not starts_with(p_name, sec.job() || '.') then
    raise exception 'the module % may not cancel the job %', sec.job(), p_name using errcode = '42501';
  end if;
  delete from jobs.queue q where q.name = p_name and q.unique_key = v_key and q.state = 'queued';
  return found;
end
$$;
alter function jobs.cancel(text,text) owner to <app>_queue;
revoke execute on function jobs.cancel(text,text) from public;
grant execute on function jobs.cancel(text,text) to <app>_app, <app>_job;

create function jobs.claim(p_worker uuid, p_names text[], p_limit integer, p_lease interval) returns table(id uuid, name text, payload jsonb, on_behalf_of uuid, request_id uuid, attempt integer, max_attempts integer)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Leases due jobs to a worker. Of the jobs with the same order key only the oldest is leased, also while it waits for
-- a retry; a dead job does not hold back the jobs after it.
#variable_conflict use_column
begin
  -- For this transaction, which only claims jobs: if a crash of the database loses a claim, the job is claimed again,
  -- so the commit need not wait for the disk. A worker claims its jobs one after the other, so each wait would add up.
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  return query
    with due as (
      select q.id
      from jobs.queue q
      where q.state = 'queued' and q.run_at <= now() and q.name = any (p_names)
        and (q.order_key is null or not exists (
          select 1 from jobs.queue e where e.order_key = q.order_key and e.place < q.place and e.state <> 'dead'
        ))
      order by q.priority, q.run_at, q.place
      limit p_limit
      for update of q skip locked
    )
    update jobs.queue q
    set state = 'running', attempts = q.attempts + 1, locked_by = p_worker, locked_until = now() + p_lease
    -- As an array: for a limit that is a parameter, the planner assumes a tenth of the queue, and would read all of
    -- it.
    where q.id = any (array(select due.id from due))
    returning q.id, q.name, q.payload, q.on_behalf_of, q.request_id, q.attempts, q.max_attempts;
end
$$;
alter function jobs.claim(uuid,text[],integer,interval) owner to <app>_queue;
revoke execute on function jobs.claim(uuid,text[],integer,interval) from public;
grant execute on function jobs.claim(uuid,text[],integer,interval) to <app>_job;

create function jobs.heartbeat(p_worker uuid, p_ids uuid[], p_lease interval) returns setof uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Extends the leases of these jobs; returns the ids of the jobs that the worker still holds.
begin
  return query
  update jobs.queue q set locked_until = now() + p_lease
  where q.id = any (p_ids) and q.state = 'running' and q.locked_by = p_worker
  returning q.id;
end
$$;
alter function jobs.heartbeat(uuid,uuid[],interval) owner to <app>_queue;
revoke execute on function jobs.heartbeat(uuid,uuid[],interval) from public;
grant execute on function jobs.heartbeat(uuid,uuid[],interval) to <app>_job;

create function jobs.complete(p_id uuid, p_worker uuid, p_attempt integer) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes a completed job, in the transaction of the job's own work if it has one. False: another attempt holds the
-- job.
begin
  delete from jobs.queue q
  where q.id = p_id and q.state = 'running' and q.locked_by = p_worker and q.attempts = p_attempt;
  return found;
end
$$;
alter function jobs.complete(uuid,uuid,integer) owner to <app>_queue;
revoke execute on function jobs.complete(uuid,uuid,integer) from public;
grant execute on function jobs.complete(uuid,uuid,integer) to <app>_job;

create function jobs.put_back(p_id uuid, p_error text, p_delay interval, p_dead boolean) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
-- After a failed attempt: queues the job again, or keeps it as dead.
begin
  if p_dead then
    update jobs.queue q
    set state = 'dead', ended_at = now(), last_error = p_error, locked_by = null, locked_until = null
    where q.id = p_id;
    return 'dead';
  end if;
  update jobs.queue q
  set state = 'queued', run_at = now() + p_delay, last_error = p_error, locked_by = null, locked_until = null
  where q.id = p_id;
  return 'queued';
exception when unique_violation then
  -- A job with the same unique key was enqueued meanwhile, and replaces this one.
  delete from jobs.queue q where q.id = p_id;
  return 'superseded';
end
$$;
alter function jobs.put_back(uuid,text,interval,boolean) owner to <app>_queue;
revoke execute on function jobs.put_back(uuid,text,interval,boolean) from public;

create function jobs.fail(p_id uuid, p_worker uuid, p_attempt integer, p_error text, p_delay interval, p_final boolean) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Records a failed attempt and returns what becomes of the job: `queued`, `dead`, or `superseded` by another job with
-- its unique key. Null: another attempt holds the job.
declare
  v_max integer;
begin
  select q.max_attempts into v_max from jobs.queue q
  where q.id = p_id and q.state = 'running' and q.locked_by = p_worker and q.attempts = p_attempt
  for update;
  if not found then
    return null;
  end if;
  return jobs.put_back(p_id, left(p_error, 2000), p_delay, p_final or p_attempt >= v_max);
end
$$;
alter function jobs.fail(uuid,uuid,integer,text,interval,boolean) owner to <app>_queue;
revoke execute on function jobs.fail(uuid,uuid,integer,text,interval,boolean) from public;
grant execute on function jobs.fail(uuid,uuid,integer,text,interval,boolean) to <app>_job;

create function jobs.release(p_worker uuid, p_ids uuid[]) returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Queues the unfinished jobs of a worker that stops again, without counting the attempt; returns their number.
declare
  v_id uuid;
  v_count integer := 0;
begin
  for v_id in
    select q.id from jobs.queue q
    where q.id = any (p_ids) and q.state = 'running' and q.locked_by = p_worker
    for update
  loop
    update jobs.queue q set attempts = greatest(q.attempts - 1, 0) where q.id = v_id;
    perform jobs.put_back(v_id, 'The worker was stopped.', '0', false);
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
alter function jobs.release(uuid,uuid[]) owner to <app>_queue;
revoke execute on function jobs.release(uuid,uuid[]) from public;
grant execute on function jobs.release(uuid,uuid[]) to <app>_job;

create function jobs.rescue() returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Queues jobs again whose lease has expired because their workers are gone. An attempt counts from its start, so that
-- a job that kills its worker runs out of attempts like a job that fails.
declare
  v_job record;
  v_count integer := 0;
begin
  for v_job in
    select q.id, q.attempts, q.max_attempts from jobs.queue q
    where q.state = 'running' and q.locked_until < now()
    for update skip locked
  loop
    perform jobs.put_back(v_job.id, 'The worker went away without finishing.', '0', v_job.attempts >= v_job.max_attempts);
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
alter function jobs.rescue() owner to <app>_queue;
revoke execute on function jobs.rescue() from public;
grant execute on function jobs.rescue() to <app>_job;

create function jobs.ticks(p_names text[]) returns table(name text, last_tick timestamptz, seen_at timestamptz)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- The times up to which periodic jobs have been enqueued; a new periodic job starts now.
#variable_conflict use_column
begin
  insert into jobs.periodic (name, last_tick)
  select u.name, now() from unnest(p_names) u(name)
  on conflict (name) do nothing;
  return query select p.name, p.last_tick, now() from jobs.periodic p where p.name = any (p_names);
end
$$;
alter function jobs.ticks(text[]) owner to <app>_queue;
revoke execute on function jobs.ticks(text[]) from public;
grant execute on function jobs.ticks(text[]) to <app>_job;

create function jobs.tick(p_name text, p_from timestamptz, p_upto timestamptz, p_runs timestamptz[], p_each boolean, p_max_attempts integer) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Enqueues the runs of a periodic job in (p_from, p_upto]. False: another process has enqueued them. Unless `p_each`
-- is true, a run that is still waiting also stands for the runs after it: one that has failed is tried again now, with
-- all its attempts, because its growing delays would otherwise keep the job from running at its times.
begin
  update jobs.periodic p set last_tick = p_upto where p.name = p_name and p.last_tick = p_from;
  if not found then
    return false;
  end if;
  perform jobs.put(p_name, jsonb_build_object('tick', r.run), null,
    case when p_each then 'tick ' || r.run else 'tick' end, 'keep', null, null, 0, p_max_attempts)
  from unnest(p_runs) with ordinality r(run, number)
  order by r.number;
  if not p_each and cardinality(p_runs) > 0 then
    update jobs.queue q set run_at = least(q.run_at, now()), attempts = 0
    where q.name = p_name and q.unique_key = 'tick' and q.state = 'queued' and q.attempts > 0;
  end if;
  return true;
end
$$;
alter function jobs.tick(text,timestamptz,timestamptz,timestamptz[],boolean,integer) owner to <app>_queue;
revoke execute on function jobs.tick(text,timestamptz,timestamptz,timestamptz[],boolean,integer) from public;
grant execute on function jobs.tick(text,timestamptz,timestamptz,timestamptz[],boolean,integer) to <app>_job;

create function jobs.figures() returns table(queued bigint, running bigint, dead bigint, oldest_seconds double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
-- For monitoring: the number of jobs by state, and for how many seconds the oldest due job has been due.
  select
    (select count(*) from jobs.queue q where q.state = 'queued'),
    (select count(*) from jobs.queue q where q.state = 'running'),
    (select count(*) from jobs.queue q where q.state = 'dead'),
    coalesce((
      select extract(epoch from now() - min(q.run_at)) from jobs.queue q where q.state = 'queued' and q.run_at <= now()
    ), 0)::double precision
$$;
alter function jobs.figures() owner to <app>_queue;
revoke execute on function jobs.figures() from public;
grant execute on function jobs.figures() to <app>_job;

create function jobs.dead(p_name text, p_before bigint, p_limit integer) returns table(id uuid, place bigint, name text, payload jsonb, on_behalf_of uuid, request_id uuid, attempts integer, last_error text, created_at timestamptz, ended_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
-- Dead jobs, the newest first. Checks no access: the code that calls this decides who may see jobs, and which parts of
-- a payload.
  select q.id, q.place, q.name, q.payload, q.on_behalf_of, q.request_id, q.attempts, q.last_error, q.created_at, q.ended_at
  from jobs.queue q
  where q.state = 'dead' and (p_name is null or q.name = p_name) and (p_before is null or q.place < p_before)
  order by q.place desc
  limit p_limit
$$;
alter function jobs.dead(text,bigint,integer) owner to <app>_queue;
revoke execute on function jobs.dead(text,bigint,integer) from public;
grant execute on function jobs.dead(text,bigint,integer) to <app>_job;

create function jobs.revive(p_id uuid) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Queues a dead job again, with all its attempts. `waiting`: a job with the same unique key is already waiting, so
-- this one stays dead. Null: there is no dead job with this id.
declare
  v_name text;
begin
  update jobs.queue q
  set state = 'queued', attempts = 0, run_at = now(), ended_at = null
  where q.id = p_id and q.state = 'dead'
  returning q.name into v_name;
  if not found then
    return null;
  end if;
  perform audit.note('job', p_id, 'retry', jsonb_build_object('state', jsonb_build_array('dead', 'queued'), 'name', jsonb_build_array(v_name, v_name)));
  return 'queued';
exception when unique_violation then
  return 'waiting';
end
$$;
alter function jobs.revive(uuid) owner to <app>_queue;
revoke execute on function jobs.revive(uuid) from public;
grant execute on function jobs.revive(uuid) to <app>_job;

create function jobs.discard(p_id uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes a dead job. False: there is no dead job with this id.
declare
  v_name text;
begin
  delete from jobs.queue q where q.id = p_id and q.state = 'dead' returning q.name into v_name;
  if not found then
    return false;
  end if;
  perform audit.note('job', p_id, 'discard', jsonb_build_object('state', jsonb_build_array('dead', null), 'name', jsonb_build_array(v_name, null)));
  return true;
end
$$;
alter function jobs.discard(uuid) owner to <app>_queue;
revoke execute on function jobs.discard(uuid) from public;
grant execute on function jobs.discard(uuid) to <app>_job;

create function jobs.forget(p_name text, p_path text[], p_value text, p_before timestamptz) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes waiting and dead jobs of this name that were enqueued until `p_before` and whose payload has this value at this
-- place, in any case. Running jobs stay. Returns their number.
declare
  v_count bigint;
begin
  delete from jobs.queue q
  where q.name = p_name and q.state in ('queued', 'dead') and q.created_at <= p_before and lower(q.payload #>> p_path) = lower(p_value);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function jobs.forget(text,text[],text,timestamptz) owner to <app>_queue;
revoke execute on function jobs.forget(text,text[],text,timestamptz) from public;
grant execute on function jobs.forget(text,text[],text,timestamptz) to <app>_job;

create function jobs.purge(p_before timestamptz, p_limit integer) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes up to `p_limit` dead jobs that ended before `p_before`; returns their number.
declare
  v_count bigint;
begin
  delete from jobs.queue q where q.id in (
    select d.id from jobs.queue d where d.state = 'dead' and d.ended_at < p_before limit p_limit
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function jobs.purge(timestamptz,integer) owner to <app>_queue;
revoke execute on function jobs.purge(timestamptz,integer) from public;
grant execute on function jobs.purge(timestamptz,integer) to <app>_job;

create function jobs.hold_cascade(p_parent uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Waits for the batch that the job `jobs.cascade` is at work on, and keeps the job away from this row until the
-- transaction ends.
begin
  perform from jobs.cascades c where c.parent_id = p_parent for update;
end
$$;
alter function jobs.hold_cascade(uuid) owner to <app>_queue;
revoke execute on function jobs.hold_cascade(uuid) from public;
grant execute on function jobs.hold_cascade(uuid) to <app>_counter;

create function jobs.cascade_later(p_parent uuid, p_steps text[], p_closes text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Leaves the rest of an archiving or restoring to the job `jobs.cascade`, which does it as this caller.
begin
  insert into jobs.cascades (parent_id, steps, closes, member_id, session_id, request_id, action, reason, roles)
  values (p_parent, p_steps, p_closes, sec.uid(), sec.session(), sec.request(), coalesce(sec.action(), ''), sec.reason(),
    (select jsonb_object_agg(n, coalesce(pg_catalog.current_setting(n, true), '')) from unnest(<roles>) n))
  on conflict (parent_id) do update
    set steps = excluded.steps, closes = excluded.closes, step = default, after = default, member_id = excluded.member_id,
      session_id = excluded.session_id, request_id = excluded.request_id, action = excluded.action,
      reason = excluded.reason, roles = excluded.roles, run_at = default;
  -- Of two requests with the same key, the second would wait until the first has ended.
  perform jobs.put('jobs.cascade', '{}', now(), coalesce(sec.request(), p_parent)::text, 'keep', null, null, 0, null);
end
$$;
alter function jobs.cascade_later(uuid,text[],text) owner to <app>_queue;
revoke execute on function jobs.cascade_later(uuid,text[],text) from public;
grant execute on function jobs.cascade_later(uuid,text[],text) to <app>_counter;

create function jobs.cascaded(p_parent uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Nothing is left to do: an archived row was restored meanwhile, or a restored one archived.
begin
  delete from jobs.cascades c where c.parent_id = p_parent;
end
$$;
alter function jobs.cascaded(uuid) owner to <app>_queue;
revoke execute on function jobs.cascaded(uuid) from public;
grant execute on function jobs.cascaded(uuid) to <app>_counter;

create function jobs.is_cascading(p_parent uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
-- Whether children of this row are still to be archived or restored.
begin
  return exists (select from jobs.cascades c where c.parent_id = p_parent);
end
$$;
alter function jobs.is_cascading(uuid) owner to <app>_queue;
revoke execute on function jobs.is_cascading(uuid) from public;
grant execute on function jobs.is_cascading(uuid) to <app>_counter;

create function jobs.cascade() returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Archives or restores one batch of children that are still to follow, as the caller who archived or restored the parent.
-- Null: none are left, or other transactions are at work on them. Otherwise the error of the batch, or '' if it was done.
-- Done again, it does nothing twice: what has followed is no longer among those that are to follow.
declare
  v_row jobs.cascades;
  v_after uuid;
  v_closed boolean := true;
begin
  select * into v_row from jobs.cascades c where c.run_at <= clock_timestamp() order by c.run_at, c.parent_id limit 1
  for update skip locked;
  if not found then
    return null;
  end if;
  perform
    pg_catalog.set_config('app.user_id', coalesce(v_row.member_id::text, ''), true),
    pg_catalog.set_config('app.session_id', coalesce(v_row.session_id::text, ''), true),
    pg_catalog.set_config('app.request_id', coalesce(v_row.request_id::text, ''), true),
    pg_catalog.set_config('app.action', v_row.action, true),
    pg_catalog.set_config('app.reason', coalesce(v_row.reason, ''), true);
  -- As whom the audit log names the caller.
  perform pg_catalog.set_config(s.key, s.value, true) from jsonb_each_text(v_row.roles) s;
  -- The names are those of functions that triggers of this schema have written.
  if v_row.step <= cardinality(v_row.steps) then
    execute format('select sec.%I($1, $2)', v_row.steps[v_row.step]) into v_after using v_row.parent_id, v_row.after;
    update jobs.cascades c
    set step = c.step + case when v_after is null then 1 else 0 end, after = coalesce(v_after, '00000000-0000-0000-0000-000000000000')
    where c.parent_id = v_row.parent_id;
    return '';
  end if;
  if v_row.closes is not null then
    execute format('select sec.%I($1)', v_row.closes) into v_closed using v_row.parent_id;
  end if;
  if v_closed then
    delete from jobs.cascades c where c.parent_id = v_row.parent_id;
  else
    update jobs.cascades c set run_at = clock_timestamp() + interval '1 minute' where c.parent_id = v_row.parent_id;
  end if;
  return '';
exception when query_canceled or others then
  -- For example, a transaction has inserted a child that did not see yet that the parent is archived. Everything is gone
  -- over once more, later, so that other parents don't wait for this one.
  update jobs.cascades c set step = 1, after = default, run_at = clock_timestamp() + interval '1 minute'
  where c.parent_id = v_row.parent_id;
  return v_row.parent_id || ': ' || sqlerrm;
end
$$;
alter function jobs.cascade() owner to <app>_queue;
revoke execute on function jobs.cascade() from public;
grant execute on function jobs.cascade() to <app>_job;
