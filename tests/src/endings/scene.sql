-- What operations and jobs are about, made anew for each case: a city with a host, an event with tickets, a business with a lead,
-- and so on. Returns the rows by label: entity, id, and the session of members.
create schema if not exists tests;

create function tests.member(p_label text, p_word text) returns jsonb language plpgsql as $$
declare
  v_id uuid;
  v_session uuid;
begin
  insert into app.users (handle, display_name, email)
  values (p_label || '_' || p_word, p_label || ' ' || p_word, p_label || '_' || p_word || '@example.org') returning id into v_id;
  insert into app.sessions (user_id, expires_at) values (v_id, now() + interval '1 day') returning id into v_session;
  return jsonb_build_object(p_label, jsonb_build_object('entity', 'user', 'id', v_id, 'session', v_session));
end
$$;

create function tests.row(p_label text, p_entity text, p_id uuid) returns jsonb language sql as $$
  select jsonb_build_object(p_label, jsonb_build_object('entity', p_entity, 'id', p_id))
$$;

create function tests.role(p_user uuid, p_role text, p_type text, p_scope uuid) returns uuid language sql as $$
  insert into app.role_assignments (user_id, role, scope_type, scope_id, state)
  values (p_user, p_role, p_type, p_scope, 'accepted') returning id
$$;

-- `p_account`: whether the organisation has an account that is believed to be complete.
create function tests.scene(p_account boolean) returns jsonb language plpgsql as $$
declare
  w text := substr(md5(random()::text || clock_timestamp()::text), 1, 10);
  r jsonb := '{}';
  p jsonb;
  point geography := st_setsrid(st_makepoint(144.9631, -37.8136), 4326)::geography;
  opens timestamptz := now() + interval '30 days';
  v uuid; city uuid; org uuid; community uuid; institution uuid; business uuid; venue uuid;
  event uuid; gathering uuid; off uuid; free uuid; kind uuid;
  request uuid; lead uuid; quote uuid; plan uuid; other_plan uuid; broadcast uuid; flag uuid; place uuid;
begin
  r := r || tests.member('host', w) || tests.member('second', w) || tests.member('buyer', w) || tests.member('friend', w)
    || tests.member('stranger', w) || tests.member('provider', w) || tests.member('city_admin', w) || tests.member('platform', w);
  select jsonb_object_agg(key, value -> 'id') into p from jsonb_each(r);

  insert into app.cities (country_id, name, slug, timezone, location)
  select country_id, 'City ' || w, 'city-' || w, timezone, location from app.cities where slug = 'melbourne' limit 1 returning id into city;
  insert into app.organizations (city_id, name, slug, state) values (city, 'Organization ' || w, 'organization-' || w, 'approved') returning id into org;
  insert into app.communities (city_id, name, slug) values (city, 'Community ' || w, 'community-' || w) returning id into community;
  insert into app.institutions (city_id, name, slug, type) values (city, 'Institution ' || w, 'institution-' || w, 'council') returning id into institution;
  insert into app.businesses (city_id, name, slug, state, category, location)
  values (city, 'Business ' || w, 'business-' || w, 'approved', 'catering', point) returning id into business;
  insert into app.venues (city_id, owner_type, owner_id, name, slug, address, location)
  values (city, 'organization', org, 'Venue ' || w, 'venue-' || w, '1 Main Street', point) returning id into venue;
  r := r || tests.row('city', 'city', city) || tests.row('organization', 'organization', org) || tests.row('community', 'community', community)
    || tests.row('institution', 'institution', institution) || tests.row('business', 'business', business) || tests.row('venue', 'venue', venue);

  -- `second` keeps every profile from losing its last administrator.
  r := r || tests.row('role of the platform', 'role_assignment', tests.role((p ->> 'platform')::uuid, 'platformAdmin', null, null))
    || tests.row('role of the city', 'role_assignment', tests.role((p ->> 'city_admin')::uuid, 'cityAdmin', 'city', city))
    || tests.row('role of the host', 'role_assignment', tests.role((p ->> 'host')::uuid, 'orgAdmin', 'organization', org))
    || tests.row('role in the community', 'role_assignment', tests.role((p ->> 'host')::uuid, 'orgAdmin', 'community', community))
    || tests.row('role in the institution', 'role_assignment', tests.role((p ->> 'host')::uuid, 'orgAdmin', 'institution', institution))
    || tests.row('role of the provider', 'role_assignment', tests.role((p ->> 'provider')::uuid, 'orgAdmin', 'business', business));
  perform tests.role((p ->> 'second')::uuid, 'orgAdmin', 'organization', org), tests.role((p ->> 'second')::uuid, 'orgAdmin', 'community', community),
    tests.role((p ->> 'second')::uuid, 'orgAdmin', 'institution', institution), tests.role((p ->> 'second')::uuid, 'orgAdmin', 'business', business);
  insert into app.community_members (community_id, user_id, added_by_id, state)
  values (community, (p ->> 'buyer')::uuid, (p ->> 'buyer')::uuid, 'active') returning id into v;
  r := r || tests.row('membership', 'community_member', v);
  if p_account then
    insert into app.connected_accounts (owner_type, owner_id, stripe_account_id, country, requirements_due, charges_enabled, payouts_enabled,
      transfers_active)
    values ('organization', org, 'acct_' || w, 'AU', '{}', true, true, true);
  end if;

  insert into app.events (city_id, host_type, host_id, venue_id, title, slug, starts_at, ends_at, timezone, state, featured_until)
  values (city, 'organization', org, venue, 'Event ' || w, 'event-' || w, opens, opens + interval '2 hours', 'Australia/Melbourne', 'published',
    now() + interval '5 days')
  returning id into event;
  insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state, visibility, online_url)
  values (city, 'community', community, 'Gathering ' || w, 'gathering-' || w, opens, opens + interval '2 hours', 'Australia/Melbourne', 'published',
    'community', 'https://example.org/live')
  returning id into gathering;
  insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
  values (city, 'organization', org, 'Off ' || w, 'off-' || w, opens, opens + interval '2 hours', 'Australia/Melbourne', 'cancelled') returning id into off;
  r := r || tests.row('event', 'event', event) || tests.row('gathering', 'event', gathering) || tests.row('called off', 'event', off);
  insert into app.ticket_types (event_id, name, price_cents, currency, capacity, per_user_limit, refundable_until)
  values (event, 'Free ' || w, 0, 'AUD', 50, 100, opens) returning id into free;
  r := r || tests.row('free', 'ticket_type', free);
  insert into app.ticket_types (event_id, name, price_cents, currency, capacity, per_user_limit, refundable_until)
  values (event, 'Seat ' || w, 2500, 'AUD', 50, 100, opens) returning id into kind;
  r := r || tests.row('seat', 'ticket_type', kind);
  insert into app.ticket_types (event_id, name, price_cents, currency, capacity, per_user_limit)
  values (gathering, 'Chair ' || w, 0, 'AUD', 50, 100) returning id into kind;
  r := r || tests.row('chair', 'ticket_type', kind);
  insert into app.checkpoints (event_id, name) values (event, 'Lounge ' || w) returning id into v;
  r := r || tests.row('checkpoint', 'checkpoint', v);
  insert into app.waitlist_entries (event_id, user_id, ticket_type_id) values (event, (p ->> 'friend')::uuid, free) returning id into v;
  r := r || tests.row('entry', 'waitlist_entry', v);
  insert into app.likes (user_id, event_id) values ((p ->> 'friend')::uuid, event);
  insert into app.follows (follower_id, entity_type, entity_id)
  select (p ->> 'friend')::uuid, f.kind, f.id
  from (values ('organization', org), ('business', business), ('venue', venue), ('community', community), ('institution', institution),
    ('user', (p ->> 'stranger')::uuid)) f(kind, id);
  insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
  select (p ->> 'friend')::uuid, f.kind, f.id, 5
  from (values ('organization', org), ('business', business), ('venue', venue), ('community', community)) f(kind, id);
  insert into app.broadcasts (event_id, title, message, created_by_id)
  values (event, 'Broadcast ' || w, 'Bring a coat.', (p ->> 'host')::uuid) returning id into broadcast;
  r := r || tests.row('broadcast', 'broadcast', broadcast);

  insert into app.service_requests (city_id, host_type, host_id, title, category, description)
  values (city, 'organization', org, 'Request ' || w, 'catering', 'For two hundred') returning id into request;
  insert into app.leads (service_request_id, business_id, title, details) values (request, business, 'Lead ' || w, 'For two hundred') returning id into lead;
  insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state, accepted_at, accepted_by_id, fee_cents, fee_paid_by, fee_decided_at)
  values (lead, 100000, 'AUD', 'Half in advance', now() + interval '9 days', 'accepted', now(), (p ->> 'host')::uuid, 5000, 'provider', now())
  returning id into quote;
  r := r || tests.row('request', 'service_request', request) || tests.row('lead', 'lead', lead) || tests.row('quote', 'quote', quote);
  insert into app.featured_places (city_id, slot, day_price_cents, currency, capacity, max_days)
  values (city, 'home', 900, 'AUD', 9, 90) returning id into place;
  insert into app.promotions (target_type, target_id, city_id, slot, starts_at, ends_at, days, amount_cents, currency, pay_by)
  values ('event', event, city, 'home', now() + interval '2 days', now() + interval '4 days', 2, 1800, 'AUD', now() + interval '1 day') returning id into v;
  r := r || tests.row('place', 'featured_place', place) || tests.row('promotion', 'promotion', v);
  insert into app.commission_proposals (city_id, proposed_by_id, type, basis_points, currency, valid_from, reason)
  values (city, (p ->> 'city_admin')::uuid, 'ticket', 450, 'AUD', now() + interval '9 days', 'Small halls') returning id into v;
  r := r || tests.row('proposal', 'commission_proposal', v);
  insert into app.plans (name, price_cents, currency, interval, features, has_reports) values ('Plan ' || w, 1900, 'AUD', 'month', '{}', true) returning id into plan;
  insert into app.plans (name, price_cents, currency, interval, features) values ('Other ' || w, 4900, 'AUD', 'month', '{}') returning id into other_plan;
  r := r || tests.row('plan', 'plan', plan) || tests.row('other plan', 'plan', other_plan);

  insert into app.fraud_flags (rule, score, evidence, entity_type, entity_id) values ('disputed_host', 60, '{}', 'organization', org) returning id into flag;
  r := r || tests.row('flag', 'fraud_flag', flag);
  insert into app.notifications (user_id, event_id, title, message, type, dedupe_key)
  values ((p ->> 'buyer')::uuid, event, 'Told', 'Something', 'system', 'endings:' || w) returning id into v;
  r := r || tests.row('notification', 'notification', v);
  insert into app.stripe_events (stripe_event_id, type, livemode, happened_at, state, error)
  values ('evt_' || w, 'account.updated', false, now(), 'parked', 'A test') returning id into v;
  r := r || tests.row('stripe event', 'stripe_event', v);
  -- Nobody is told of any of this, and nothing is ranked: that would be most of the work of a scene.
  delete from jobs.events e where e.created_at = now();
  delete from jobs.queue q where q.created_at = now();
  return jsonb_build_object('word', w, 'rows', r);
end
$$;
