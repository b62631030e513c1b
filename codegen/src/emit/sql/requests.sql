create function requests.claim(p_method text, p_route text, p_key text, p_fingerprint text, p_lease interval) returns table(outcome text, attempt integer, status integer, headers jsonb, body bytea)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Claims an idempotency key for a request of the caller, so that it takes effect only once. `new`: the key was not in
-- use. `again`: an earlier attempt ended without an answer. `busy`: another attempt is running. `other`: the key was
-- used for a different request. `done`: the stored answer. Waits for an open transaction that holds the key.
#variable_conflict use_column
declare
  v_key requests.keys;
begin
  if sec.uid() is null then
    raise exception 'only a member has keys of requests' using errcode = '42501';
  end if;
  loop
    insert into requests.keys (principal, method, route, key, fingerprint, locked_until)
    values (sec.uid(), p_method, p_route, p_key, p_fingerprint, clock_timestamp() + p_lease)
    on conflict (principal, method, route, key) do nothing;
    if found then
      return query select 'new', 1, null::integer, null::jsonb, null::bytea;
      return;
    end if;
    select k.* into v_key from requests.keys k
    where k.principal = sec.uid() and k.method = p_method and k.route = p_route and k.key = p_key
    for update;
    -- Not found: the attempt that held the key has given it up since, so the key is free.
    exit when found;
  end loop;
  if v_key.fingerprint is distinct from p_fingerprint then
    return query select 'other', 0, null::integer, null::jsonb, null::bytea;
  elsif v_key.status is not null then
    return query select 'done', v_key.attempt, v_key.status, v_key.headers, v_key.body;
  elsif v_key.locked_until > clock_timestamp() then
    return query select 'busy', 0, null::integer, null::jsonb, null::bytea;
  else
    update requests.keys k set attempt = v_key.attempt + 1, locked_until = clock_timestamp() + p_lease
    where k.principal = sec.uid() and k.method = p_method and k.route = p_route and k.key = p_key;
    return query select 'again', v_key.attempt + 1, null::integer, null::jsonb, null::bytea;
  end if;
end
$$;
alter function requests.claim(text,text,text,text,interval) owner to <app>_queue;
revoke execute on function requests.claim(text,text,text,text,interval) from public;
grant execute on function requests.claim(text,text,text,text,interval) to <app>_app;

create function requests.answer(p_method text, p_route text, p_key text, p_attempt integer, p_status integer, p_headers jsonb, p_body bytea) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Stores the answer to a request. False: another attempt holds the key, or the request was answered already.
begin
  update requests.keys k set status = p_status, headers = p_headers, body = p_body
  where k.principal = sec.uid() and k.method = p_method and k.route = p_route and k.key = p_key
    and k.attempt = p_attempt and k.status is null;
  return found;
end
$$;
alter function requests.answer(text,text,text,integer,integer,jsonb,bytea) owner to <app>_queue;
revoke execute on function requests.answer(text,text,text,integer,integer,jsonb,bytea) from public;
grant execute on function requests.answer(text,text,text,integer,integer,jsonb,bytea) to <app>_app, <app>_job;

create function requests.give_up(p_method text, p_route text, p_key text, p_attempt integer, p_begun boolean) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Ends an attempt without an answer that could be repeated. If no attempt has begun the work, the key is free again;
-- otherwise the next attempt learns that the work was begun.
begin
  if p_begun or p_attempt > 1 then
    update requests.keys k set locked_until = clock_timestamp()
    where k.principal = sec.uid() and k.method = p_method and k.route = p_route and k.key = p_key
      and k.attempt = p_attempt and k.status is null;
  else
    delete from requests.keys k
    where k.principal = sec.uid() and k.method = p_method and k.route = p_route and k.key = p_key
      and k.attempt = p_attempt and k.status is null;
  end if;
  return found;
end
$$;
alter function requests.give_up(text,text,text,integer,boolean) owner to <app>_queue;
revoke execute on function requests.give_up(text,text,text,integer,boolean) from public;
grant execute on function requests.give_up(text,text,text,integer,boolean) to <app>_app;

create function requests.look_up(p_key text) returns table(method text, route text, state text, attempt integer, begun_at timestamptz, status integer, headers jsonb, body bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
-- The state of the caller's own requests with this key, the oldest first. `interrupted`: the attempt ended without an
-- answer, or failed. A request whose work is a single transaction appears here once that is committed.
select k.method, k.route,
  case when k.status is not null then 'answered'
       when k.locked_until > clock_timestamp() then 'in_progress'
       else 'interrupted' end,
  k.attempt, k.created_at, k.status, k.headers, k.body
from requests.keys k
where k.principal = sec.uid() and k.key = p_key
order by k.created_at, k.method, k.route
$$;
alter function requests.look_up(text) owner to <app>_queue;
revoke execute on function requests.look_up(text) from public;
grant execute on function requests.look_up(text) to <app>_app;

create function requests.purge(p_before timestamptz, p_limit integer) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes up to `p_limit` answered requests from before `p_before`, and returns their number. Unanswered requests
-- stay.
declare
  v_count bigint;
begin
  delete from requests.keys k where k.ctid in (
    select d.ctid from requests.keys d where d.status is not null and d.created_at < p_before limit p_limit
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function requests.purge(timestamptz,integer) owner to <app>_queue;
revoke execute on function requests.purge(timestamptz,integer) from public;
grant execute on function requests.purge(timestamptz,integer) to <app>_job;

create function requests.forget(p_principal uuid) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Deletes all requests of a principal with their answers, which contain what the principal wrote. For one that makes no
-- requests any more: without its key a repeated request would take effect again. Returns their number.
declare
  v_count bigint;
begin
  delete from requests.keys k where k.principal = p_principal;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function requests.forget(uuid) owner to <app>_queue;
revoke execute on function requests.forget(uuid) from public;
grant execute on function requests.forget(uuid) to <app>_job;
