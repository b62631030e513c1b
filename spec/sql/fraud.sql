-- Rules of the module `fraud`: facts that are harmless by themselves, and how many of them are suspicious.

-- The lowest id that a row created at this time can have. It allows finding rows by time through the primary key.
create function app.first_id(p_at timestamptz) returns uuid
  language plpgsql immutable strict set search_path = pg_catalog, pg_temp as $$
begin
  return (lpad(to_hex(greatest(extract(epoch from p_at) * 1000, 0)::bigint), 12, '0') || '70008000000000000000')::uuid;
end
$$;
alter function app.first_id(timestamptz) owner to <app>_owner;
revoke execute on function app.first_id(timestamptz) from public;
grant execute on function app.first_id(timestamptz) to <app>_job;

-- The network from which a member last signed in before a time.
create function app.network_before(p_user uuid, p_at timestamptz) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select app.network_of(s.ip_address) from app.sessions s
    where s.user_id = p_user and s.created_at <= p_at and s.ip_address is not null
    order by s.created_at desc limit 1);
end
$$;
alter function app.network_before(uuid, timestamptz) owner to <app>_owner;
revoke execute on function app.network_before(uuid, timestamptz) from public;
grant execute on function app.network_before(uuid, timestamptz) to <app>_job;

-- The facts that support a rule since a time: the entity that each is about, when it happened, and the row that proves
-- it.
create function app.fraud_facts(p_rule text, p_since timestamptz, p_least int) returns table (entity_type text, entity_id uuid, at timestamptz, fact uuid)
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  case p_rule
  -- Stolen cards are tested with payments, most of which fail.
  when 'card_testing' then return query
    select 'user', t.user_id, t.updated_at, t.id
    from app.transactions t cross join generate_series(1, t.attempt)
    where t.status = 'failed' and t.created_at >= p_since - interval '1 day' and t.updated_at >= p_since;
  -- The banks of a host's buyers reverse payments.
  when 'disputed_host' then return query
    select e.host_type, e.host_id, d.created_at, d.id
    from app.disputes d join app.orders o on o.id = d.order_id join app.events e on e.id = o.event_id
    where d.id >= app.first_id(p_since) and d.created_at >= p_since;
  when 'disputed_member' then return query
    select 'user', t.user_id, d.created_at, d.id
    from app.disputes d join app.transactions t on t.id = d.transaction_id
    where d.id >= app.first_id(p_since) and d.created_at >= p_since;
  -- At least half of the paid orders of an event are refunded on request.
  when 'returned_tickets' then return query
    with returned as (
      select o.event_id, r.created_at, r.id, count(*) over (partition by o.event_id) as count
      from app.refunds r join app.orders o on o.id = r.order_id
      where r.id >= app.first_id(p_since) and r.created_at >= p_since and r.reason = 'requested' and r.state <> 'failed'
    )
    select 'event', r.event_id, r.created_at, r.id
    from returned r
    where r.count >= p_least
      and r.count * 2 >= (select count(*) from app.orders o where o.event_id = r.event_id and o.paid_at is not null);
  -- Accounts are created only to write reviews.
  when 'new_reviewers' then return query
    select r.entity_type, r.entity_id, r.created_at, r.id
    from app.reviews r join app.users u on u.id = r.reviewer_id
    where r.id >= app.first_id(p_since) and r.created_at >= p_since and r.status = 'active'
      and u.created_at > r.created_at - interval '7 days';
  when 'reviews_from_one_network' then return query
    select n.entity_type, n.entity_id, n.created_at, n.id
    from (
      select r.entity_type, r.entity_id, r.created_at, r.id,
             count(*) over (partition by r.entity_id, app.network_before(r.reviewer_id, r.created_at)) as count,
             app.network_before(r.reviewer_id, r.created_at) as network
      from app.reviews r
      where r.id >= app.first_id(p_since) and r.created_at >= p_since and r.status = 'active'
    ) n
    where n.network is not null and n.count >= p_least;
  when 'likes_from_one_network' then return query
    select 'event', n.event_id, n.created_at, n.id
    from (
      select l.event_id, l.created_at, l.id,
             count(*) over (partition by l.event_id, app.network_before(l.user_id, l.created_at)) as count,
             app.network_before(l.user_id, l.created_at) as network
      from app.likes l
      where l.id >= app.first_id(p_since) and l.created_at >= p_since and l.status = 'active'
    ) n
    where n.network is not null and n.count >= p_least;
  -- The referrer has signed in from the same network as the member that they are rewarded for.
  when 'referred_oneself' then return query
    select 'referral', r.id, r.created_at, r.id
    from app.referrals r
    where r.id >= app.first_id(p_since) and r.created_at >= p_since and r.status = 'active'
      and exists (
        select from app.sessions a join app.sessions b on app.network_of(b.ip_address) = app.network_of(a.ip_address)
        where a.user_id = r.referrer_id and b.user_id = r.referee_id);
  else
    raise exception 'there is no rule %', p_rule;
  end case;
end
$$;
alter function app.fraud_facts(text, timestamptz, int) owner to <app>_owner;
revoke execute on function app.fraud_facts(text, timestamptz, int) from public;
grant execute on function app.fraud_facts(text, timestamptz, int) to <app>_job;

-- Flags entities for which a rule has at least `p_least` facts since a time; an open flag gets the newer evidence.
-- After people have decided about a flag, only later facts count. Returns the number of flags that were created or
-- changed.
create function app.flag_fraud(p_rule text, p_since timestamptz, p_least int) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_flagged bigint;
begin
  with odd as (
    select f.entity_type, f.entity_id, count(*) as count, min(f.at) as first_at, max(f.at) as last_at,
           (array_agg(f.fact order by f.at desc, f.fact))[:20] as facts
    from app.fraud_facts(p_rule, p_since, p_least) f
    where not exists (
      select from app.fraud_flags g
      where g.rule = p_rule and g.entity_type = f.entity_type and g.entity_id = f.entity_id and g.decided_at >= f.at)
    group by f.entity_type, f.entity_id
    having count(*) >= p_least
  )
  insert into app.fraud_flags as g (rule, entity_type, entity_id, score, evidence)
  select p_rule, o.entity_type, o.entity_id, least(100, 50 * o.count / p_least),
         jsonb_build_object('count', o.count, 'least', p_least, 'first_at', o.first_at, 'last_at', o.last_at, 'facts', o.facts)
  from odd o
  on conflict (rule, entity_type, entity_id) where (state = 'open')
  do update set score = excluded.score, evidence = excluded.evidence
  where g.evidence is distinct from excluded.evidence;
  get diagnostics v_flagged = row_count;
  return v_flagged;
end
$$;
alter function app.flag_fraud(text, timestamptz, int) owner to <app>_owner;
revoke execute on function app.flag_fraud(text, timestamptz, int) from public;
grant execute on function app.flag_fraud(text, timestamptz, int) to <app>_job;
