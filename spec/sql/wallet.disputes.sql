-- Money that banks withhold from the platform during disputes: it is taken when a dispute begins, comes back if the
-- dispute is won, and is written off if it is lost.

-- Books the current state of a dispute. It may be called repeatedly: an entry contains only the amount not booked yet,
-- under a key of its own. The caller must have locked the payment, so that calls run one after the other; even without
-- that, the key of an entry is booked only once. A dispute that is first reported as lost is booked as opened before.
create function app.book_dispute(p_dispute uuid, p_state text, p_amount bigint, p_currency text) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_owed uuid;
  v_leg bigint;
  v_booked bigint := 0;
  v_next int := 1;
  v_step record;
begin
  if p_state not in ('needs_response', 'under_review', 'lost')
    and not exists (select from app.wallet_journals j where j.idempotency_key = 'dispute:' || p_dispute || ':1')
  then
    return;
  end if;
  v_owed := app.system_wallet('dispute_receivable', null, null, p_currency);
  loop
    select case t.type when 'credit' then t.amount_cents else -t.amount_cents end into v_leg
    from app.wallet_journals j join app.wallet_transactions t on t.journal_id = j.id and t.wallet_id = v_owed
    where j.idempotency_key = 'dispute:' || p_dispute || ':' || v_next;
    exit when not found;
    v_booked := v_booked + v_leg;
    v_next := v_next + 1;
  end loop;
  for v_step in
    select s.kind, s.amount, s.account from (values
      (1, 'dispute_taken', p_amount, 'platform_cash',
        p_state in ('needs_response', 'under_review') or (p_state = 'lost' and (v_next = 1 or v_booked <> 0))),
      (2, 'dispute_lost', 0, 'dispute_loss', p_state = 'lost'),
      (2, 'dispute_won', 0, 'platform_cash', p_state not in ('needs_response', 'under_review', 'lost'))
    ) s(n, kind, amount, account, is_due)
    where s.is_due order by s.n
  loop
    continue when v_step.amount = v_booked;
    perform app.post_journal(v_step.kind, 'dispute:' || p_dispute || ':' || v_next, 'dispute:' || p_dispute, null, null,
      jsonb_build_array(
        jsonb_build_object('wallet_id', v_owed, 'amount_cents', v_step.amount - v_booked),
        jsonb_build_object('wallet_id', app.system_wallet(v_step.account, null, null, p_currency),
          'amount_cents', v_booked - v_step.amount)));
    v_booked := v_step.amount;
    v_next := v_next + 1;
  end loop;
end
$$;
alter function app.book_dispute(uuid,text,bigint,text) owner to <app>_owner;
revoke execute on function app.book_dispute(uuid,text,bigint,text) from public;
grant execute on function app.book_dispute(uuid,text,bigint,text) to <app>_job;

-- Takes back credits of a member that were paid with money which their bank has returned to them: up to `p_due`, as far
-- as they are not spent. If less is due than before, credits are given back. It may be called repeatedly, since only
-- the difference is booked. The caller must have locked the payment. Returns the total taken back so far.
create function app.claim_credits(p_payment uuid, p_wallet uuid, p_due bigint) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'wallet' as $$
declare
  v_leg bigint;
  v_taken bigint := 0;
  v_next int := 1;
begin
  -- The lock keeps the credits from being spent meanwhile.
  perform from app.wallet_accounts w where w.id = p_wallet for update;
  loop
    select case t.type when 'debit' then t.amount_cents else -t.amount_cents end into v_leg
    from app.wallet_journals j join app.wallet_transactions t on t.journal_id = j.id and t.wallet_id = p_wallet
    where j.idempotency_key = 'disputed:' || p_payment || ':' || v_next;
    exit when not found;
    v_taken := v_taken + v_leg;
    v_next := v_next + 1;
  end loop;
  -- What a card has paid is refunded as credits that are spent last. The unspent part of such refunds is therefore at most
  -- the balance without credits that were given. Those are not taken: they are not the disputed payment's money, and
  -- would no longer expire when given back.
  select least(p_due - v_taken, greatest(least(app.available_credits(p_wallet), w.balance_cents - (
    select coalesce(sum(c.remaining_cents), 0) from app.wallet_credits c where c.wallet_id = w.id)), 0)) into v_leg
  from app.wallet_accounts w where w.id = p_wallet;
  if v_leg <> 0 then
    perform app.post_journal('adjustment', 'disputed:' || p_payment || ':' || v_next, 'payment:' || p_payment, null, null,
      jsonb_build_array(
        jsonb_build_object('wallet_id', p_wallet, 'amount_cents', -v_leg),
        jsonb_build_object('wallet_id', app.system_wallet('platform_cash', null, null,
          (select w.currency from app.wallet_accounts w where w.id = p_wallet)), 'amount_cents', v_leg)));
  end if;
  return v_taken + v_leg;
end
$$;
alter function app.claim_credits(uuid,uuid,bigint) owner to <app>_owner;
revoke execute on function app.claim_credits(uuid,uuid,bigint) from public;
grant execute on function app.claim_credits(uuid,uuid,bigint) to <app>_job;
