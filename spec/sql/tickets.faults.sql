-- What must hold of tickets and orders, as a view of what does not. `docs/money.md` explains each fault.

-- Faults of tickets and orders. Must always be empty.
create view app.ticket_faults with (security_invoker = true) as
  select 'held is not what pending orders and offers are for' as fault, 'ticket_type' as entity_type, t.id as entity_id
  from app.ticket_types t
  left join (
    select i.ticket_type_id, sum(i.quantity) as total from app.order_items i
    join app.orders o on o.id = i.order_id where o.state = 'pending' group by 1
  ) s on s.ticket_type_id = t.id
  left join (
    select w.offered_type_id, count(*) as total from app.waitlist_entries w where w.state = 'offered' group by 1
  ) w on w.offered_type_id = t.id
  where t.held <> coalesce(s.total, 0) + coalesce(w.total, 0)
  union all
  select 'sold is not the number of tickets', 'ticket_type', t.id
  from app.ticket_types t
  left join (
    select k.ticket_type_id, count(*) as total from app.tickets k where k.state in ('valid', 'checked_in') group by 1
  ) s on s.ticket_type_id = t.id
  where t.sold <> coalesce(s.total, 0)
  union all
  select 'oversold', 'ticket_type', t.id from app.ticket_types t where t.held + t.sold > t.capacity
  union all
  select 'more taken than the event has room for', 'event', e.id
  from app.events e
  where e.capacity < (select sum(t.held + t.sold) from app.ticket_types t where t.event_id = e.id)
  union all
  select 'offered and not to be handed on', 'ticket_transfer', x.id
  from app.ticket_transfers x join app.tickets k on k.id = x.ticket_id
  where x.state = 'offered' and (k.state <> 'valid' or k.refund_id is not null or k.holder_id <> x.from_id)
  union all
  select 'paid without its tickets', 'order', o.id
  from app.orders o
  where o.state = 'paid'
    and (select coalesce(sum(i.quantity), 0) from app.order_items i where i.order_id = o.id)
      <> (select count(*) from app.tickets k where k.order_id = o.id and k.state in ('valid', 'checked_in'))
  union all
  select 'another number of tickets than it says', 'order', o.id
  from app.orders o
  where o.ticket_count <> (select count(*) from app.tickets k where k.order_id = o.id)
  union all
  select 'tickets without payment', 'order', o.id
  from app.orders o
  where o.state in ('pending', 'expired', 'cancelled', 'refunded')
    and exists (select from app.tickets k where k.order_id = o.id and k.state in ('valid', 'checked_in'))
  union all
  select 'let in after the payment was taken back', 'order', o.id
  from app.orders o
  where o.state = 'charged_back'
    and exists (
      select from app.tickets k
      where k.order_id = o.id and k.state = 'valid' and not exists (select from app.checkpoint_entries x where x.ticket_id = k.id))
  union all
  select 'tickets whose price a bank has given back', 'order', o.id
  from app.orders o
  join (
    select d.order_id, sum(d.amount_cents) as total from app.disputes d where d.state = 'lost' and d.order_id is not null group by 1
  ) d on d.order_id = o.id
  where o.state <> 'charged_back'
    and exists (
      select from app.tickets k
      where k.order_id = o.id and k.state = 'valid' and k.refund_id is null and k.paid_cents > 0
        and not exists (select from app.checkpoint_entries x where x.ticket_id = k.id))
    and (
      select sum(k.paid_cents) from app.tickets k
      where k.order_id = o.id and k.state in ('valid', 'checked_in') and k.refund_id is null
    ) > o.amount_cents - d.total - (
      select coalesce(sum(r.amount_cents - case when r.failure_code = 'dispute_lost' then r.card_cents else 0 end), 0)
      from app.refunds r where r.order_id = o.id and r.state <> 'failed')
  union all
  select 'owed and not on its way back', 'order', o.id
  from app.orders o
  where o.state = 'refund_pending'
    and not exists (select from app.refunds r where r.order_id = o.id and r.state in ('pending', 'succeeded'))
  union all
  select 'refunded is not the sum of the refunds', 'order', o.id
  from app.orders o
  left join (
    select r.order_id, sum(r.amount_cents) as total, sum(r.card_cents) as card from app.refunds r where r.state = 'succeeded' group by 1
  ) s on s.order_id = o.id
  where o.refunded_cents <> coalesce(s.total, 0) or o.refunded_card_cents <> coalesce(s.card, 0)
  union all
  select 'a hold of an order that is not pending', 'order', o.id
  from app.orders o join app.wallet_holds h on h.id = o.wallet_hold_id
  where o.state <> 'pending' and h.state = 'pending'
  union all
  select 'let in twice', 'ticket', c.ticket_id from app.check_ins c
  where c.result = 'ok' and c.checkpoint_id is null group by c.ticket_id having count(*) > 1
  union all
  select 'inside a checkpoint twice', 'ticket', x.ticket_id from app.checkpoint_entries x
  where x.left_at is null group by x.ticket_id, x.checkpoint_id having count(*) > 1
  union all
  select 'entries are not the good scans', 'checkpoint', p.id
  from app.checkpoints p
  left join (
    select x.checkpoint_id, count(*) as entries, count(x.left_at) as exits from app.checkpoint_entries x group by 1
  ) x on x.checkpoint_id = p.id
  left join (
    select c.checkpoint_id, count(*) filter (where c.direction = 'entry') as entries, count(*) filter (where c.direction = 'exit') as exits
    from app.check_ins c where c.result = 'ok' and c.checkpoint_id is not null group by 1
  ) c on c.checkpoint_id = p.id
  where (coalesce(x.entries, 0), coalesce(x.exits, 0)) <> (coalesce(c.entries, 0), coalesce(c.exits, 0))
  union all
  select 'tickets are not what was paid', 'order', o.id
  from app.orders o join app.tickets k on k.order_id = o.id group by o.id, o.amount_cents
  having sum(k.paid_cents) <> o.amount_cents
  union all
  select 'parts are not the whole', 'order', o.id
  from app.orders o where o.platform_fee_cents + o.city_share_cents + o.organizer_cents <> o.amount_cents
  union all
  select 'card and top-up are not the part of the host', 'order', o.id
  from app.orders o
  where not o.sold_at_door and o.card_cents - o.application_fee_cents + o.top_up_cents <> o.organizer_cents
  union all
  select 'parts of a refund are not the whole', 'refund', r.id
  from app.refunds r where r.platform_fee_cents + r.city_share_cents + r.organizer_cents <> r.amount_cents
  union all
  select 'a refund of another sum than its tickets cost', 'refund', r.id
  from app.refunds r
  where exists (select from app.tickets k where k.order_id = r.order_id)
    and r.amount_cents <> (select coalesce(sum(k.paid_cents), 0) from app.tickets k where k.refund_id = r.id)
  union all
  select 'given back without a refund', 'ticket', k.id
  from app.tickets k where k.state = 'refunded' and k.paid_cents > 0 and k.refund_id is null
  union all
  select 'given back is not what each had', 'order', o.id
  from app.orders o
  join (
    select r.order_id, sum(r.amount_cents) as total, sum(r.organizer_cents) as organizer, sum(r.platform_fee_cents) as platform,
      sum(r.city_share_cents) as city
    from app.refunds r
    where r.state <> 'failed' and exists (select from app.tickets k where k.order_id = r.order_id) group by r.order_id
  ) s on s.order_id = o.id
  where s.organizer > o.organizer_cents or s.platform > o.platform_fee_cents or s.city > o.city_share_cents
    or (s.total = o.amount_cents
      and (s.organizer, s.platform, s.city) is distinct from (o.organizer_cents, o.platform_fee_cents, o.city_share_cents));
alter view app.ticket_faults owner to <app>_counter;
