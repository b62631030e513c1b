-- Payments: reports from Stripe come late, twice and in any order, so a status must never go back. And the view of
-- faults in the books, which must always be empty.

-- The rank of a payment's status. A payment that is cancelled or paid never returns to a status of lower rank.
create function app.payment_rank(p_status text) returns int
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return case p_status
    when 'created' then 0 when 'requires_action' then 1 when 'processing' then 2 when 'failed' then 3 when 'cancelled' then 4
    else 5
  end;
end
$$;
alter function app.payment_rank(text) owner to <app>_owner;
revoke execute on function app.payment_rank(text) from public;
grant execute on function app.payment_rank(text) to <app>_job;

-- Refuses to go back from cancelled and paid. A declined payment may go back to `requires_action` and `processing`,
-- because the buyer may try another card; money that has been received can only be refunded.
create function app.forbid_payment_going_back() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if app.payment_rank(old.status) >= 4 and app.payment_rank(new.status) < app.payment_rank(old.status) then
    raise exception 'a payment that is % does not become %', old.status, new.status
      using errcode = '23514', constraint = 'transactions_status_goes_on';
  end if;
  return new;
end
$$;
alter function app.forbid_payment_going_back() owner to <app>_owner;
revoke execute on function app.forbid_payment_going_back() from public;

create trigger status_goes_on before update of status on app.transactions
  for each row when (old.status is distinct from new.status) execute function app.forbid_payment_going_back();

-- Refuses to overwrite data with what was read from Stripe earlier, in whichever order the two arrive. A smaller
-- refunded amount (because a bank has returned a refund) is accepted from a later reading only.
create function app.forbid_older_news() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'what was read later stays' using errcode = '23514', constraint = tg_table_name || '_read_later';
end
$$;
alter function app.forbid_older_news() owner to <app>_owner;
revoke execute on function app.forbid_older_news() from public;

create trigger transactions_read_later before update of synced_at, refunded_cents on app.transactions
  for each row when (
    new.synced_at < old.synced_at
    or (new.refunded_cents < old.refunded_cents and new.synced_at is not distinct from old.synced_at)
  ) execute function app.forbid_older_news();

create trigger disputes_read_later before update of synced_at on app.disputes
  for each row when (new.synced_at < old.synced_at) execute function app.forbid_older_news();

create trigger connected_accounts_read_later before update of synced_at on app.connected_accounts
  for each row when (new.synced_at < old.synced_at) execute function app.forbid_older_news();

create trigger subscriptions_read_later before update of synced_at on app.subscriptions
  for each row when (new.synced_at < old.synced_at) execute function app.forbid_older_news();

-- Deletes old Stripe events that are done or ignored, at most `p_most`; parked and unprocessed ones are kept. The audit
-- log still shows that they were received and what they caused. Returns the number of events deleted.
create function app.purge_stripe_events(p_before timestamptz, p_most int) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_count bigint;
begin
  delete from app.stripe_events e using (
    select o.id from app.stripe_events o
    where o.state in ('done', 'ignored') and o.created_at < p_before and o.settled_at < p_before limit p_most
  ) x where e.id = x.id;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
alter function app.purge_stripe_events(timestamptz, int) owner to <app>_counter;
revoke execute on function app.purge_stripe_events(timestamptz, int) from public;
grant execute on function app.purge_stripe_events(timestamptz, int) to <app>_job;
grant select, delete on app.stripe_events to <app>_counter;

-- Faults in the books. Must always be empty.
create view app.payment_faults with (security_invoker = true) as
  select 'paid by card without a payment' as fault, 'order' as entity_type, o.id as entity_id
  from app.orders o
  where o.card_cents > 0 and o.state in ('paid', 'part_refunded', 'refunded')
    and not exists (
      select from app.transactions t where t.order_id = o.id and t.status in ('succeeded', 'part_refunded', 'refunded')
    )
  union all
  select 'a payment that bought nothing', 'transaction', t.id
  from app.transactions t join app.orders o on o.id = t.order_id
  where t.status in ('succeeded', 'part_refunded', 'refunded') and o.state in ('pending', 'expired', 'cancelled')
  union all
  select 'paid is not what was ordered', 'transaction', t.id
  from app.transactions t join app.orders o on o.id = t.order_id
  where t.amount_cents <> o.card_cents or t.currency <> o.currency
  union all
  select 'a payment that bought no place', 'transaction', t.id
  from app.transactions t join app.promotions p on p.id = t.promotion_id
  where t.status in ('succeeded', 'part_refunded', 'refunded')
    and (p.paid_at is null or t.amount_cents <> p.amount_cents or t.currency <> p.currency)
  union all
  select 'a fee that is not what was asked for', 'transaction', t.id
  from app.transactions t join app.quotes q on q.id = t.quote_id
  where t.status in ('succeeded', 'part_refunded', 'refunded')
    and (q.fee_paid_at is null or t.amount_cents <> q.fee_cents or t.currency <> q.currency)
  union all
  select 'a fee that nobody paid', 'quote', q.id
  from app.quotes q
  where q.fee_paid_at is not null
    and not exists (
      select from app.transactions t where t.quote_id = q.id and t.status in ('succeeded', 'part_refunded', 'refunded')
    )
  union all
  select 'more of a fee given back than was paid', 'quote', q.id
  from app.quotes q
  join (
    select r.quote_id, sum(r.amount_cents) as amount, sum(r.city_share_cents) as city
    from app.refunds r where r.quote_id is not null and r.state <> 'failed' group by 1
  ) s on s.quote_id = q.id
  where s.amount > q.fee_cents or s.city > q.fee_city_share_cents
  union all
  select 'a place that nobody paid', 'promotion', p.id
  from app.promotions p
  where p.paid_at is not null and p.amount_cents > 0
    and not exists (
      select from app.transactions t where t.promotion_id = p.id and t.status in ('succeeded', 'part_refunded', 'refunded')
    )
  union all
  select 'refunded without a refund', 'transaction', t.id
  from app.transactions t
  where (t.order_id is not null or t.promotion_id is not null or t.quote_id is not null)
    and t.refunded_cents > (
      select coalesce(sum(r.card_cents), 0) from app.refunds r
      where (r.order_id = t.order_id or r.promotion_id = t.promotion_id or r.quote_id = t.quote_id) and r.state <> 'failed'
    )
  union all
  select 'more sent to the host than its part', 'order', o.id
  from app.orders o
  join (
    select x.order_id, sum(case when x.kind in ('top_up', 'dispute_return') then x.amount_cents else -x.amount_cents end) as net
    from app.transfers x where x.order_id is not null and x.state = 'succeeded' group by 1
  ) s on s.order_id = o.id
  where o.card_cents - o.application_fee_cents + s.net not between 0 and o.organizer_cents
  union all
  select 'a share that was never sent', 'revenue_share', s.id
  from app.revenue_shares s left join app.transfers x on x.id = s.transfer_id
  where s.state = 'paid' and x.state is distinct from 'succeeded'
  union all
  select 'sent is not what the city has earned', 'transfer', x.id
  from app.transfers x
  where x.kind = 'city_share' and x.state <> 'failed'
    and x.amount_cents <> (select coalesce(sum(s.amount_cents), 0) from app.revenue_shares s where s.transfer_id = x.id)
  union all
  select 'more than one payment', 'order', t.order_id
  from app.transactions t where t.order_id is not null and t.status <> 'cancelled' group by t.order_id having count(*) > 1
  union all
  select 'the host has kept its part of a refund', 'order', o.id
  from app.orders o
  join (
    select r.order_id, sum(r.organizer_cents) as organizer from app.refunds r
    where r.order_id is not null and r.state = 'succeeded' and r.cash_cents = 0 and r.settled_at < now() - interval '10 minutes'
    group by 1
  ) b on b.order_id = o.id
  where (
      select coalesce(sum(t.amount_cents - t.application_fee_cents), 0) from app.transactions t
      where t.order_id = o.id and t.status in ('succeeded', 'part_refunded', 'refunded') and t.stripe_account_id is not null
    ) + (
      select coalesce(sum(case when x.kind in ('top_up', 'dispute_return') then x.amount_cents else -x.amount_cents end), 0)
      from app.transfers x where x.order_id = o.id and x.state <> 'failed'
    ) > greatest(o.organizer_cents - b.organizer, 0)
  union all
  select 'credits that nobody sends to the host', 'order', o.id
  from app.orders o
  where o.state in ('paid', 'part_refunded', 'charged_back') and not o.sold_at_door and o.paid_at < now() - interval '10 minutes'
    and o.top_up_cents > (
      select coalesce(sum(r.organizer_cents - coalesce(
          (select sum(x.amount_cents) from app.transfers x where x.refund_id = r.id and x.state <> 'failed'), 0)), 0)
      from app.refunds r where r.order_id = o.id and r.state <> 'failed'
    )
    and not exists (
      select from app.transfers x where x.order_id = o.id and x.kind = 'top_up' and x.state <> 'failed'
    )
  union all
  select 'won, and not sent to the host again', 'dispute', d.id
  from app.disputes d
  join (
    select x.dispute_id, sum(case x.kind when 'dispute_reversal' then x.amount_cents else -x.amount_cents end) as missing
    from app.transfers x where x.dispute_id is not null and x.state <> 'failed' group by 1
  ) s on s.dispute_id = d.id
  where d.state in ('won', 'closed') and d.closed_at < now() - interval '10 minutes' and s.missing > 0
  union all
  select 'owed by banks is not what is disputed', (array_agg(x.entity_type order by x.id))[1], (array_agg(x.id order by x.id))[1]
  from (
    select 'dispute' as entity_type, d.id, d.currency, d.amount_cents as amount from app.disputes d
    where d.state in ('needs_response', 'under_review')
    union all
    select 'wallet_account', w.id, w.currency, case l.type when 'credit' then -l.amount_cents else l.amount_cents end
    from app.wallet_accounts w join app.wallet_transactions l on l.wallet_id = w.id
    where w.kind = 'dispute_receivable'
  ) x
  group by x.currency having sum(x.amount) <> 0
  union all
  select 'a city has kept its share of what went back', 'transaction', t.id
  from app.transactions t
  left join (
    select x.transaction_id, sum(x.amount_cents) as amount from app.share_returns x group by 1
  ) b on b.transaction_id = t.id
  left join (
    select d.transaction_id, sum(d.amount_cents) as amount from app.disputes d where d.state = 'lost' group by 1
  ) d on d.transaction_id = t.id
  where (t.city_share_cents > 0 or b.amount is not null)
    and case
      when t.refunded_cents + coalesce(d.amount, 0) >= t.amount_cents then coalesce(b.amount, 0) <> t.city_share_cents
      else abs(coalesce(b.amount, 0) * t.amount_cents - t.city_share_cents::numeric * (t.refunded_cents + coalesce(d.amount, 0)))
        >= t.amount_cents * app.card_step(t.currency)
    end
  union all
  select 'more refunded than paid', 'transaction', t.id from app.transactions t where t.refunded_cents > t.amount_cents
  union all
  select 'tickets without their credits', 'order', o.id
  from app.orders o
  where o.wallet_cents > 0 and exists (select from app.tickets k where k.order_id = o.id)
    and o.wallet_cents <> (
      select coalesce(sum(l.amount_cents), 0) from app.wallet_journals j join app.wallet_transactions l on l.journal_id = j.id
      where j.idempotency_key = 'purchase:' || o.id and l.type = 'debit'
        and not exists (select from app.wallet_journals b where b.reverses_id = j.id)
    )
  union all
  select 'credits of a refund that are not there', 'refund', r.id
  from app.refunds r
  where r.wallet_cents <> (
      select coalesce(sum(l.amount_cents), 0) from app.wallet_journals j join app.wallet_transactions l on l.journal_id = j.id
      where j.idempotency_key in ('refund:' || r.id, 'refund:' || r.id || ':card') and l.type = 'credit'
        and not exists (select from app.wallet_journals b where b.reverses_id = j.id)
    );
alter view app.payment_faults owner to <app>_counter;
