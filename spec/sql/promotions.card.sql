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

-- Whether cards can be charged in a currency (`sec.is_currency`), as `card::is_charged` in the crate `money`, which a test
-- checks.
create function app.is_charged_in(p_currency text) returns boolean
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return p_currency not in ('BTN', 'CUP', 'ERN', 'GHS', 'IQD', 'IRR', 'ISK', 'KPW', 'LYD', 'MGA', 'MRU', 'SDG', 'SSP', 'SVC', 'SYP',
    'TMT', 'UGX', 'VED', 'VES', 'ZWG');
end
$$;
alter function app.is_charged_in(text) owner to <app>_owner;
revoke execute on function app.is_charged_in(text) from public;
grant execute on function app.is_charged_in(text) to <app>_counter;

-- Refuses a row with amounts, in the columns that are the arguments, from which no order can be priced, not even at the
-- door: they are finer than the step of the currency.
create function app.priced_in_steps() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_column text;
begin
  if new.currency is null then
    return new;
  end if;
  foreach v_column in array tg_argv loop
    if (to_jsonb(new) ->> v_column)::bigint % app.card_step(new.currency) <> 0 then
      raise exception 'finer than the step of %', new.currency
        using errcode = '23514', constraint = tg_table_name || '_' || v_column || '_in_steps';
    end if;
  end loop;
  return new;
end
$$;
alter function app.priced_in_steps() owner to <app>_counter;
revoke execute on function app.priced_in_steps() from public;

create trigger ticket_types_in_steps before insert or update of price_cents, currency on app.ticket_types
  for each row execute function app.priced_in_steps('price_cents');

create trigger promo_codes_in_steps before insert or update of amount_cents, currency on app.promo_codes
  for each row execute function app.priced_in_steps('amount_cents');

create trigger commission_rules_in_steps before insert or update of fixed_cents, min_cents, max_cents, currency on app.commission_rules
  for each row execute function app.priced_in_steps('fixed_cents', 'min_cents', 'max_cents');

create trigger commission_proposals_in_steps
  before insert or update of fixed_cents, min_cents, max_cents, currency on app.commission_proposals
  for each row execute function app.priced_in_steps('fixed_cents', 'min_cents', 'max_cents');

-- Refuses a price in a currency that cards can't be charged in.
create function app.charged_in_currency() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not app.is_charged_in(new.currency) then
    raise exception 'no card can be charged in %', new.currency
      using errcode = '23514', constraint = tg_table_name || '_currency_by_card';
  end if;
  return new;
end
$$;
alter function app.charged_in_currency() owner to <app>_counter;
revoke execute on function app.charged_in_currency() from public;

-- Tickets that are sold at the door alone are paid in cash.
create trigger ticket_types_paid_by_card before insert or update of price_cents, currency, door_only on app.ticket_types
  for each row when (new.price_cents > 0 and not new.door_only) execute function app.charged_in_currency();

-- One of them costs at most what a card can be charged. It may be less than the smallest charge, since several are ordered.
create trigger ticket_types_price_by_card before insert or update of price_cents, currency, door_only on app.ticket_types
  for each row when (new.price_cents > 0 and not new.door_only) execute function app.charged_by_card('price_cents', 'part');

create trigger plans_price_in_currency before insert or update of price_cents, currency on app.plans
  for each row when (new.price_cents > 0) execute function app.charged_in_currency();

create trigger featured_places_price_in_currency before insert or update of day_price_cents, currency on app.featured_places
  for each row when (new.day_price_cents > 0) execute function app.charged_in_currency();

create trigger promotions_price_in_currency before insert or update of amount_cents, currency on app.promotions
  for each row when (new.amount_cents > 0) execute function app.charged_in_currency();

create trigger quotes_fee_in_currency before insert or update of fee_cents, currency on app.quotes
  for each row when (new.fee_cents > 0) execute function app.charged_in_currency();

create trigger orders_card_in_currency before insert or update of card_cents, currency on app.orders
  for each row when (new.card_cents > 0) execute function app.charged_in_currency();

-- Refuses commissions, in the columns that are the arguments, that are more than a card can be charged: no order could be
-- paid under them.
create function app.commission_by_card() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_column text;
begin
  foreach v_column in array tg_argv loop
    if (to_jsonb(new) ->> v_column)::bigint > app.card_maximum(new.currency) then
      raise exception 'more than a card can be charged in %', new.currency
        using errcode = '23514', constraint = tg_table_name || '_' || v_column || '_by_card';
    end if;
  end loop;
  return new;
end
$$;
alter function app.commission_by_card() owner to <app>_counter;
revoke execute on function app.commission_by_card() from public;

create trigger commission_rules_within_card before insert or update of fixed_cents, min_cents, currency on app.commission_rules
  for each row execute function app.commission_by_card('fixed_cents', 'min_cents');

create trigger commission_proposals_within_card
  before insert or update of fixed_cents, min_cents, currency on app.commission_proposals
  for each row execute function app.commission_by_card('fixed_cents', 'min_cents');
