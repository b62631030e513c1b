-- Money of a purchase is in its currency. Modules compute with amounts that carry theirs (`money::Money`); this holds for
-- what they write. Rows that belong to no purchase (a plan's period, what a city is sent) are in a currency of their own.

-- Refuses a payment or a refund in another currency than the order, booking or quote that it is about.
create function app.keep_currency_of_purchase() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_currency text;
begin
  v_currency := case
    when new.order_id is not null then (select o.currency from app.orders o where o.id = new.order_id)
    when new.promotion_id is not null then (select p.currency from app.promotions p where p.id = new.promotion_id)
    when new.quote_id is not null then (select q.currency from app.quotes q where q.id = new.quote_id)
  end;
  if v_currency <> new.currency then
    raise exception 'in another currency than what it is about' using errcode = '23514', constraint = tg_table_name || '_currency';
  end if;
  return new;
end
$$;
alter function app.keep_currency_of_purchase() owner to <app>_counter;
revoke execute on function app.keep_currency_of_purchase() from public;

create trigger transactions_currency before insert on app.transactions
  for each row when (current_user = '<app>_job') execute function app.keep_currency_of_purchase();

create trigger refunds_currency before insert on app.refunds
  for each row when (current_user = '<app>_job') execute function app.keep_currency_of_purchase();

-- The same of a transfer about an order.
create function app.keep_currency_of_order() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from app.orders o where o.id = new.order_id and o.currency <> new.currency) then
    raise exception 'in another currency than its order' using errcode = '23514', constraint = 'transfers_currency';
  end if;
  return new;
end
$$;
alter function app.keep_currency_of_order() owner to <app>_counter;
revoke execute on function app.keep_currency_of_order() from public;

create trigger transfers_currency before insert on app.transfers
  for each row when (current_user = '<app>_job' and new.order_id is not null) execute function app.keep_currency_of_order();
