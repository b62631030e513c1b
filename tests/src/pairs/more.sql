-- Rows of entities of which `endings/scene.sql` has none, or none with a label.
create function tests.more(p jsonb, w text) returns jsonb language plpgsql as $$
declare
  r jsonb := '{}';
  v uuid;
  event uuid := (p ->> 'event')::uuid;
  org uuid := (p ->> 'organization')::uuid;
begin
  insert into app.promo_codes (event_id, code, basis_points) values (event, upper('CODE' || w), 1000) returning id into v;
  r := r || tests.row('promo code', 'promo_code', v);
  insert into app.devices (platform, push_token, user_id, session_id)
  select 'ios', 'token of ' || w, s.user_id, s.id from app.sessions s where s.user_id = (p ->> 'friend')::uuid returning id into v;
  r := r || tests.row('device', 'device', v);
  insert into app.notification_preferences (channel, type, user_id) values ('push', 'all', (p ->> 'friend')::uuid) returning id into v;
  r := r || tests.row('preference', 'notification_preference', v);
  insert into app.grant_announcements (institution_id, title, description, opens_at, closes_at)
  values ((p ->> 'institution')::uuid, 'Grant ' || w, 'For choirs', now(), now() + interval '30 days') returning id into v;
  r := r || tests.row('grant', 'grant_announcement', v);
  insert into app.checkpoint_ticket_types (checkpoint_id, ticket_type_id, event_id)
  values ((p ->> 'checkpoint')::uuid, (p ->> 'free')::uuid, event) returning id into v;
  r := r || tests.row('assignment', 'checkpoint_ticket_type', v);
  insert into app.media (entity_type, entity_id, url, medium_url, small_url, storage_key, width, height, bytes, content_hash)
  select 'event', event, u, u, u, k, 1600, 1067, 250000, md5(w) || md5(w)
  from (select k, 'https://media.example.org/' || k as u from (select gen_random_uuid() as k) x) y returning id into v;
  r := r || tests.row('picture', 'media', v);
  select id into v from app.likes where event_id = event;
  r := r || tests.row('like', 'like', v);
  select id into v from app.follows where entity_id = org;
  r := r || tests.row('follow', 'follow', v);
  select id into v from app.reviews where entity_id = org;
  r := r || tests.row('review', 'review', v);
  insert into app.role_assignments (user_id, role, scope_type, scope_id, granted_by_id)
  values ((p ->> 'stranger')::uuid, 'orgAdmin', 'organization', org, (p ->> 'second')::uuid) returning id into v;
  r := r || tests.row('offer of a role', 'role_assignment', v);
  insert into app.community_members (community_id, user_id, added_by_id)
  values ((p ->> 'community')::uuid, (p ->> 'stranger')::uuid, (p ->> 'host')::uuid) returning id into v;
  r := r || tests.row('invitation', 'community_member', v);
  delete from jobs.events e where e.created_at = now();
  delete from jobs.queue q where q.created_at = now();
  return r;
end
$$;

-- No job runs: what it did, and when, would be left to chance.
create function tests.hold_back() returns trigger language plpgsql as $$
begin
  new.run_at := 'infinity';
  return new;
end
$$;
create trigger hold_back before insert on jobs.queue for each row execute function tests.hold_back();
create function tests.tell_nobody() returns trigger language plpgsql as $$
begin
  new.relayed_at := now();
  return new;
end
$$;
create trigger tell_nobody before insert on jobs.events for each row execute function tests.tell_nobody();
