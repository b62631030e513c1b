-- Referred friends have bought something, and the referrers have been rewarded with 5.00 of their currency.

update app.referrals set state = 'rewarded', rewarded_at = now() - interval '20 days';

-- Each reward is one journal with two legs: from the budget for promotions to the member's wallet.
insert into app.wallet_accounts (id, user_id, kind, currency, balance_cents, last_seq)
select pg_temp.demo_id('wallet', n), referrer_id, 'user', currency, 500, 1 from pg_temp.demo_reward;

-- The budget was funded first, from the platform's own account, which is too busy to keep a balance.
create temporary table demo_budget on commit drop as
select row_number() over (order by currency) as n, currency, count(*) as rewards from pg_temp.demo_reward group by currency;

insert into app.wallet_accounts (id, kind, currency, balance_cents, last_seq, track_balance)
select pg_temp.demo_id('budget', n), 'promo_budget', currency, 100000 - 500 * rewards, 1 + rewards, true from pg_temp.demo_budget
union all
select pg_temp.demo_id('cash', n), 'platform_cash', currency, 0, 0, false from pg_temp.demo_budget;

insert into app.wallet_journals (id, kind, idempotency_key, reference, event_at)
select pg_temp.demo_id('funding', n), 'funding', 'demonstration:funding:' || currency, 'Rewards of the first year', now() - interval '30 days'
  from pg_temp.demo_budget
union all
select pg_temp.demo_id('journal', n), 'referral_reward', 'demonstration:reward:' || n, 'referral', now() - interval '20 days'
  from pg_temp.demo_reward;

insert into app.wallet_transactions (id, wallet_id, journal_id, kind, type, amount_cents, currency, reference, seq, balance_after_cents)
select pg_temp.demo_id('funding-leg', n * 2), pg_temp.demo_id('budget', n), pg_temp.demo_id('funding', n), 'funding', 'credit', 100000, currency,
       'Rewards of the first year', 1, 100000
  from pg_temp.demo_budget
union all
select pg_temp.demo_id('funding-leg', n * 2 + 1), pg_temp.demo_id('cash', n), pg_temp.demo_id('funding', n), 'funding', 'debit', 100000, currency,
       'Rewards of the first year', null, null
  from pg_temp.demo_budget
union all
select pg_temp.demo_id('leg', r.n * 2), pg_temp.demo_id('wallet', r.n), pg_temp.demo_id('journal', r.n), 'referral_reward', 'credit', 500, r.currency,
       'Thank you for bringing a friend', 1, 500
  from pg_temp.demo_reward r
union all
select pg_temp.demo_id('leg', r.n * 2 + 1), pg_temp.demo_id('budget', b.n), pg_temp.demo_id('journal', r.n), 'referral_reward', 'debit', 500, r.currency,
       'Referral reward', 1 + row_number() over (partition by r.currency order by r.n),
       100000 - 500 * row_number() over (partition by r.currency order by r.n)
  from pg_temp.demo_reward r
  join pg_temp.demo_budget b on b.currency = r.currency;

insert into app.wallet_credits (id, wallet_id, journal_id, amount_cents, remaining_cents, currency, expires_at)
select pg_temp.demo_id('credit', n), pg_temp.demo_id('wallet', n), pg_temp.demo_id('journal', n), 500, 500, currency,
       now() + interval '345 days'
  from pg_temp.demo_reward;

-- One referrer is about to spend a part of the reward, which is held.
insert into app.wallet_holds (id, wallet_id, amount_cents, currency, reference, expires_at)
select pg_temp.demo_id('hold', n), pg_temp.demo_id('wallet', n), 200, currency, 'order', now() + interval '10 minutes'
  from pg_temp.demo_reward where n = 3;
update app.wallet_accounts set held_cents = 200 where id = pg_temp.demo_id('wallet', 3);
