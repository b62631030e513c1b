-- The ledger: every movement of credits is a journal whose legs add up to zero, and balances are sums of legs. These
-- functions are the only way to book. They act as the module `wallet` whoever calls them, and only modules may call
-- them.

-- Returns a member's account in a currency, and creates it when it is first needed.
create function app.wallet_of(p_user uuid, p_currency text) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_wallet uuid;
begin
  select w.id into v_wallet from app.wallet_accounts w
  where w.user_id = p_user and w.kind = 'user' and w.currency = p_currency;
  if v_wallet is null then
    insert into app.wallet_accounts (user_id, kind, currency) values (p_user, 'user', p_currency)
    on conflict do nothing;
    select w.id into strict v_wallet from app.wallet_accounts w
    where w.user_id = p_user and w.kind = 'user' and w.currency = p_currency;
  end if;
  return v_wallet;
end
$$;
alter function app.wallet_of(uuid,text) owner to <app>_owner;
revoke execute on function app.wallet_of(uuid,text) from public;
grant execute on function app.wallet_of(uuid,text) to <app>_job;

-- Returns an account of the platform itself, or one for what the platform owes somebody. Busy accounts have no stored
-- balance, because every entry would have to wait for the lock on their row.
create function app.system_wallet(p_kind text, p_owner_type text, p_owner uuid, p_currency text) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_wallet uuid;
begin
  loop
    select w.id into v_wallet from app.wallet_accounts w
    where w.user_id is null and w.kind = p_kind and w.currency = p_currency
      and w.owner_type is not distinct from p_owner_type and w.owner_id is not distinct from p_owner;
    exit when v_wallet is not null;
    insert into app.wallet_accounts (owner_type, owner_id, kind, currency, track_balance)
    values (p_owner_type, p_owner, p_kind, p_currency, p_kind = 'promo_budget')
    on conflict do nothing;
  end loop;
  return v_wallet;
end
$$;
alter function app.system_wallet(text,text,uuid,text) owner to <app>_owner;
revoke execute on function app.system_wallet(text,text,uuid,text) from public;
grant execute on function app.system_wallet(text,text,uuid,text) to <app>_job;

-- Books one entry. `p_legs` is a list of {"wallet_id", "amount_cents"}, positive for a credit. A repeated key books
-- nothing and returns the same journal; with other legs it is refused. Accounts are updated in the order of their ids,
-- so that two entries never deadlock. With `p_hold`, the debit of the hold's account uses the held credits, and what
-- remains of them is released.
create function app.post_journal(p_kind text, p_key text, p_reference text, p_reverses uuid, p_hold uuid, p_legs jsonb) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_journal uuid;
  v_hold app.wallet_holds;
  v_leg record;
  v_legs int := 0;
  v_seq bigint;
  v_balance bigint;
begin
  insert into app.wallet_journals (kind, idempotency_key, reference, reverses_id)
  values (p_kind, p_key, p_reference, p_reverses)
  on conflict (idempotency_key) do nothing returning id into v_journal;
  if v_journal is null then
    select j.id into v_journal from app.wallet_journals j
    where j.idempotency_key = p_key and j.kind = p_kind and j.reverses_id is not distinct from p_reverses
      and (
        select jsonb_agg(jsonb_build_array(t.wallet_id, case t.type when 'credit' then t.amount_cents else -t.amount_cents end)
          order by t.wallet_id, t.type, t.amount_cents)
        from app.wallet_transactions t where t.journal_id = j.id
      ) = (
        select jsonb_agg(jsonb_build_array(l.wallet_id, l.amount_cents)
          order by l.wallet_id, case when l.amount_cents > 0 then 'credit' else 'debit' end, abs(l.amount_cents))
        from jsonb_to_recordset(p_legs) l(wallet_id uuid, amount_cents bigint)
      );
    if v_journal is null then
      raise exception 'the key books another entry' using errcode = '23505', constraint = 'wallet_journals_key_reused';
    end if;
    return v_journal;
  end if;
  if p_hold is not null then
    update app.wallet_holds h set state = 'posted', journal_id = v_journal
    where h.id = p_hold and h.state = 'pending' and h.expires_at > now() returning h.* into v_hold;
    if not found then
      raise exception 'the hold is over' using errcode = '23514', constraint = 'wallet_holds_over';
    end if;
  end if;
  for v_leg in
    select w.id, w.kind, w.currency, w.track_balance, w.frozen_at, l.amount_cents as amount
    from jsonb_to_recordset(p_legs) l(wallet_id uuid, amount_cents bigint)
    join app.wallet_accounts w on w.id = l.wallet_id
    order by w.id, l.amount_cents
  loop
    v_legs := v_legs + 1;
    v_seq := null;
    v_balance := null;
    if v_leg.frozen_at is not null and v_leg.amount < 0 then
      raise exception 'the account is frozen' using errcode = '23514', constraint = 'wallet_accounts_frozen';
    end if;
    if v_leg.track_balance then
      update app.wallet_accounts w set balance_cents = w.balance_cents + v_leg.amount, last_seq = w.last_seq + 1,
        held_cents = w.held_cents - case when v_leg.amount < 0 and w.id = v_hold.wallet_id then v_hold.amount_cents else 0 end
      where w.id = v_leg.id returning w.last_seq, w.balance_cents into v_seq, v_balance;
    end if;
    insert into app.wallet_transactions (wallet_id, journal_id, amount_cents, currency, type, kind, reference, seq, balance_after_cents)
    values (v_leg.id, v_journal, abs(v_leg.amount), v_leg.currency, case when v_leg.amount > 0 then 'credit' else 'debit' end,
      p_kind, p_reference, v_seq, v_balance);
    -- Taking back expired credits, or credits of a disputed payment, is not spending.
    if v_leg.kind = 'user' and v_leg.amount < 0 and p_kind <> 'expiry' and p_key not like 'disputed:%' then
      perform app.use_credits(v_journal, v_leg.id, -v_leg.amount, p_reverses);
    end if;
    if v_leg.id = v_hold.wallet_id and v_leg.amount < 0 then
      if -v_leg.amount > v_hold.amount_cents then
        raise exception 'more than was set aside' using errcode = '23514', constraint = 'wallet_holds_amount';
      end if;
      v_hold := null;
    end if;
  end loop;
  if v_legs < 2 or v_legs <> jsonb_array_length(p_legs) then
    raise exception 'an entry has two legs or more, of accounts that exist' using errcode = '23503', constraint = 'wallet_journals_legs';
  end if;
  if v_hold.id is not null then
    raise exception 'no leg takes from the hold' using errcode = '23514', constraint = 'wallet_holds_amount';
  end if;
  return v_journal;
end
$$;
alter function app.post_journal(text,text,text,uuid,uuid,jsonb) owner to <app>_owner;
revoke execute on function app.post_journal(text,text,text,uuid,uuid,jsonb) from public;
grant execute on function app.post_journal(text,text,text,uuid,uuid,jsonb) to <app>_job;

-- What is left of credits that have expired and that the job has not taken back yet.
create function app.lapsed_credits(p_wallet uuid) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
begin
  return (
    select coalesce(sum(c.remaining_cents), 0)::bigint from app.wallet_credits c
    where c.wallet_id = p_wallet and c.remaining_cents > 0 and c.expires_at <= now()
  );
end
$$;
alter function app.lapsed_credits(uuid) owner to <app>_owner;
revoke execute on function app.lapsed_credits(uuid) from public;
grant execute on function app.lapsed_credits(uuid) to <app>_job;

-- What can be held or spent now. Expired credits that are held are still good for that purchase, but for no other:
-- otherwise a member who orders and cancels again and again would keep them for ever.
create function app.available_credits(p_wallet uuid) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
begin
  return (
    select case when w.frozen_at is null then greatest(w.balance_cents - greatest(w.held_cents, app.lapsed_credits(w.id)), 0) else 0 end
    from app.wallet_accounts w where w.id = p_wallet
  );
end
$$;
alter function app.available_credits(uuid) owner to <app>_owner;
revoke execute on function app.available_credits(uuid) from public;
grant execute on function app.available_credits(uuid) to <app>_job;

-- Holds credits. If the account doesn't have enough, its check constraint refuses that; expired credits don't count.
create function app.hold_credits(p_wallet uuid, p_amount bigint, p_reference text, p_expires timestamptz) returns uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_hold uuid;
  v_lapsed bigint;
begin
  insert into app.wallet_holds (wallet_id, amount_cents, currency, reference, expires_at)
  select w.id, p_amount, w.currency, p_reference, p_expires from app.wallet_accounts w where w.id = p_wallet
  returning id into strict v_hold;
  update app.wallet_accounts w set held_cents = w.held_cents + p_amount where w.id = p_wallet;
  v_lapsed := app.lapsed_credits(p_wallet);
  if v_lapsed > 0 and exists (
    select from app.wallet_accounts w
    where w.id = p_wallet and p_amount > w.balance_cents - greatest(w.held_cents - p_amount, v_lapsed)
  ) then
    raise exception 'the credits have expired' using errcode = '23514', table = 'wallet_accounts',
      constraint = 'wallet_accounts_never_negative_check';
  end if;
  return v_hold;
end
$$;
alter function app.hold_credits(uuid,bigint,text,timestamptz) owner to <app>_owner;
revoke execute on function app.hold_credits(uuid,bigint,text,timestamptz) from public;
grant execute on function app.hold_credits(uuid,bigint,text,timestamptz) to <app>_job;

-- Releases held credits: `voided` by the module that held them, `expired` when their time is over. False: the hold was
-- used or released before.
create function app.release_hold(p_hold uuid, p_state text) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_hold app.wallet_holds;
begin
  update app.wallet_holds h set state = p_state
  where h.id = p_hold and h.state = 'pending' and (p_state <> 'expired' or h.expires_at <= now())
  returning h.* into v_hold;
  if not found then
    return false;
  end if;
  update app.wallet_accounts w set held_cents = w.held_cents - v_hold.amount_cents where w.id = v_hold.wallet_id;
  return true;
end
$$;
alter function app.release_hold(uuid,text) owner to <app>_owner;
revoke execute on function app.release_hold(uuid,text) from public;
grant execute on function app.release_hold(uuid,text) to <app>_job;

-- Whether held credits can be used now. False if the account is frozen, or has less than is held. Locks the hold and
-- the account until the end of the transaction, so that the answer stays true.
create function app.hold_is_good(p_hold uuid) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_wallet app.wallet_accounts;
  v_hold app.wallet_holds;
begin
  select h.* into strict v_hold from app.wallet_holds h where h.id = p_hold for update;
  select w.* into strict v_wallet from app.wallet_accounts w where w.id = v_hold.wallet_id for update;
  return v_wallet.frozen_at is null and v_hold.state = 'pending' and v_hold.expires_at > now()
    and v_hold.amount_cents <= least(v_wallet.held_cents, v_wallet.balance_cents);
end
$$;
alter function app.hold_is_good(uuid) owner to <app>_owner;
revoke execute on function app.hold_is_good(uuid) from public;
grant execute on function app.hold_is_good(uuid) to <app>_job;

create function app.expire_holds(p_limit int) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
-- Releases up to `p_limit` holds that have expired, and returns their number. A hold that another transaction has
-- locked is skipped, and so is one of an account with less set aside than its holds add up to.
declare
  v_hold uuid;
  v_done int := 0;
begin
  for v_hold in
    select h.id from app.wallet_holds h where h.state = 'pending' and h.expires_at <= now()
    order by h.wallet_id, h.id limit p_limit for update skip locked
  loop
    begin
      v_done := v_done + app.release_hold(v_hold, 'expired')::int;
    exception when check_violation then
      null;
    end;
  end loop;
  return v_done;
end
$$;
alter function app.expire_holds(int) owner to <app>_owner;
revoke execute on function app.expire_holds(int) from public;
grant execute on function app.expire_holds(int) to <app>_job;

create function app.journal_balances() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
-- Checked at the end of the transaction, for all callers: in each currency, the legs of a journal add up to zero.
begin
  if exists (
    select from app.wallet_transactions t where t.journal_id = new.journal_id
    group by t.currency having sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end) <> 0
  ) then
    raise exception 'a journal does not balance' using errcode = '23514', constraint = 'wallet_journals_balance';
  end if;
  return null;
end
$$;
alter function app.journal_balances() owner to <app>_counter;
revoke execute on function app.journal_balances() from public;

create constraint trigger wallet_transactions_balance
  after insert on app.wallet_transactions deferrable initially deferred
  for each row execute function app.journal_balances();

-- A leg must have the currency of its account.
create function app.leg_of_account() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from app.wallet_accounts w where w.id = new.wallet_id and w.currency = new.currency) then
    raise exception 'a leg in another currency than its account' using errcode = '23514', constraint = 'wallet_transactions_currency';
  end if;
  return new;
end
$$;
alter function app.leg_of_account() owner to <app>_counter;
revoke execute on function app.leg_of_account() from public;

create trigger wallet_transactions_currency
  before insert on app.wallet_transactions
  for each row execute function app.leg_of_account();

-- Entries that belong to another row (an order, a refund, a referral, a dispute) are not reversed, because that row would
-- still say that they are booked. What has expired, and reversals themselves, are final.
create function app.entry_can_be_reversed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from app.wallet_journals j
    where j.id = new.reverses_id
      and (j.kind in ('purchase', 'refund_credit', 'expiry', 'reversal', 'dispute_taken', 'dispute_won', 'dispute_lost')
        or j.idempotency_key like 'disputed:%' or j.idempotency_key like 'referral:%:revoked')
  ) then
    raise exception 'the entry belongs to another row' using errcode = '23514', constraint = 'wallet_journals_reversible';
  end if;
  return new;
end
$$;
alter function app.entry_can_be_reversed() owner to <app>_counter;
revoke execute on function app.entry_can_be_reversed() from public;

create trigger wallet_journals_reversible
  before insert on app.wallet_journals
  for each row when (new.reverses_id is not null) execute function app.entry_can_be_reversed();

-- Faults of the ledger: a row for each account, journal or hold that contradicts the legs. Must always be empty.
create view app.wallet_faults with (security_invoker = true) as
  select 'unbalanced journal' as fault, 'wallet_journal' as entity_type, t.journal_id as entity_id
  from app.wallet_transactions t group by t.journal_id, t.currency
  having sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end) <> 0
  union all
  select 'journal without legs', 'wallet_journal', j.id from app.wallet_journals j
  where not exists (select from app.wallet_transactions t where t.journal_id = j.id)
  union all
  select 'balance is not the sum of the legs', 'wallet_account', w.id
  from app.wallet_accounts w
  left join (
    select t.wallet_id, sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end) as total,
      count(*) as legs, max(t.seq) as last from app.wallet_transactions t group by t.wallet_id
  ) s on s.wallet_id = w.id
  where w.track_balance
    and (w.balance_cents <> coalesce(s.total, 0) or w.last_seq <> coalesce(s.last, 0) or w.last_seq <> coalesce(s.legs, 0))
  union all
  select 'leg does not follow the one before', 'wallet_account', l.wallet_id
  from (
    select t.wallet_id, t.balance_after_cents,
      sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end) over (partition by t.wallet_id order by t.seq) as running
    from app.wallet_transactions t where t.seq is not null
  ) l where l.balance_after_cents <> l.running
  union all
  select 'held is not the sum of the holds', 'wallet_account', w.id
  from app.wallet_accounts w
  left join (
    select h.wallet_id, sum(h.amount_cents) as total from app.wallet_holds h where h.state = 'pending' group by h.wallet_id
  ) s on s.wallet_id = w.id
  where w.held_cents <> coalesce(s.total, 0)
  union all
  select 'more credits that were given than there are', 'wallet_account', w.id
  from app.wallet_accounts w
  join (
    select c.wallet_id, sum(c.remaining_cents) as total from app.wallet_credits c group by c.wallet_id
  ) s on s.wallet_id = w.id
  where s.total > w.balance_cents
  union all
  select 'given credits are not what was given, spent and given back', 'wallet_credit', c.id
  from app.wallet_credits c
  left join (
    select u.credit_id, sum(u.amount_cents - u.returned_cents) as total from app.wallet_credit_uses u group by 1
  ) u on u.credit_id = c.id
  left join (
    select split_part(j.idempotency_key, ':', 2) as credit_id, sum(t.amount_cents) as total
    from app.wallet_journals j join app.wallet_transactions t on t.journal_id = j.id and t.type = 'debit'
    where j.kind = 'expiry' group by 1
  ) x on x.credit_id = c.id::text
  where c.amount_cents - c.remaining_cents <> coalesce(u.total, 0) + coalesce(x.total, 0)
  union all
  select 'an entry of a member does not say which credits it has spent', 'wallet_journal', t.journal_id
  from app.wallet_transactions t
  join app.wallet_journals j on j.id = t.journal_id
  join app.wallet_accounts w on w.id = t.wallet_id and w.kind = 'user'
  left join (
    select u.journal_id, sum(u.amount_cents) as total from app.wallet_credit_uses u group by 1
  ) u on u.journal_id = t.journal_id
  where t.type = 'debit' and j.kind <> 'expiry' and j.idempotency_key not like 'disputed:%'
  group by t.journal_id, u.total having sum(t.amount_cents) <> coalesce(u.total, 0)
  union all
  select 'less than nothing, or less than is set aside', 'wallet_account', w.id
  from app.wallet_accounts w
  where w.kind in ('user', 'promo_budget') and (w.balance_cents < 0 or w.held_cents not between 0 and w.balance_cents)
  union all
  select 'the accounts of a currency do not add up to zero', 'wallet_account', (array_agg(w.id order by w.id))[1]
  from app.wallet_accounts w
  left join (
    select t.wallet_id, sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end) as total
    from app.wallet_transactions t group by t.wallet_id
  ) s on s.wallet_id = w.id
  group by w.currency
  having sum(case when w.track_balance then w.balance_cents else coalesce(s.total, 0) end) <> 0
  union all
  select 'reversed twice', 'wallet_journal', j.reverses_id
  from app.wallet_journals j where j.reverses_id is not null group by j.reverses_id having count(*) > 1;
alter view app.wallet_faults owner to <app>_counter;

-- All faults in the books. Must be empty at any moment and after every crash. It is in this file because files are read
-- in the order of their names, and the view uses those of the other files.
create view app.money_invariants with (security_invoker = true) as
  select f.fault, f.entity_type, f.entity_id from app.wallet_faults f
  union all
  select f.fault, f.entity_type, f.entity_id from app.ticket_faults f
  union all
  select f.fault, f.entity_type, f.entity_id from app.payment_faults f
  union all
  select f.fault, f.entity_type, f.entity_id from app.promotion_faults f;
alter view app.money_invariants owner to <app>_counter;

-- The views show readers only what they may read; these functions check all rows.
create function app.find_money_faults() returns table(fault text, entity_type text, entity_id uuid)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select f.fault, f.entity_type, f.entity_id from app.ticket_faults f
    union all select f.fault, f.entity_type, f.entity_id from app.payment_faults f
    union all select f.fault, f.entity_type, f.entity_id from app.promotion_faults f;
end
$$;
alter function app.find_money_faults() owner to <app>_counter;
revoke execute on function app.find_money_faults() from public;
grant execute on function app.find_money_faults() to <app>_job;

create function app.find_wallet_faults() returns table(fault text, entity_type text, entity_id uuid)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select f.fault, f.entity_type, f.entity_id from app.wallet_faults f;
end
$$;
alter function app.find_wallet_faults() owner to <app>_counter;
revoke execute on function app.find_wallet_faults() from public;
grant execute on function app.find_wallet_faults() to <app>_job;
