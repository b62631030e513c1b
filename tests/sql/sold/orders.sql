-- Many purchases in cash and check-ins with times in the past, which modules can't make. The statements run in the transaction that
-- loads the demonstration, and use its temporary tables. Amounts add up, and the numbers of sold tickets are right.

create temporary table demo_order on commit drop as
select o.*, o.quantity * o.price_cents as amount,
       case when o.price_cents = 0 then 0 else round(o.quantity * o.price_cents * 0.05)::bigint + 50 * o.quantity end as fee
  from (
    select m.n * 10000 + e.city_n * 100 + e.i as n, pg_temp.demo_id('order', m.n * 10000 + e.city_n * 100 + e.i) as id,
           m.id as user_id, e.id as event_id, e.city_id, e.currency, e.state, e.starts_at, e.key, t.id as ticket_type_id,
           t.price_cents, 1 + pg_temp.chance('many' || m.n || e.key) % 3 as quantity,
           least(now(), e.starts_at) - (1 + pg_temp.chance('early' || m.n || e.key) % 200) * interval '1 hour' as paid_at
      from pg_temp.demo_member m
      join pg_temp.demo_event e on e.city_n = m.city_n and e.state in ('published', 'completed')
      join app.ticket_types t on t.event_id = e.id and t.name = 'General admission'
     where pg_temp.chance('buys' || m.n || e.key) % 9 = 0) o;

insert into app.orders (id, user_id, event_id, state, subtotal_cents, amount_cents, cash_cents, sold_at_door, currency, platform_fee_cents,
                        city_share_cents, organizer_cents, commission_rule_id, paid_at, ticket_count, idempotency_key, created_at)
select o.id, o.user_id, o.event_id, 'paid', o.amount, o.amount, o.amount, o.amount > 0, o.currency, o.fee - o.fee / 5, o.fee / 5, o.amount - o.fee,
       r.id, o.paid_at, o.quantity, 'demonstration-' || o.n, o.paid_at
  from pg_temp.demo_order o
  join app.commission_rules r on r.currency = o.currency and r.type = 'ticket' and r.scope_id is null;

insert into app.order_items (id, order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency, created_at)
select pg_temp.demo_id('item', n), id, ticket_type_id, quantity, price_cents, amount, amount, currency, paid_at from pg_temp.demo_order;

-- The codes have no signature, so scanners refuse them.
insert into app.tickets (id, order_id, ticket_type_id, event_id, holder_id, buyer_id, position, paid_cents, currency, state, code, created_at)
select pg_temp.demo_id('ticket', n * 10 + k), id, ticket_type_id, event_id, user_id, user_id, k, price_cents, currency,
       case when state = 'completed' and pg_temp.chance('came' || n) % 5 <> 0 then 'checked_in' else 'valid' end,
       'demonstration.' || md5('ticket' || n || '.' || k), paid_at
  from pg_temp.demo_order, generate_series(1, quantity) k;

-- Some buyers have been refunded.
insert into app.refunds (id, order_id, requested_by_id, state, amount_cents, cash_cents, organizer_cents, platform_fee_cents,
                         city_share_cents, currency, stripe_idempotency_key, settled_at)
select pg_temp.demo_id('refund', n), id, user_id, 'succeeded', amount, amount, amount - fee, fee - fee / 5, fee / 5, currency,
       'refund:demo:' || n, paid_at + interval '1 hour'
  from pg_temp.demo_order where amount > 0 and state = 'published' and n % 17 = 3;
update app.tickets t set state = 'refunded', refund_id = r.id from app.refunds r where r.order_id = t.order_id;
update app.orders o set state = 'refunded', refunded_cents = o.amount_cents
  from app.refunds r where r.order_id = o.id;

-- Some holders offer a ticket to another member.
insert into app.ticket_transfers (id, ticket_id, from_id, to_id, expires_at)
select pg_temp.demo_id('transfer', row_number() over (order by t.id)), t.id, t.holder_id, u.id, now() + interval '7 days'
  from (select t.id, t.holder_id, row_number() over (order by t.id) as n
          from app.tickets t join app.events e on e.id = t.event_id
         where t.state = 'valid' and e.state = 'published') t
  join pg_temp.demo_user u on u.n = t.n + 1 and u.id <> t.holder_id
 where t.n <= 20;

update app.ticket_types t set sold = x.sold
  from (select ticket_type_id, count(*) as sold from app.tickets where state in ('valid', 'checked_in') group by 1) x
 where x.ticket_type_id = t.id;

insert into app.check_ins (id, ticket_id, event_id, nonce, device, at, created_at)
select pg_temp.demo_id('checkin', row_number() over (order by t.id)), t.id, t.event_id, 'demo' || md5(t.id::text), 'Door 1',
       o.starts_at + interval '5 minutes', o.starts_at + interval '5 minutes'
  from app.tickets t
  join pg_temp.demo_order o on o.id = t.order_id
 where t.state = 'checked_in';

create temporary table demo_entry on commit drop as
select row_number() over (order by p.id, t.id) as n, p.id as checkpoint_id, t.id as ticket_id, t.event_id,
       o.starts_at + interval '20 minutes' as entered_at,
       case when p.counts_exits and pg_temp.chance('left' || t.id) % 3 = 0 then o.starts_at + interval '40 minutes' end as left_at
  from app.tickets t
  join pg_temp.demo_order o on o.id = t.order_id
  join app.checkpoints p on p.event_id = t.event_id
 where t.state = 'checked_in' and pg_temp.chance('bar' || p.name || t.id) % 3 = 0;

insert into app.checkpoint_entries (id, checkpoint_id, ticket_id, event_id, entered_at, left_at, created_at)
select pg_temp.demo_id('entry', n), checkpoint_id, ticket_id, event_id, entered_at, left_at, entered_at from pg_temp.demo_entry;

insert into app.check_ins (id, ticket_id, event_id, checkpoint_id, direction, nonce, device, at, created_at)
select pg_temp.demo_id('entryscan', n), ticket_id, event_id, checkpoint_id, 'entry', 'demo-entry-' || n, 'Door 2', entered_at, entered_at
  from pg_temp.demo_entry
 union all
select pg_temp.demo_id('exitscan', n), ticket_id, event_id, checkpoint_id, 'exit', 'demo-exit-' || n, 'Door 2', left_at, left_at
  from pg_temp.demo_entry where left_at is not null;
