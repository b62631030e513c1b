-- Commission proposals of cities. Accepting one creates the city's commission rule in the same transaction, whoever
-- accepts it and however.

-- The commission rule that prevents a proposal from being accepted, because it begins during the proposed period. (A
-- rule that began before ends where the proposed one begins.) Called before the proposal's row is locked: if two
-- proposals for one city, kind and currency are accepted at the same time, the second transaction waits here and then
-- sees the rule of the first. Null if there is none, or if the proposal has been decided.
create function app.rule_in_the_way(p_proposal uuid) returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('commission:' || p.city_id::text || ':' || p.type || ':' || p.currency, 0))
  from app.commission_proposals p where p.id = p_proposal;
  return (
    select r.id from app.commission_proposals p
    join app.commission_rules r on r.scope_city_id = p.city_id and r.type = p.type and r.currency = p.currency
    where p.id = p_proposal and p.state = 'proposed' and r.status <> 'archived'
      and r.valid_from >= greatest(p.valid_from, now()) and (p.valid_to is null or r.valid_from < p.valid_to)
    order by r.valid_from limit 1
  );
end
$$;
alter function app.rule_in_the_way(uuid) owner to <app>_counter;
revoke execute on function app.rule_in_the_way(uuid) from public;
grant execute on function app.rule_in_the_way(uuid) to <app>_app;

-- Creates the rule of an accepted proposal. It never begins in the past, because earlier payments were charged by the
-- rule valid then. An exclusion constraint of the table ensures that no two rules overlap.
create function app.make_proposed_rule() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_from timestamptz := greatest(new.valid_from, now());
begin
  update app.commission_rules r set valid_to = v_from
  where r.scope_city_id = new.city_id and r.type = new.type and r.currency = new.currency and r.status <> 'archived'
    and r.valid_from < v_from and (r.valid_to is null or r.valid_to > v_from);
  insert into app.commission_rules (scope_type, scope_id, type, basis_points, fixed_cents, min_cents, max_cents,
    currency, paid_by, city_share_basis_points, valid_from, valid_to)
  values ('city', new.city_id, new.type, new.basis_points, new.fixed_cents, new.min_cents, new.max_cents,
    new.currency, new.paid_by, new.city_share_basis_points, v_from, new.valid_to);
  return null;
end
$$;
alter function app.make_proposed_rule() owner to <app>_counter;
revoke execute on function app.make_proposed_rule() from public;
grant insert, update (valid_to) on app.commission_rules to <app>_counter;

create trigger commission_proposals_make_rule
  after update of state on app.commission_proposals
  for each row when (new.state = 'accepted' and old.state <> 'accepted') execute function app.make_proposed_rule();

-- The commission rules of a kind and currency that are in force at a time and could apply to a payment with these scopes;
-- those of the whole platform always could. Also for requests of callers who may not read the rules: hosts are told why
-- tickets can't be sold, and not by which rule.
create function app.commission_rules_at(p_type text, p_currency text, p_scopes uuid[], p_at timestamptz) returns setof app.commission_rules
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select r.* from app.commission_rules r
  where r.type = p_type and r.currency = p_currency and r.status = 'active' and r.valid_from <= p_at
    and (r.valid_to is null or r.valid_to > p_at) and (r.scope_id is null or r.scope_id = any (p_scopes));
end
$$;
alter function app.commission_rules_at(text, text, uuid[], timestamptz) owner to <app>_counter;
revoke execute on function app.commission_rules_at(text, text, uuid[], timestamptz) from public;
grant execute on function app.commission_rules_at(text, text, uuid[], timestamptz) to <app>_app, <app>_job;
