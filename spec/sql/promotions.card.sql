-- Amounts that cards are charged, for every writer: a multiple of the step of the currency, and between the smallest and
-- the largest charge. The hooks and routes say the same with a pointer (`runtime/app/src/payments/by_card.rs`). An
-- amount that is not among them here is refused by Stripe, when somebody wants to pay it.

-- Refuses a row whose amount, in the column of the first argument, no card can be charged. The second argument is
-- `whole` for an amount that is charged as it is, and `part` for one that is multiplied first, so that it may be less
-- than the smallest charge.
create function app.charged_by_card() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_amount bigint := (to_jsonb(new) ->> tg_argv[0])::bigint;
begin
  if v_amount % app.card_step(new.currency) <> 0 or v_amount > app.card_maximum(new.currency)
    or (tg_argv[1] = 'whole' and v_amount < app.card_minimum(new.currency))
  then
    raise exception 'no card can be charged %', v_amount
      using errcode = '23514', constraint = tg_table_name || '_' || tg_argv[0] || '_by_card';
  end if;
  return new;
end
$$;
alter function app.charged_by_card() owner to <app>_counter;
revoke execute on function app.charged_by_card() from public;

create trigger plans_price_by_card before insert or update of price_cents, currency on app.plans
  for each row when (new.price_cents > 0) execute function app.charged_by_card('price_cents', 'whole');

-- A booking is for one or more days.
create trigger featured_places_price_by_card before insert or update of day_price_cents, currency on app.featured_places
  for each row when (new.day_price_cents > 0) execute function app.charged_by_card('day_price_cents', 'part');

create trigger promotions_price_by_card before insert or update of amount_cents, currency on app.promotions
  for each row when (new.amount_cents > 0) execute function app.charged_by_card('amount_cents', 'whole');

create trigger quotes_fee_by_card before insert or update of fee_cents, currency on app.quotes
  for each row when (new.fee_cents > 0) execute function app.charged_by_card('fee_cents', 'whole');

create trigger orders_card_by_card before insert or update of card_cents, currency on app.orders
  for each row when (new.card_cents > 0) execute function app.charged_by_card('card_cents', 'whole');
