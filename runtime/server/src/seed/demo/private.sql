-- Rows that only their owners and administrators see: devices, notification settings, deliveries, referrals, fraud flags, and
-- sign-ups.

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

-- Some members have referred a friend, who has not paid by card yet.
create temporary table demo_reward on commit drop as
select a.n, a.id as referrer_id, b.id as referee_id, c.currency
  from pg_temp.demo_user a
  join pg_temp.demo_user b on b.n = a.n + 8
  join pg_temp.demo_city c on c.n = a.city_n
 where a.n % 10 = 3;

insert into app.referrals (id, referrer_id, referee_id)
select pg_temp.demo_id('referral', n), referrer_id, referee_id from pg_temp.demo_reward;

-- What is decided has somebody who decided it, as `POST /fraud-flags/{id}/dismiss` would store it.
insert into app.fraud_flags (id, entity_type, entity_id, rule, score, evidence, state, decided_at, decided_by_id, note)
select pg_temp.demo_id('flag', row_number() over (order by u.n)), 'user', u.id, 'card_testing', 50 + u.n % 50,
       jsonb_build_object('count', 8 + u.n % 7, 'least', 8), d.state, d.decided_at, d.decided_by_id, d.note
  from pg_temp.demo_user u
  left join app.users p on p.handle = 'paula_platform'
  cross join lateral (
    select 'dismissed' as state, now() as decided_at, p.id as decided_by_id, 'One family, who pays with each other''s cards.' as note
     where u.n % 2 = 0
    union all
    select 'open', null, null, null where u.n % 2 <> 0) d
 where u.n % 67 = 11;

-- A member who signs in through an external issuer, and a sign-up that waits for the confirmation of its mail.
insert into app.external_identities (id, issuer, subject, user_id)
select pg_temp.demo_id('external', 1), 'https://accounts.example.org', 'demonstration-mira', id
  from app.users where handle = 'mira_member';

insert into app.sign_ups (id, token_hash, email, handle, display_name, expires_at)
select pg_temp.demo_id('signup', 1), left(md5('nobody') || md5('knows'), 43), 'newcomer@example.org', 'newcomer', 'New Comer',
       now() + interval '1 day';
