-- What the module `me` exports besides the lists of the API, and erasure by the module `privacy`: removes everything that
-- identifies a member. Rows that others need (orders, tickets, ledger entries, payments, messages of hosts) are kept and
-- refer to a member row without personal data.

-- What the caller has deleted or left, or what was archived along with something else, in the order of ids after `p_after`.
-- It is kept so that it can be restored, and erased with the account; the lists of the API don't show it. Nor do they show
-- notifications that the caller has turned off in the app and gets by mail or push alone.
create function app.archived_of_caller(p_after uuid, p_most int) returns table (id uuid, content jsonb)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_me constant uuid := sec.uid();
begin
  return query
  select x.id, jsonb_build_object('object', x.object, 'id', x.id) || x.content
    || jsonb_build_object('created_at', x.created_at, 'archived_at', x.updated_at)
  from (
    -- Each part ends after a page by itself: otherwise every page would gather all rows that are left.
    (select r.id, 'review', r.created_at, r.updated_at, jsonb_build_object('entity_type', r.entity_type, 'entity_id', r.entity_id,
       'rating', r.rating, 'comment', r.comment, 'reply', r.reply)
     from app.reviews r where r.reviewer_id = v_me and r.status = 'archived' and r.id > p_after order by r.id limit p_most)
    union all
    (select m.id, 'community_member', m.created_at, m.updated_at, jsonb_build_object('community_id', m.community_id, 'role', m.role,
       'state', m.state)
     from app.community_members m where m.user_id = v_me and m.status = 'archived' and m.id > p_after order by m.id limit p_most)
    union all
    (select l.id, 'like', l.created_at, l.updated_at, jsonb_build_object('event_id', l.event_id)
     from app.likes l where l.user_id = v_me and l.status = 'archived' and l.id > p_after order by l.id limit p_most)
    union all
    (select f.id, 'follow', f.created_at, f.updated_at, jsonb_build_object('entity_type', f.entity_type, 'entity_id', f.entity_id)
     from app.follows f where f.follower_id = v_me and f.status = 'archived' and f.id > p_after order by f.id limit p_most)
    union all
    (select m.id, 'media', m.created_at, m.updated_at, jsonb_build_object('alt_text', m.alt_text, 'width', m.width, 'height', m.height,
       'bytes', m.bytes, 'purged_at', m.purged_at)
     from app.media m where m.entity_user_id = v_me and m.status = 'archived' and m.id > p_after order by m.id limit p_most)
    union all
    (select p.id, 'notification_preference', p.created_at, p.updated_at, jsonb_build_object('channel', p.channel, 'type', p.type,
       'enabled', p.enabled, 'quiet_hours', p.quiet_hours)
     from app.notification_preferences p where p.user_id = v_me and p.status = 'archived' and p.id > p_after order by p.id limit p_most)
    union all
    (select d.id, 'device', d.created_at, d.updated_at, jsonb_build_object('platform', d.platform, 'last_seen_at', d.last_seen_at)
     from app.devices d where d.user_id = v_me and d.status = 'archived' and d.id > p_after order by d.id limit p_most)
    union all
    (select w.id, 'waitlist_entry', w.created_at, w.updated_at, jsonb_build_object('event_id', w.event_id,
       'ticket_type_id', w.ticket_type_id, 'state', w.state)
     from app.waitlist_entries w where w.user_id = v_me and w.status = 'archived' and w.id > p_after order by w.id limit p_most)
    union all
    (select a.id, 'role_assignment', a.created_at, a.updated_at, jsonb_build_object('role', a.role, 'scope_type', a.scope_type,
       'scope_id', a.scope_id, 'scope_name', a.scope_name, 'state', a.state)
     from app.role_assignments a where a.user_id = v_me and a.status = 'archived' and a.id > p_after order by a.id limit p_most)
    union all
    (select p.id, 'payment_method', p.created_at, p.updated_at, jsonb_build_object('brand', p.brand, 'last4', p.last4,
       'exp_month', p.exp_month, 'exp_year', p.exp_year)
     from app.payment_methods p where p.user_id = v_me and p.status = 'archived' and p.id > p_after order by p.id limit p_most)
    union all
    (select r.id, 'referral', r.created_at, r.updated_at, jsonb_build_object('state', r.state, 'rewarded_at', r.rewarded_at)
     from app.referrals r where r.referrer_id = v_me and r.status = 'archived' and r.id > p_after order by r.id limit p_most)
    union all
    (select n.id, 'notification', n.created_at, null, jsonb_build_object('type', n.type, 'title', n.title, 'message', n.message,
       'data', n.data, 'event_id', n.event_id)
     from app.notifications n where n.user_id = v_me and not n.in_app and n.id > p_after order by n.id limit p_most)
  ) x(id, object, created_at, updated_at, content)
  order by x.id limit p_most;
end
$$;
alter function app.archived_of_caller(uuid, int) owner to <app>_authz;
revoke execute on function app.archived_of_caller(uuid, int) from public;
grant execute on function app.archived_of_caller(uuid, int) to <app>_app, <app>_job;

-- Stores when an account was closed. The time of its last change would not do, since a closed account changes too, for
-- example when its home city is archived.
create function app.note_closing() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.closed_at := case when new.status = 'archived' then now() end;
  return new;
end
$$;
alter function app.note_closing() owner to <app>_owner;
revoke execute on function app.note_closing() from public;

create trigger users_note_closing before update of status on app.users
  for each row when ((new.status = 'archived') is distinct from (old.status = 'archived')) execute function app.note_closing();

-- Erases one member whose account is closed. Returns the address that the account had, and when it was closed, by which
-- the caller finds texts outside of this schema (jobs and stored answers); no row if there was nothing to erase.
create function app.erase_member(p_user uuid) returns table (email text, closed_at timestamptz)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_email text;
  v_closed timestamptz;
begin
  -- Likes and the like of a member that are still being archived come first.
  select u.email, u.closed_at into v_email, v_closed from app.users u
  where u.id = p_user and u.status = 'archived' and u.erased_at is null and not jobs.is_cascading(p_user)
  for update;
  if not found then
    return;
  end if;
  -- What others were told has the name in it.
  with gone as (
    select d.id from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
    where n.user_id = p_user or n.named_id = p_user
  )
  update app.notification_deliveries d set carrier_id = null from gone where d.carrier_id = gone.id;
  delete from app.notification_deliveries d using app.notifications n
  where n.id = d.notification_id and (n.user_id = p_user or n.named_id = p_user);
  delete from app.notifications n where n.user_id = p_user or n.named_id = p_user;
  -- Since the account was closed its address may have become somebody else's: what is stored under the address, and not
  -- under the member, goes only if it is the member's.
  delete from app.mail_suppressions s
  where s.email = v_email
    and not exists (select from app.users o where o.email = v_email and o.id <> p_user and o.erased_at is null);
  delete from app.sign_ups s where s.email = v_email and s.created_at <= v_closed;
  delete from app.email_tokens t where t.user_id = p_user;
  delete from app.refresh_tokens t using app.sessions s where s.id = t.session_id and s.user_id = p_user;
  delete from app.credentials c where c.user_id = p_user;
  delete from app.calendar_feeds f where f.user_id = p_user;
  delete from app.visits v where v.user_id = p_user;
  update app.sessions s set ip_address = null, user_agent = null, issuer_session = null, revoked_at = coalesce(s.revoked_at, now())
  where s.user_id = p_user;
  update app.external_identities i set subject = 'erased:' || i.id, email = null, unlinked_at = coalesce(i.unlinked_at, now())
  where i.user_id = p_user;
  update app.devices d set push_token = 'erased:' || d.id where d.user_id = p_user;
  update app.payment_methods m set brand = 'erased', last4 = '0000', exp_month = 1, exp_year = 2000 where m.user_id = p_user;
  update app.reviews r set comment = null where r.reviewer_id = p_user;
  -- What a buyer wrote about their own refund; notes of hosts stay.
  update app.refunds r set note = null
  from app.orders o where o.id = r.order_id and o.user_id = p_user and r.requested_by_id = p_user and r.note is not null;
  -- The address from which the member acted, kept for the limits of a network.
  update app.rank_actions a set network = null where a.actor_id = p_user and a.network is not null;
  -- The files of these pictures are deleted by the next run of `media.sweep`.
  update app.media m set alt_text = null, content_hash = repeat('0', 64) where m.entity_user_id = p_user;
  update app.media_uploads m set alt_text = null, sha256 = repeat('0', 64) where m.uploaded_by_id = p_user or m.entity_user_id = p_user;
  update app.users u
  set handle = 'erased_' || substr(replace(p_user::text, '-', ''), 11), display_name = 'Erased member', email = 'erased-' || p_user || '@erased.invalid',
      bio = null, profile_image_url = null, banner_url = null, social_links = null, phone = null, home_city_id = null,
      is_public = false, locale = default, timezone = default, erased_at = now()
  where u.id = p_user;
  return query select v_email, v_closed;
end
$$;
alter function app.erase_member(uuid) owner to <app>_counter;
revoke execute on function app.erase_member(uuid) from public;
grant execute on function app.erase_member(uuid) to <app>_job;
grant select, update, delete on app.notification_deliveries, app.notifications, app.mail_suppressions, app.sign_ups, app.email_tokens, app.refresh_tokens, app.credentials, app.calendar_feeds, app.visits to <app>_counter;
grant select, update on app.sessions, app.external_identities, app.devices, app.payment_methods, app.reviews, app.media, app.media_uploads, app.users to <app>_counter;
grant select on app.orders, app.refunds, app.rank_actions to <app>_counter;
grant update (note) on app.refunds to <app>_counter;
grant update (network) on app.rank_actions to <app>_counter;
