-- What members keep to themselves: devices, cards, credit. And what is done about odd things.

insert into app.devices (id, user_id, platform, push_token, last_seen_at)
select pg_temp.demo_id('device', m.n), m.id, (array['ios', 'android', 'web'])[1 + m.n % 3], 'demonstration-' || md5('device' || m.n),
       now() - (pg_temp.chance('seen' || m.n) % 200) * interval '1 hour'
  from pg_temp.demo_member m
 where m.n % 4 = 0 or m.n > 1000;

insert into app.notification_preferences (id, user_id, channel, type, enabled, quiet_hours)
select pg_temp.demo_id('preference', m.n * 10 + p.n), m.id, p.channel, p.type, p.enabled, p.quiet::jsonb
  from pg_temp.demo_member m
  join (values (1, 'push', 'all', true, '{"starts": "22:00", "ends": "08:00"}'), (2, 'email', 'promotion', false, null))
    p(n, channel, type, enabled, quiet) on true
 where m.n % 12 = 0 or m.n > 1000;

insert into app.notification_deliveries (id, notification_id, user_id, channel, state, attempts, settled_at)
select pg_temp.demo_id('delivery', row_number() over (order by n.id)), n.id, n.user_id, 'email', 'sent', 1, n.created_at from app.notifications n;

-- Some brought a friend, and got five of their currency for it.
create temporary table demo_reward on commit drop as
select a.n, a.id as referrer_id, b.id as referee_id, c.currency
  from pg_temp.demo_user a
  join pg_temp.demo_user b on b.n = a.n + 8
  join pg_temp.demo_city c on c.n = a.city_n
 where a.n % 10 = 3;

insert into app.referrals (id, referrer_id, referee_id, state, rewarded_at)
select pg_temp.demo_id('referral', n), referrer_id, referee_id, 'rewarded', now() - interval '20 days' from pg_temp.demo_reward;

-- Each reward is one journal with two legs: out of the budget for promotions, into the member's wallet.
insert into app.wallet_accounts (id, user_id, kind, currency, balance_cents, last_seq)
select pg_temp.demo_id('wallet', n), referrer_id, 'user', currency, 500, 1 from pg_temp.demo_reward;

-- The budget was filled first, out of the platform's own money, whose busy account keeps no balance.
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

insert into app.wallet_transactions (id, wallet_id, journal_id, type, amount_cents, currency, reference, seq, balance_after_cents)
select pg_temp.demo_id('funding-leg', n * 2), pg_temp.demo_id('budget', n), pg_temp.demo_id('funding', n), 'credit', 100000, currency,
       'Rewards of the first year', 1, 100000
  from pg_temp.demo_budget
union all
select pg_temp.demo_id('funding-leg', n * 2 + 1), pg_temp.demo_id('cash', n), pg_temp.demo_id('funding', n), 'debit', 100000, currency,
       'Rewards of the first year', null, null
  from pg_temp.demo_budget
union all
select pg_temp.demo_id('leg', r.n * 2), pg_temp.demo_id('wallet', r.n), pg_temp.demo_id('journal', r.n), 'credit', 500, r.currency,
       'Thank you for bringing a friend', 1, 500
  from pg_temp.demo_reward r
union all
select pg_temp.demo_id('leg', r.n * 2 + 1), pg_temp.demo_id('budget', b.n), pg_temp.demo_id('journal', r.n), 'debit', 500, r.currency,
       'Referral reward', 1 + row_number() over (partition by r.currency order by r.n),
       100000 - 500 * row_number() over (partition by r.currency order by r.n)
  from pg_temp.demo_reward r
  join pg_temp.demo_budget b on b.currency = r.currency;

insert into app.wallet_credits (id, wallet_id, journal_id, amount_cents, remaining_cents, currency, expires_at)
select pg_temp.demo_id('credit', n), pg_temp.demo_id('wallet', n), pg_temp.demo_id('journal', n), 500, 500, currency,
       now() + interval '345 days'
  from pg_temp.demo_reward;

-- One of them is about to spend some of it.
insert into app.wallet_holds (id, wallet_id, amount_cents, currency, reference, expires_at)
select pg_temp.demo_id('hold', n), pg_temp.demo_id('wallet', n), 200, currency, 'order', now() + interval '10 minutes'
  from pg_temp.demo_reward where n = 3;
update app.wallet_accounts set held_cents = 200 where id = pg_temp.demo_id('wallet', 3);

insert into app.fraud_flags (id, entity_type, entity_id, rule, score, evidence, state)
select pg_temp.demo_id('flag', row_number() over (order by u.n)), 'user', u.id, 'card_testing', 50 + u.n % 50,
       jsonb_build_object('count', 8 + u.n % 7, 'least', 8), case when u.n % 2 = 0 then 'dismissed' else 'open' end
  from pg_temp.demo_user u where u.n % 67 = 11;

-- Signing in: somebody through an issuer, somebody whose mail still waits to be opened.
insert into app.external_identities (id, issuer, subject, user_id)
select pg_temp.demo_id('external', 1), 'https://accounts.example.org', 'demonstration-mira', id
  from app.users where handle = 'mira_member';

insert into app.sign_ups (id, token_hash, email, handle, display_name, expires_at)
select pg_temp.demo_id('signup', 1), left(md5('nobody') || md5('knows'), 43), 'newcomer@example.org', 'newcomer', 'New Comer',
       now() + interval '1 day';
