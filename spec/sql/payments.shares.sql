-- What lost disputes have taken from cities.

-- The city's part once `p_back` of a payment has been given back in total, as `money::refund::cumulative` computes it: the
-- payment is divided into the organiser's part and the commission, and the commission into those of platform and city.
-- A tie of half a step goes to the first of two.
create function app.city_part(p_back bigint, p_organizer bigint, p_platform bigint, p_city bigint, p_step bigint) returns bigint
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  v_back bigint := p_back / p_step;
begin
  if p_city = 0 then
    return 0;
  end if;
  v_back := v_back - round(v_back::numeric * p_organizer / (p_organizer + p_platform + p_city));
  return (v_back - round(v_back::numeric * p_platform / (p_platform + p_city))) * p_step;
end
$$;
alter function app.city_part(bigint,bigint,bigint,bigint,bigint) owner to <app>_owner;
revoke execute on function app.city_part(bigint,bigint,bigint,bigint,bigint) from public;
grant execute on function app.city_part(bigint,bigint,bigint,bigint,bigint) to <app>_job;

-- For each dispute that was lost since `p_since`: the city, and what is taken back of its share, as a negative amount. A
-- dispute about a part of a payment takes the city's part of it, after those of refunds and disputes before it. Once
-- nothing is left of the payment, or no ticket, the last dispute takes all that is left of the share. A city has no share
-- of a payment that bought no tickets.
create function app.shares_lost_to_banks(p_since timestamptz) returns table(city_id uuid, currency text, closed_at timestamptz, amount bigint)
  language plpgsql stable set search_path = pg_catalog, pg_temp set app.job = 'payments' as $$
begin
  return query
    with paid as (
      select d.id, d.transaction_id, d.order_id, d.promotion_id, d.quote_id, d.currency::text as currency, d.closed_at,
        d.amount_cents as lost, coalesce(e.city_id, p.city_id, s.city_id) as city_id, o.state = 'charged_back' as is_charged_back,
        coalesce(o.amount_cents, p.amount_cents, q.fee_cents) as amount,
        coalesce(o.city_share_cents, p.city_share_cents, q.fee_city_share_cents) as share,
        coalesce(o.organizer_cents, 0) as organizer,
        (sum(d.amount_cents) over w - d.amount_cents)::bigint as lost_before,
        lead(d.id) over w is null as is_last
      from app.disputes d
      left join app.orders o on o.id = d.order_id left join app.events e on e.id = o.event_id
      left join app.promotions p on p.id = d.promotion_id
      left join app.quotes q on q.id = d.quote_id left join app.leads l on l.id = q.lead_id
      left join app.service_requests s on s.id = l.service_request_id
      where d.state = 'lost' and (o.paid_at is not null or p.paid_at is not null or q.fee_paid_at is not null)
        and exists (
          select from app.disputes n
          where n.transaction_id = d.transaction_id and n.state = 'lost' and n.closed_at >= p_since)
      window w as (partition by d.transaction_id order by d.closed_at, d.id)
    ), parts as (
      select x.*, r.share as refunded_share, r.before + x.lost_before + x.lost >= x.amount as is_gone,
        app.city_part(least(r.before + x.lost_before + x.lost, x.amount), x.organizer, x.amount - x.organizer - x.share, x.share,
            app.card_step(x.currency))
          - app.city_part(least(r.before + x.lost_before, x.amount), x.organizer, x.amount - x.organizer - x.share, x.share,
            app.card_step(x.currency)) as part
      from paid x
      cross join lateral (
        select coalesce(sum(f.amount_cents) filter (where f.created_at <= x.closed_at and f.failure_code is distinct from 'dispute_lost'), 0)::bigint
            as before,
          coalesce(sum(f.city_share_cents) filter (where f.settled_at is not null), 0)::bigint as share
        from app.refunds f
        where (f.order_id = x.order_id or f.promotion_id = x.promotion_id or f.quote_id = x.quote_id)
          and f.state in ('succeeded', 'pending')
      ) r
    ), taken as (
      select p.*, coalesce(sum(p.part) over (
          partition by p.transaction_id order by p.closed_at, p.id rows between unbounded preceding and 1 preceding), 0) as taken_before
      from parts p
    )
    select t.city_id, t.currency, t.closed_at,
      case when t.is_last and coalesce(t.is_charged_back, t.is_gone) then t.refunded_share + t.taken_before - t.share else -t.part end::bigint
    from taken t where t.closed_at >= p_since;
end
$$;
alter function app.shares_lost_to_banks(timestamptz) owner to <app>_owner;
revoke execute on function app.shares_lost_to_banks(timestamptz) from public;
grant execute on function app.shares_lost_to_banks(timestamptz) to <app>_job;
