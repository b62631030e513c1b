-- Tickets whose money a bank has given back to the buyer.

-- How much of an order's payment banks have given to the buyer in disputes, without what a refund has given as well: a
-- refund that the card has sent back, and whose money the bank then gave, ends as `dispute_lost`.
create function app.lost_to_banks(p_order uuid) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
begin
  return greatest(
    (select coalesce(sum(d.amount_cents), 0) from app.disputes d where d.order_id = p_order and d.state = 'lost')
      - (select coalesce(sum(r.card_cents), 0) from app.refunds r
          where r.order_id = p_order and r.state <> 'failed' and r.failure_code = 'dispute_lost'), 0)::bigint;
end
$$;
alter function app.lost_to_banks(uuid) owner to <app>_owner;
revoke execute on function app.lost_to_banks(uuid) from public;
grant execute on function app.lost_to_banks(uuid) to <app>_job;

-- Makes tickets of an order void whose price adds up to what banks have given back, or a little more: the dearest that
-- are covered by it, and for what remains the cheapest of the others. Tickets that were made void for this reason before
-- count. Tickets with which somebody has entered are left, unless `p_used`. Returns how many tickets still count.
create function app.void_covered(p_order uuid, p_lost bigint, p_used boolean) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_due bigint;
  v_ticket record;
  v_void uuid[] := '{}';
  v_type record;
begin
  select p_lost - coalesce(sum(t.paid_cents), 0) into v_due from app.tickets t
  where t.order_id = p_order and t.state = 'void' and t.void_reason = 'disputed';
  while v_due > 0 loop
    select t.id, t.paid_cents into v_ticket from app.tickets t
    where t.order_id = p_order and t.refund_id is null and t.paid_cents > 0 and t.id <> all (v_void)
      and (t.state = 'valid' and not exists (select from app.checkpoint_entries x where x.ticket_id = t.id)
        or p_used and t.state in ('valid', 'checked_in'))
    order by t.paid_cents > v_due, case when t.paid_cents > v_due then t.paid_cents else -t.paid_cents end, t.position desc
    limit 1;
    exit when not found;
    v_void := array_append(v_void, v_ticket.id);
    v_due := v_due - v_ticket.paid_cents;
  end loop;
  for v_type in
    with voided as (
      update app.tickets t set state = 'void', void_reason = 'disputed' where t.id = any (v_void) returning t.ticket_type_id
    )
    select v.ticket_type_id, count(*)::int as quantity from voided v group by 1 order by 1
  loop
    update app.ticket_types t set sold = t.sold - v_type.quantity where t.id = v_type.ticket_type_id;
    perform app.offer_places(v_type.ticket_type_id);
  end loop;
  return (
    select count(*) from app.tickets t where t.order_id = p_order and t.state in ('valid', 'checked_in') and t.refund_id is null
  );
end
$$;
alter function app.void_covered(uuid,bigint,boolean) owner to <app>_owner;
revoke execute on function app.void_covered(uuid,bigint,boolean) from public;
grant execute on function app.void_covered(uuid,bigint,boolean) to <app>_job;
