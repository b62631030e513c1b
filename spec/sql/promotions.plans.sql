-- Featured days that the plans of businesses include, and how many of them are used.

-- Notes since when the featured days of a business are counted. That is the begin of the billing period, unless the
-- period began before the one before it was over: a change of the interval begins a new one at once, and the price of the
-- old one is credited, so each change would give the days again. Who leaves a yearly plan for a monthly one and comes back
-- within that year has the year's days counted from its begin: otherwise a year's days could be had each month. Also notes
-- changes to a plan with fewer days.
create function app.note_plan_period() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_fewer boolean := false;
  v_is_year boolean;
  v_noted app.plan_periods;
begin
  if new.current_period_start is null or new.current_period_end is null then
    return null;
  end if;
  if tg_op = 'UPDATE' and new.plan_id is distinct from old.plan_id then
    select n.featured_days < o.featured_days into v_fewer from app.plans n, app.plans o where n.id = new.plan_id and o.id = old.plan_id;
  end if;
  v_is_year := coalesce((select l."interval" = 'year' from app.plans l where l.id = new.plan_id), false);
  insert into app.plan_periods as p (business_id, counted_from, counted_until, year_from, year_until, reduced_at)
  values (new.business_id, new.current_period_start, new.current_period_end,
    case when v_is_year then new.current_period_start end, case when v_is_year then new.current_period_end end,
    case when v_fewer then now() end)
  on conflict (business_id) do update set
    counted_from = case when excluded.counted_from >= p.counted_until then excluded.counted_from else p.counted_from end,
    counted_until = case when excluded.counted_from >= p.counted_until then excluded.counted_until
      else least(p.counted_until, excluded.counted_until) end,
    year_from = case when excluded.year_from < p.year_until then p.year_from else coalesce(excluded.year_from, p.year_from) end,
    year_until = case when excluded.year_from < p.year_until then p.year_until else coalesce(excluded.year_until, p.year_until) end,
    reduced_at = coalesce(excluded.reduced_at, p.reduced_at)
  returning p.* into v_noted;
  -- Back in a year that had been left: what was booked for another plan meanwhile counts as well.
  if v_is_year and v_noted.year_from < v_noted.counted_from then
    update app.plan_periods p set counted_from = v_noted.year_from, reduced_at = null where p.id = v_noted.id;
  end if;
  return null;
end
$$;
alter function app.note_plan_period() owner to <app>_counter;
revoke execute on function app.note_plan_period() from public;

create trigger subscriptions_plan_period after insert or update of plan_id, current_period_start, current_period_end on app.subscriptions
  for each row execute function app.note_plan_period();
grant select, insert, update on app.plan_periods to <app>_counter;

-- The days that bookings for the business took from its plan in the time that counts. The business is the target itself,
-- or the host or owner of the target.
create function app.plan_days_used(p_business uuid) returns int
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select coalesce(sum(p.plan_days), 0)::int from app.promotions p
    -- Archived bookings too: what was shown used its days. Those that were not shown yet are cancelled by a job.
    where p.plan_days > 0 and p.state not in ('rejected', 'cancelled')
      and p.created_at >= coalesce((select x.counted_from from app.plan_periods x where x.business_id = p_business), '-infinity')
      and ((p.target_type = 'business' and p.target_id = p_business)
        or (p.target_type = 'event'
          and p.target_id in (select e.id from app.events e where e.host_type = 'business' and e.host_id = p_business))
        or (p.target_type = 'venue'
          and p.target_id in (select v.id from app.venues v where v.owner_type = 'business' and v.owner_id = p_business)))
  );
end
$$;
alter function app.plan_days_used(uuid) owner to <app>_counter;
revoke execute on function app.plan_days_used(uuid) from public;
grant execute on function app.plan_days_used(uuid) to <app>_job;

-- The number of days that the plan of a business still includes; none while its period is not paid, although other
-- benefits last for some days of grace. Holds a lock on the business until the end of the transaction.
create function app.plan_days_left(p_target_type text, p_target uuid) returns int
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Another host than a business has no subscription.
  v_business uuid := app.payer_of_place(p_target_type, p_target);
  v_days int;
begin
  select l.featured_days into v_days
  from app.subscriptions s join app.plans l on l.id = s.plan_id
  where s.business_id = v_business and s.state in ('active', 'trialing') and s.entitled_until > now();
  if coalesce(v_days, 0) = 0 then
    return 0;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('featured:' || v_business::text, 0));
  return greatest(v_days - app.plan_days_used(v_business), 0);
end
$$;
alter function app.plan_days_left(text, uuid) owner to <app>_counter;
revoke execute on function app.plan_days_left(text, uuid) from public;

-- Whether a booking that is not shown yet takes days from a plan that the business has left since for one with fewer
-- days than it has used. Its days were paid for the plan that was credited.
create function app.is_beyond_plan(p_promotion uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_business uuid;
  v_created_at timestamptz;
begin
  select app.payer_of_place(p.target_type, p.target_id), p.created_at into v_business, v_created_at
  from app.promotions p where p.id = p_promotion and p.plan_days > 0 and p.state in ('requested', 'approved');
  return exists (
    select from app.plan_periods x
    join app.subscriptions s on s.business_id = x.business_id and s.state <> 'canceled'
    join app.plans l on l.id = s.plan_id
    where x.business_id = v_business and v_created_at >= x.counted_from and v_created_at < x.reduced_at
      and app.plan_days_used(v_business) > l.featured_days
  );
end
$$;
alter function app.is_beyond_plan(uuid) owner to <app>_counter;
revoke execute on function app.is_beyond_plan(uuid) from public;
grant execute on function app.is_beyond_plan(uuid) to <app>_job;
