-- Featured places: what one costs and whether there is room. Enforced for everybody who books one or reactivates a
-- booking.

-- Whether a booking occupies its place: it is approved or active, or it is requested and either free, paid, or still
-- within the time for payment.
create function app.keeps_place(p app.promotions) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (p).status <> 'archived' and (
    (p).state in ('approved', 'active')
    or ((p).state = 'requested' and ((p).amount_cents = 0 or (p).paid_at is not null or (p).pay_by > now()))
  );
end
$$;
alter function app.keeps_place(app.promotions) owner to <app>_owner;
revoke execute on function app.keeps_place(app.promotions) from public;
grant execute on function app.keeps_place(app.promotions) to <app>_counter, <app>_job;

-- Whether what a booking is for can be seen by everybody, so that showing it makes sense.
create function app.can_be_featured(p_type text, p_id uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return case p_type
    when 'event' then exists (
      select from app.events e where e.id = p_id and e.status = 'active' and e.state = 'published' and app.is_shown(e.host_id))
    when 'venue' then exists (select from app.venues v where v.id = p_id and v.status = 'active' and app.is_shown(v.owner_id))
    else app.is_shown(p_id)
  end;
end
$$;
alter function app.can_be_featured(text, uuid) owner to <app>_owner;
revoke execute on function app.can_be_featured(text, uuid) from public;
grant execute on function app.can_be_featured(text, uuid) to <app>_job;

-- How many further bookings fit into a place during a period, not counting the booking `p_without`. Holds a lock on the
-- place until the end of the transaction.
create function app.room_of_place(p_city uuid, p_slot text, p_starts_at timestamptz, p_ends_at timestamptz, p_without uuid) returns int
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_capacity int;
  v_most int;
begin
  perform pg_advisory_xact_lock(hashtextextended('featured:' || p_city::text || ':' || p_slot, 0));
  select f.capacity into v_capacity from app.featured_places f
  where f.city_id = p_city and f.slot = p_slot and f.status <> 'archived';
  -- The number of bookings is highest where the period begins, or where another booking begins.
  with others as materialized (
    select p.starts_at, p.ends_at from app.promotions p
    where p.city_id = p_city and p.slot = p_slot and p.starts_at < p_ends_at and p.ends_at > p_starts_at
      and p.id is distinct from p_without and app.keeps_place(p)
  )
  select max(n.count) into v_most from (
    select (select count(*) from others o where o.starts_at <= x.at and o.ends_at > x.at) as count
    from (select p_starts_at as at union select o.starts_at from others o where o.starts_at > p_starts_at) x
  ) n;
  return coalesce(v_capacity, 0) - v_most;
end
$$;
alter function app.room_of_place(uuid, text, timestamptz, timestamptz, uuid) owner to <app>_counter;
revoke execute on function app.room_of_place(uuid, text, timestamptz, timestamptz, uuid) from public;
grant execute on function app.room_of_place(uuid, text, timestamptz, timestamptz, uuid) to <app>_job;

-- Limits of card charges: the step of which every amount is a multiple, the smallest and the largest charge. They equal those of
-- `card` in the crate `money`, which a test checks. In PL/pgSQL, because an SQL function with a search path of its own is
-- planned again for each row.
create function app.card_step(p_currency text) returns bigint
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when p_currency = 'MGA' then 100
    when p_currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 10
    else 1
  end::bigint;
end
$$;
alter function app.card_step(text) owner to <app>_owner;
revoke execute on function app.card_step(text) from public;
grant execute on function app.card_step(text) to <app>_counter, <app>_job;

create function app.card_minimum(p_currency text) returns bigint
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when p_currency in ('USD', 'ARS', 'AUD', 'BRL', 'CAD', 'CHF', 'COP', 'EUR', 'IDR', 'ILS', 'INR', 'JPY', 'KRW', 'NZD', 'PHP',
      'RUB', 'SGD', 'ZAR') then 50
    when p_currency = 'GBP' then 30
    when p_currency in ('AED', 'MYR', 'PLN', 'RON') then 200
    when p_currency = 'DKK' then 250
    when p_currency in ('NOK', 'SEK') then 300
    when p_currency = 'HKD' then 400
    when p_currency in ('MXN', 'THB') then 1000
    when p_currency = 'CZK' then 1500
    when p_currency = 'HUF' then 17500
    else app.card_step(p_currency)
  end::bigint;
end
$$;
alter function app.card_minimum(text) owner to <app>_owner;
revoke execute on function app.card_minimum(text) from public;
grant execute on function app.card_minimum(text) to <app>_counter;

create function app.card_maximum(p_currency text) returns bigint
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when p_currency in ('ISK', 'UGX') then 999999
    when p_currency = 'MGA' then 9999999900
    when p_currency = 'IDR' then 999999999999
    else 99999999 / app.card_step(p_currency) * app.card_step(p_currency)
  end::bigint;
end
$$;
alter function app.card_maximum(text) owner to <app>_owner;
revoke execute on function app.card_maximum(text) from public;
grant execute on function app.card_maximum(text) to <app>_counter;

-- The city's share of a price, according to the most specific commission rule for featured places, from that of the
-- event to that of the platform. The whole price is the platform's commission, and without a rule the city gets no
-- share of it. The share is rounded to whole steps; half a step goes to the platform.
create function app.city_share_of_place(p_target_type text, p_target uuid, p_city uuid, p_currency text, p_amount bigint) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((
    select (p_amount / app.card_step(p_currency) * r.city_share_basis_points + 4999) / 10000 * app.card_step(p_currency)
    from app.commission_rules r
    left join app.events e on p_target_type = 'event' and e.id = p_target
    left join app.venues v on p_target_type = 'venue' and v.id = p_target
    join app.cities c on c.id = p_city
    where r.type = 'featured' and r.currency = p_currency and r.status = 'active' and r.valid_from <= now()
      and (r.valid_to is null or r.valid_to > now())
      and (r.scope_id is null or r.scope_id in (p_target, e.host_id, v.owner_id, p_city, c.country_id))
    order by case r.scope_type when 'event' then 0 when 'city' then 2 when 'country' then 3 else case when r.scope_id is null then 4 else 1 end end
    limit 1
  ), 0);
end
$$;
alter function app.city_share_of_place(text, uuid, uuid, text, bigint) owner to <app>_counter;
revoke execute on function app.city_share_of_place(text, uuid, uuid, text, bigint) from public;

-- The price of a booking, and how many further bookings fit in, exactly as the booking itself computes them. No row if
-- the city doesn't offer such a place. Started days are charged in full, and days that are over are not.
create function app.price_of_place(
  p_target_type text, p_target uuid, p_city uuid, p_slot text, p_starts_at timestamptz, p_ends_at timestamptz,
  out currency text, out day_price_cents bigint, out max_days int, out days int, out plan_days int, out amount_cents bigint,
  out city_share_cents bigint, out room int
) returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  select f.currency, f.day_price_cents, f.max_days into currency, day_price_cents, max_days from app.featured_places f
  where f.city_id = p_city and f.slot = p_slot and f.is_offered and f.status = 'active';
  if not found then
    return;
  end if;
  days := least(ceil(extract(epoch from p_ends_at - greatest(p_starts_at, now())) / 86400), 1000000)::int;
  room := app.room_of_place(p_city, p_slot, p_starts_at, p_ends_at, null);
  -- A place that costs nothing uses no days.
  plan_days := case when day_price_cents > 0 then least(days, app.plan_days_left(p_target_type, p_target)) else 0 end;
  amount_cents := day_price_cents * (days - plan_days);
  city_share_cents := app.city_share_of_place(p_target_type, p_target, p_city, currency, amount_cents);
  return next;
end
$$;
alter function app.price_of_place(text, uuid, uuid, text, timestamptz, timestamptz) owner to <app>_counter;
revoke execute on function app.price_of_place(text, uuid, uuid, text, timestamptz, timestamptz) from public;
grant execute on function app.price_of_place(text, uuid, uuid, text, timestamptz, timestamptz) to <app>_app, <app>_job;

-- Whether the one who would pay has another booking of the same kind of place that is not paid yet. One at a time:
-- otherwise a host could reserve all places of a city for a day, again and again, without paying for any.
create function app.has_unpaid_place(p_target_type text, p_target uuid, p_city uuid, p_slot text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.promotions p
    where p.city_id = p_city and p.slot = p_slot and p.status <> 'archived'
      and p.state in ('requested', 'approved') and p.amount_cents > 0 and p.paid_at is null and p.pay_by > now()
      and app.payer_of_place(p.target_type, p.target_id) = app.payer_of_place(p_target_type, p_target)
  );
end
$$;
alter function app.has_unpaid_place(text, uuid, uuid, text) owner to <app>_counter;
revoke execute on function app.has_unpaid_place(text, uuid, uuid, text) from public;
grant execute on function app.has_unpaid_place(text, uuid, uuid, text) to <app>_app, <app>_job;

-- The host of an event, the owner of a venue, or the business itself.
create function app.payer_of_place(p_target_type text, p_target uuid) returns uuid
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case p_target_type
    when 'event' then (select e.host_id from app.events e where e.id = p_target)
    when 'venue' then (select v.owner_id from app.venues v where v.id = p_target)
    else p_target
  end;
end
$$;
alter function app.payer_of_place(text, uuid) owner to <app>_counter;
revoke execute on function app.payer_of_place(text, uuid) from public;

-- Sets the price of a member's booking, whatever the request contains. A booking that costs something is reserved for a
-- day, or until it would begin (but at least for an hour), for payment. A booking that should have begun begins now.
create function app.book_place() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_price record;
begin
  select * into v_price
  from app.price_of_place(new.target_type, new.target_id, new.city_id, new.slot, new.starts_at, new.ends_at);
  if not found and not exists (select from app.cities c where c.id = new.city_id and c.status = 'active') then
    -- Another check refuses the booking, because its city is not active.
    return new;
  elsif v_price.currency is null then
    raise exception 'the city offers no such place' using errcode = '23514', constraint = 'promotions_place';
  end if;
  if v_price.room < 1 then
    raise exception 'the place is taken' using errcode = '23514', constraint = 'promotions_room';
  end if;
  if v_price.amount_cents > 0 and app.has_unpaid_place(new.target_type, new.target_id, new.city_id, new.slot) then
    raise exception 'another booking is not paid' using errcode = '23514', constraint = 'promotions_unpaid';
  end if;
  if v_price.days > v_price.max_days then
    raise exception 'longer than can be booked' using errcode = '23514', constraint = 'promotions_max_days';
  end if;
  if v_price.amount_cents > 0 and (v_price.amount_cents % app.card_step(v_price.currency) <> 0
    or v_price.amount_cents < app.card_minimum(v_price.currency)
    or v_price.amount_cents > app.card_maximum(v_price.currency))
  then
    raise exception 'no card can be charged for it' using errcode = '23514', constraint = 'promotions_card';
  end if;
  new.starts_at := greatest(new.starts_at, now());
  new.currency := v_price.currency;
  new.days := v_price.days;
  new.plan_days := v_price.plan_days;
  new.amount_cents := v_price.amount_cents;
  new.city_share_cents := v_price.city_share_cents;
  if new.amount_cents > 0 then
    new.pay_by := least(now() + interval '1 day', greatest(new.starts_at, now() + interval '1 hour'));
  end if;
  return new;
end
$$;
alter function app.book_place() owner to <app>_counter;
revoke execute on function app.book_place() from public;

create trigger book_place before insert on app.promotions
  for each row when (current_user = '<app>_app') execute function app.book_place();

-- A booking that has lost its place gets it again only if there is room. A place without a description has no limit.
create function app.take_place_again() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if app.keeps_place(new) and not app.keeps_place(old)
    and exists (
      select from app.featured_places f where f.city_id = new.city_id and f.slot = new.slot and f.status <> 'archived')
    and app.room_of_place(new.city_id, new.slot, new.starts_at, new.ends_at, new.id) < 1
  then
    raise exception 'the place is taken' using errcode = '23514', constraint = 'promotions_room';
  end if;
  return new;
end
$$;
alter function app.take_place_again() owner to <app>_counter;
revoke execute on function app.take_place_again() from public;

create trigger take_place_again before update of state, status, paid_at on app.promotions
  for each row execute function app.take_place_again();

-- Faults of bookings: more in a place than fit, shown without payment, or paid and ended without the due refund. Nothing
-- is due while the payment is disputed, or if the dispute is lost. Must always be empty.
create view app.promotion_faults with (security_invoker = true) as
  select 'shown without a payment' as fault, 'promotion' as entity_type, p.id as entity_id
  from app.promotions p
  where p.state in ('approved', 'active') and p.status = 'active' and p.amount_cents > 0 and p.paid_at is null
  union all
  select 'paid, and neither shown nor given back', 'promotion', p.id
  from app.promotions p
  where p.paid_at is not null and p.amount_cents > 0 and p.updated_at < now() - interval '10 minutes'
    and (p.state in ('rejected', 'cancelled')
      or (p.state = 'ended' and p.ended_at is not null and p.amount_cents * least(greatest(
          floor(extract(epoch from p.ends_at - greatest(p.ended_at, p.starts_at)) / 86400), 0)::int8, p.days) / p.days
        >= app.card_step(p.currency)))
    and not exists (select from app.refunds r where r.promotion_id = p.id)
    and not exists (
      select from app.disputes b where b.promotion_id = p.id and b.state in ('needs_response', 'under_review', 'lost'))
  union all
  select 'given back more than was paid', 'promotion', p.id
  from app.promotions p join app.refunds r on r.promotion_id = p.id
  where r.amount_cents > p.amount_cents or r.city_share_cents > p.city_share_cents
  union all
  select 'in a place that is full', 'promotion', p.id
  from app.promotions p join app.featured_places f on f.city_id = p.city_id and f.slot = p.slot and f.status <> 'archived'
  where app.keeps_place(p) and p.paid_at is not null and f.updated_at < p.created_at
    and (
      select count(*) from app.promotions o
      where o.city_id = p.city_id and o.slot = p.slot and o.starts_at <= p.starts_at and o.ends_at > p.starts_at and app.keeps_place(o)
    ) > f.capacity;
alter view app.promotion_faults owner to <app>_counter;
