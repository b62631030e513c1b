-- Credits that were given: how they are given, spent, given back by refunds, and taken back once they have expired.

-- Spending uses expiring credits first, in the order of their expiry, then given credits that do not expire, then those
-- that refunds of card payments have left. Which credits an entry has used is recorded, so that a refund can give back
-- the same ones. An entry that reverses a grant takes credits of that grant only, and is refused if they are spent:
-- others may have been paid for by the member.
create function app.use_credits(p_journal uuid, p_wallet uuid, p_amount bigint, p_reverses uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_left bigint := p_amount;
  v_used bigint;
  v_currency text;
  v_credit record;
  v_of_grant boolean := exists (select from app.wallet_credits c where c.journal_id = p_reverses);
begin
  select w.currency into strict v_currency from app.wallet_accounts w where w.id = p_wallet;
  for v_credit in
    select c.id, c.remaining_cents from app.wallet_credits c
    where c.wallet_id = p_wallet and c.remaining_cents > 0 and (c.journal_id = p_reverses or not v_of_grant)
    order by c.expires_at, c.id for update
  loop
    exit when v_left = 0;
    v_used := least(v_left, v_credit.remaining_cents);
    update app.wallet_credits c set remaining_cents = c.remaining_cents - v_used where c.id = v_credit.id;
    insert into app.wallet_credit_uses (journal_id, credit_id, amount_cents, currency) values (p_journal, v_credit.id, v_used, v_currency);
    v_left := v_left - v_used;
  end loop;
  if v_left > 0 and v_of_grant then
    raise exception 'the credits are spent' using errcode = '23514', constraint = 'wallet_credits_spent';
  end if;
  if v_left > 0 then
    insert into app.wallet_credit_uses (journal_id, amount_cents, currency) values (p_journal, v_left, v_currency);
  end if;
end
$$;
alter function app.use_credits(uuid,uuid,bigint,uuid) owner to <app>_owner;
revoke execute on function app.use_credits(uuid,uuid,bigint,uuid) from public;
grant execute on function app.use_credits(uuid,uuid,bigint,uuid) to <app>_job;

-- Books credits, and stores when they expire (`p_expires`; null: never).
create function app.grant_credits(p_kind text, p_key text, p_reference text, p_from uuid, p_to uuid, p_amount bigint, p_expires timestamptz) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_journal uuid;
begin
  v_journal := app.post_journal(p_kind, p_key, p_reference, null, null, jsonb_build_array(
    jsonb_build_object('wallet_id', p_from, 'amount_cents', -p_amount),
    jsonb_build_object('wallet_id', p_to, 'amount_cents', p_amount)));
  -- The refund of a card payment is the member's own money: no grant.
  if p_kind <> 'refund_credit' then
    insert into app.wallet_credits (wallet_id, journal_id, amount_cents, remaining_cents, currency, expires_at)
    select w.id, v_journal, p_amount, p_amount, w.currency, p_expires from app.wallet_accounts w where w.id = p_to
    on conflict (journal_id) do nothing;
  end if;
  return v_journal;
end
$$;
alter function app.grant_credits(text,text,text,uuid,uuid,bigint,timestamptz) owner to <app>_owner;
revoke execute on function app.grant_credits(text,text,text,uuid,uuid,bigint,timestamptz) from public;
grant execute on function app.grant_credits(text,text,text,uuid,uuid,bigint,timestamptz) to <app>_job;

-- Takes back a part of credits that have expired. The account's row must be locked.
create function app.lapse_credit(p_credit uuid, p_amount bigint) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_wallet record;
begin
  select w.id, w.currency, w.last_seq into strict v_wallet
  from app.wallet_credits c join app.wallet_accounts w on w.id = c.wallet_id where c.id = p_credit;
  perform app.post_journal('expiry', 'expiry:' || p_credit || ':' || v_wallet.last_seq, 'lapsed', null, null, jsonb_build_array(
    jsonb_build_object('wallet_id', v_wallet.id, 'amount_cents', -p_amount),
    jsonb_build_object('wallet_id', app.system_wallet('platform_cash', null, null, v_wallet.currency), 'amount_cents', p_amount)));
  update app.wallet_credits c set remaining_cents = c.remaining_cents - p_amount where c.id = p_credit;
end
$$;
alter function app.lapse_credit(uuid,bigint) owner to <app>_owner;
revoke execute on function app.lapse_credit(uuid,bigint) from public;
grant execute on function app.lapse_credit(uuid,bigint) to <app>_job;

-- Takes back what is left of expired credits. Credits held for a purchase, and those of frozen accounts, are kept for
-- as long. An account whose books are wrong is skipped, so that it doesn't prevent others from being processed; the
-- comparison of the books finds it. Returns the number of credits that expired.
create function app.expire_credits(p_limit int) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_credit record;
  v_amount bigint;
  v_done int := 0;
begin
  for v_credit in
    select c.id, c.wallet_id from app.wallet_credits c join app.wallet_accounts a on a.id = c.wallet_id
    where c.remaining_cents > 0 and c.expires_at <= now() and a.frozen_at is null and a.balance_cents > a.held_cents
    order by c.wallet_id, c.expires_at, c.id limit p_limit
  loop
    begin
      -- Locks the account first, as spending does, so that no other transaction changes the credit meanwhile.
      perform from app.wallet_accounts w where w.id = v_credit.wallet_id for update;
      select least(c.remaining_cents, w.balance_cents - w.held_cents) into v_amount
      from app.wallet_credits c join app.wallet_accounts w on w.id = c.wallet_id
      where c.id = v_credit.id and w.frozen_at is null for update of c;
      continue when coalesce(v_amount, 0) <= 0;
      perform app.lapse_credit(v_credit.id, v_amount);
      v_done := v_done + 1;
    exception when check_violation then
      null;
    end;
  end loop;
  return v_done;
end
$$;
alter function app.expire_credits(int) owner to <app>_owner;
revoke execute on function app.expire_credits(int) from public;
grant execute on function app.expire_credits(int) to <app>_job;

-- Refunds a purchase to the wallet. The credits that have paid for it come back as they were: those that were spent last
-- first, which are refunds of card payments, then given credits that do not expire, then the others, the latest expiry
-- first. Credits that have expired since expire again
-- in the same transaction. What a refund gives beyond the credits that were spent was paid by card, and does not expire.
-- A repeated key gives back nothing and returns the same journal.
create function app.give_back_credits(p_key text, p_reference text, p_purchase text, p_from uuid, p_to uuid, p_amount bigint) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_wallet app.wallet_accounts;
  v_is_new boolean;
  v_journal uuid;
  v_left bigint := p_amount;
  v_part bigint;
  v_use record;
begin
  -- The lock makes refunds with the same key run one after the other.
  select w.* into strict v_wallet from app.wallet_accounts w where w.id = p_to for update;
  v_is_new := not exists (select from app.wallet_journals j where j.idempotency_key = p_key);
  v_journal := app.post_journal('refund_credit', p_key, p_reference, null, null, jsonb_build_array(
    jsonb_build_object('wallet_id', p_from, 'amount_cents', -p_amount),
    jsonb_build_object('wallet_id', p_to, 'amount_cents', p_amount)));
  if not v_is_new then
    return v_journal;
  end if;
  for v_use in
    select u.id, u.credit_id, u.amount_cents - u.returned_cents as rest, c.expires_at
    from app.wallet_journals j join app.wallet_credit_uses u on u.journal_id = j.id
    left join app.wallet_credits c on c.id = u.credit_id
    where j.idempotency_key = p_purchase and u.returned_cents < u.amount_cents
    order by u.credit_id is null desc, c.expires_at desc nulls first, u.id desc
  loop
    exit when v_left = 0;
    v_part := least(v_left, v_use.rest);
    v_left := v_left - v_part;
    update app.wallet_credit_uses u set returned_cents = u.returned_cents + v_part where u.id = v_use.id;
    continue when v_use.credit_id is null;
    update app.wallet_credits c set remaining_cents = c.remaining_cents + v_part where c.id = v_use.credit_id;
    -- Nothing is taken from a frozen account; the job takes it once the account is right again.
    if v_use.expires_at <= now() and v_wallet.frozen_at is null then
      perform app.lapse_credit(v_use.credit_id, v_part);
    end if;
  end loop;
  return v_journal;
end
$$;
alter function app.give_back_credits(text,text,text,uuid,uuid,bigint) owner to <app>_owner;
revoke execute on function app.give_back_credits(text,text,text,uuid,uuid,bigint) from public;
grant execute on function app.give_back_credits(text,text,text,uuid,uuid,bigint) to <app>_job;
