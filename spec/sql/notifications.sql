-- Database objects of the module `notifications`: who gets what through which channel, and that no reminder is sent for
-- a time that an event no longer has. Which deliveries are due: spec/sql/notifications.due.sql.

-- The preferences of members for a type, by channel; members without any are not included. If several apply, one for
-- the channel takes precedence, then one for the type. Quiet hours come from the first of them that has any.
create function app.choices(p_users uuid[], p_type text) returns table (user_id uuid, channel text, enabled boolean, quiet_hours jsonb)
  language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = 'force_custom_plan' as $$
#variable_conflict use_column
begin
  return query
  select p.user_id, c.channel, (array_agg(p.enabled order by p.channel = 'all', p.type = 'all'))[1],
         (array_agg(p.quiet_hours order by p.channel = 'all', p.type = 'all') filter (where p.quiet_hours is not null))[1]
  from app.notification_preferences p
  join unnest(array['in_app', 'push', 'email']) c(channel) on p.channel in (c.channel, 'all')
  where p.user_id = any(p_users) and p.status = 'active' and p.type in (p_type, 'all')
  group by p.user_id, c.channel;
end
$$;
alter function app.choices(uuid[], text) owner to <app>_owner;
revoke execute on function app.choices(uuid[], text) from public;
grant execute on function app.choices(uuid[], text) to <app>_job;

-- The end of the quiet hours that contain this time, in the local time of a zone; null if it is outside of them. Quiet
-- hours whose start is later than their end span midnight. If their end is a local time that is skipped, they end as
-- much later; if it occurs twice, the second occurrence counts.
create function app.quiet_until(p_at timestamptz, p_zone text, p_hours jsonb) returns timestamptz
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_local timestamp := p_at at time zone p_zone;
  v_starts time := (p_hours ->> 'starts')::time;
  v_ends time := (p_hours ->> 'ends')::time;
  v_date date := v_local::date;
begin
  if v_starts is null or v_starts = v_ends then
    return null;
  elsif v_starts < v_ends then
    if v_local::time < v_starts or v_local::time >= v_ends then
      return null;
    end if;
  elsif v_local::time >= v_starts then
    v_date := v_date + 1;
  elsif v_local::time >= v_ends then
    return null;
  end if;
  return greatest((v_date + v_ends) at time zone p_zone, p_at);
end
$$;
alter function app.quiet_until(timestamptz, text, jsonb) owner to <app>_owner;
revoke execute on function app.quiet_until(timestamptz, text, jsonb) from public;
grant execute on function app.quiet_until(timestamptz, text, jsonb) to <app>_job;

-- Locks the digest windows of these members until the transaction ends: of two transactions that notify the same
-- member, the second sees the window that the first has opened. Members share sixty-four locks that are taken in a
-- fixed order, so that a large audience needs no more locks than that, and there is no deadlock. A transaction that
-- sends several notifications must first lock the windows of all their members.
create function app.hold_windows(p_users uuid[]) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_lane int;
begin
  for v_lane in select distinct hashtext(u.id::text) & 63 from unnest(p_users) u(id) order by 1 loop
    perform pg_advisory_xact_lock(hashtext('notifications:digest'), v_lane);
  end loop;
end
$$;
alter function app.hold_windows(uuid[]) owner to <app>_owner;
revoke execute on function app.hold_windows(uuid[]) from public;
grant execute on function app.hold_windows(uuid[]) to <app>_job;

-- Notifies members: inserts a row for each, and a delivery for each channel that they want. `p_texts` gives, for each
-- member, the index of their text in `p_titles` and `p_messages`; `p_pushes` and `p_emails` replace it for these
-- channels where not empty. Members who have been notified with this key already are skipped. Returns the number of
-- notified members.
--
-- The statement is planned anew each time, because only the values show how many members there are: a plan for ten of
-- them compares each member with each text. `execute` does that for this statement only; a setting of the function
-- would also replan every foreign key check of every row.
create function app.notify(p_type text, p_channels text[], p_always text[], p_urgent boolean, p_digest interval, p_key text, p_data jsonb, p_event uuid, p_expires timestamptz, p_users uuid[], p_texts int[], p_titles text[], p_messages text[], p_pushes text[], p_emails text[]) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_told bigint;
begin
  if p_digest is not null then
    perform app.hold_windows(p_users);
  end if;
  execute $statement$
    with choices as (
      select c.* from app.choices($10, $1) c
    ), readers as materialized (
      select u.id, r.text, u.timezone from unnest($10, $11) r(id, text) join app.users u on u.id = r.id and u.status = 'active'
    ), told as (
      insert into app.notifications (user_id, type, title, message, data, dedupe_key, event_id, named_id, in_app, changed_in)
      select r.id, $1, $12[r.text], $13[r.text], $7, $6, $8, ($7 ->> 'user')::uuid,
             'in_app' = any($3) or coalesce(chosen.enabled, 'in_app' = any($2)), pg_current_xact_id()::text::bigint
      from readers r
      left join choices chosen on chosen.user_id = r.id and chosen.channel = 'in_app'
      on conflict do nothing
      returning id, user_id
    ), ways as (
      select t.id, t.user_id, 'email' as channel, null::uuid as device_id from told t
      union all
      select t.id, t.user_id, 'push', d.id
      from told t
      -- Looked up for each member: as a join, all devices would be read for each thousand members. The status is compared
      -- afterwards, so that only the index by member can be used for it.
      cross join lateral (select d.id, d.status from app.devices d where d.user_id = t.user_id offset 0) d
      where d.status = 'active'
    ), wanted as (
      select w.id, w.user_id, w.channel, w.device_id, w.channel = any($3) as required, r.timezone, chosen.quiet_hours,
             $5 is not null and w.channel = 'email' as digest,
             case w.channel when 'email' then $15[r.text] else $14[r.text] end as wording
      from ways w join readers r on r.id = w.user_id
      left join choices chosen on chosen.user_id = w.user_id and chosen.channel = w.channel
      where w.channel = any($3) or coalesce(chosen.enabled, w.channel = any($2))
    ), near as (
      -- Asked once, so that of most messages `app.begins_soon` is not asked for each guest.
      select $1 = 'event_changed'
               and (s.reminded_revision > 0 or e.starts_at between now() - interval '3 hours' and now() + interval '3 hours') as so,
             -- An offer of a ticket is of use until it lapses.
             case when $1 = 'ticket' then $9 when e.starts_at > now() then e.starts_at when e.ends_at > now() then e.ends_at end as useful_until
      from (values (1)) one
      left join app.events e on $1 in ('event_changed', 'broadcast') and e.id = $8
      left join app.event_schedules s on s.event_id = e.id
    ), delivered as (
      insert into app.notification_deliveries
        (notification_id, user_id, channel, device_id, urgent, required, digest, carrier_id, expires_at, wording, next_attempt_at)
      select w.id, w.user_id, w.channel, w.device_id, haste.urgent, w.required, w.digest, carrier.id, $9, w.wording,
             case when haste.urgent then due.at else coalesce(quiet.until, due.at) end
      from wanted w cross join near
      left join lateral (
        select d.id from app.notification_deliveries d
        where w.digest and d.user_id = w.user_id and d.channel = 'email' and d.state = 'pending' and d.digest and d.carrier_id is null
          and d.attempts = 0
        order by d.id limit 1 for update
      ) carrier on true
      cross join lateral (
        select now() + case
          when w.digest then $5
          -- Of announcements only those that are told anew, with another time.
          when $1 = 'event_changed' or $1 = 'new_event' and $6 like 'event_published:%:%'
            then coalesce(app.wait_of_change($7 ->> 'message', $8, w.user_id), interval '0')
          else interval '0'
        end as at
        offset 0 -- Computed once, and not wherever it is used.
      ) due
      cross join lateral (select case when w.quiet_hours is not null then app.quiet_until(due.at, w.timezone, w.quiet_hours) end offset 0) quiet(until)
      -- What guests hear of in the morning after the event has begun, or is over, is of no use to them.
      cross join lateral (
        select $4 or coalesce(quiet.until >= near.useful_until, false)
          or case when near.so then app.begins_soon($8, w.user_id) else false end
        offset 0
      ) haste(urgent)
      returning notification_id
    )
    select count(*) from told
  $statement$ into v_told
  using p_type, p_channels, p_always, p_urgent, p_digest, p_key, p_data, p_event, p_expires, p_users, p_texts, p_titles, p_messages, p_pushes, p_emails;
  return v_told;
end
$$;
alter function app.notify(text, text[], text[], boolean, interval, text, jsonb, uuid, timestamptz, uuid[], int[], text[], text[], text[], text[]) owner to <app>_owner;
revoke execute on function app.notify(text, text[], text[], boolean, interval, text, jsonb, uuid, timestamptz, uuid[], int[], text[], text[], text[], text[]) from public;
grant execute on function app.notify(text, text[], text[], boolean, interval, text, jsonb, uuid, timestamptz, uuid[], int[], text[], text[], text[], text[]) to <app>_job;

-- Drops pending reminders in the same transaction that moves an event, or that cancels, unpublishes, suspends or
-- archives it, and stores when it was cancelled: the event's `updated_at` also changes afterwards.
create function app.reschedule_event() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (new.starts_at, new.ends_at, new.timezone) is distinct from (old.starts_at, old.ends_at, old.timezone) then
    insert into app.event_schedules as s (event_id, revision) values (new.id, 2)
    on conflict (event_id) do update set revision = s.revision + 1;
  end if;
  if new.state = 'cancelled' and old.state <> 'cancelled' then
    insert into app.event_schedules as s (event_id, cancelled_at) values (new.id, now())
    on conflict (event_id) do update set cancelled_at = excluded.cancelled_at;
  end if;
  update app.notification_deliveries d
  set state = 'dropped', error = 'the event has another time, or none', settled_at = now()
  from app.notifications n
  where n.event_id = new.id and n.type = 'event_reminder' and d.notification_id = n.id and d.state = 'pending';
  return null;
end
$$;
alter function app.reschedule_event() owner to <app>_counter;
revoke execute on function app.reschedule_event() from public;
grant select, insert, update on app.event_schedules to <app>_counter;
grant select on app.notifications, app.notification_deliveries to <app>_counter;
grant update (state, error, settled_at) on app.notification_deliveries to <app>_counter;

create trigger events_reschedule
  after update of starts_at, ends_at, timezone, state, status on app.events
  for each row when (
    (new.starts_at, new.ends_at, new.timezone) is distinct from (old.starts_at, old.ends_at, old.timezone)
    or (new.state in ('cancelled', 'draft') or new.status <> 'active') and (new.state, new.status) is distinct from (old.state, old.status))
  execute function app.reschedule_event();

-- A member who has reported a mail as spam is sent none any more, and is again after turning mail on.
create function app.wants_mail_again() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from app.mail_suppressions s
  where s.reason = 'complained' and s.email = (select u.email from app.users u where u.id = new.user_id);
  return null;
end
$$;
alter function app.wants_mail_again() owner to <app>_counter;
revoke execute on function app.wants_mail_again() from public;

create trigger notification_preferences_want_mail after insert or update of enabled, status on app.notification_preferences
  for each row when (new.enabled and new.status = 'active' and new.channel in ('email', 'all'))
  execute function app.wants_mail_again();

-- Forgets that mail to this address came back, because a link in such a mail was opened. Whoever reported a mail as spam
-- is sent none until they turn mail on.
create function app.mail_arrived(p_email text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from app.mail_suppressions s where s.email = lower(p_email) and s.reason = 'bounced';
end
$$;
alter function app.mail_arrived(text) owner to <app>_counter;
revoke execute on function app.mail_arrived(text) from public;
grant execute on function app.mail_arrived(text) to <app>_job;

-- The name of a city, profile, venue or event.
create function app.name_of(p_id uuid) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select x.name from app.cities x where x.id = p_id
    union all select x.name from app.organizations x where x.id = p_id
    union all select x.name from app.communities x where x.id = p_id
    union all select x.name from app.businesses x where x.id = p_id
    union all select x.name from app.institutions x where x.id = p_id
    union all select x.name from app.venues x where x.id = p_id
    union all select x.title from app.events x where x.id = p_id
    limit 1
  );
end
$$;
alter function app.name_of(uuid) owner to <app>_owner;
revoke execute on function app.name_of(uuid) from public;
grant execute on function app.name_of(uuid) to <app>_authz, <app>_job;

-- The name and address of an event's venue for messages, which everybody who is told of the event may read: of a public
-- venue, or of a community that invites its members to its own. Null for others, as for events without a venue.
create function app.place_to_name(p_event uuid) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select coalesce(v.name || ', ' || v.address, v.name)
    from app.events e join app.venues v on v.id = e.venue_id and v.status = 'active'
    where e.id = p_event
      and ((select true from app.venues_public p where p.id = v.id) or e.visibility = 'community' and v.owner_id = e.host_id)
  );
end
$$;
alter function app.place_to_name(uuid) owner to <app>_authz;
revoke execute on function app.place_to_name(uuid) from public;
grant execute on function app.place_to_name(uuid) to <app>_job;

-- The members with a role for a city, a profile, a venue (or its owner) or an event (or its host).
create function app.admins_of(p_id uuid) returns uuid[]
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return array(
    select r.user_id from app.role_assignments r
    where r.role <> 'platformAdmin' and r.state = 'accepted' and r.status = 'active'
      and r.scope_id in (p_id, (select v.owner_id from app.venues v where v.id = p_id), (select e.host_id from app.events e where e.id = p_id)));
end
$$;
alter function app.admins_of(uuid) owner to <app>_owner;
revoke execute on function app.admins_of(uuid) from public;
grant execute on function app.admins_of(uuid) to <app>_job;

-- Deletes old notifications with their deliveries, at most `p_most`. Returns the number of notifications deleted.
create function app.purge_notifications(p_before timestamptz, p_most int) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_old uuid[] := array(select n.id from app.notifications n where n.created_at < p_before order by n.created_at limit p_most);
begin
  delete from app.notification_deliveries d
  where d.notification_id = any(v_old)
    or d.carrier_id in (select c.id from app.notification_deliveries c where c.notification_id = any(v_old));
  delete from app.notifications n where n.id = any(v_old);
  return cardinality(v_old);
end
$$;
alter function app.purge_notifications(timestamptz, int) owner to <app>_counter;
revoke execute on function app.purge_notifications(timestamptz, int) from public;
grant execute on function app.purge_notifications(timestamptz, int) to <app>_job;
grant delete on app.notifications, app.notification_deliveries to <app>_counter;

-- Whether a host is visible to everybody or, for a private community, to all of its members.
create function app.is_shown(p_host uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.organizations x where x.id = p_host and x.state = 'approved' and x.status = 'active')
    or exists (select from app.businesses x where x.id = p_host and x.state = 'approved' and x.status = 'active')
    or exists (select from app.communities x where x.id = p_host and x.status = 'active')
    or exists (select from app.institutions x where x.id = p_host and x.status = 'active');
end
$$;
alter function app.is_shown(uuid) owner to <app>_owner;
revoke execute on function app.is_shown(uuid) from public;
grant execute on function app.is_shown(uuid) to <app>_authz, <app>_job;

-- Whether a host is neither suspended, archived nor rejected, so that something new may be sold or asked in its name. It may
-- still wait for approval.
create function app.host_is_live(p_host uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.organizations x where x.id = p_host and not x.was_rejected and x.state <> 'rejected' and x.status = 'active')
    or exists (select from app.businesses x where x.id = p_host and not x.was_rejected and x.state <> 'rejected' and x.status = 'active')
    or exists (select from app.communities x where x.id = p_host and x.status = 'active')
    or exists (select from app.institutions x where x.id = p_host and x.status = 'active');
end
$$;
alter function app.host_is_live(uuid) owner to <app>_owner;
revoke execute on function app.host_is_live(uuid) from public;
grant execute on function app.host_is_live(uuid) to <app>_authz, <app>_job;

-- When the guests of an event are reminded: 24 hours before its start, or (`p_wall`) at the same local time of the day
-- before.
create function app.reminder_due(p_starts timestamptz, p_zone text, p_wall boolean) returns timestamptz
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return case when p_wall then (p_starts at time zone p_zone - interval '1 day') at time zone p_zone else p_starts - interval '24 hours' end;
end
$$;
alter function app.reminder_due(timestamptz, text, boolean) owner to <app>_owner;
revoke execute on function app.reminder_due(timestamptz, text, boolean) from public;
grant execute on function app.reminder_due(timestamptz, text, boolean) to <app>_job;

-- Stores the transaction that created or changed a notification. Together with a snapshot it shows streams which
-- changes they have not sent yet; the order of the numbers alone doesn't say when a change became visible.
create function app.mark_notification() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.changed_in := pg_current_xact_id()::text::bigint;
  return new;
end
$$;
alter function app.mark_notification() owner to <app>_owner;
revoke execute on function app.mark_notification() from public;

-- Statements that change many rows set the number themselves: the function would be called for each of them.
create trigger notifications_mark
  before insert or update of is_read on app.notifications
  for each row when (new.changed_in <> pg_current_xact_id()::text::bigint) execute function app.mark_notification();

-- Notifications that have become visible since a snapshot: for each of these members at most `p_most`, the oldest
-- change first, and the number of unread ones. Each row contains the snapshot for the next call; if nothing is new,
-- there is one row with nothing else. Transaction numbers of another cluster, from whose dump this database may have
-- been restored, are beyond those of this cluster and are left out.
--
-- Planned anew each time, because only the values show how few changes are new.
create function app.notification_news(p_since text, p_users uuid[], p_most int) returns table (seen text, member uuid, ids uuid[], marks bigint[], unread bigint)
  language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = 'force_custom_plan' as $$
begin
  return query
  with now as materialized (
    select pg_current_snapshot() as snapshot
  ), changed as (
    select n.user_id, n.id, n.changed_in
    from app.notifications n
    where n.changed_in >= pg_snapshot_xmin(p_since::pg_snapshot)::text::bigint
      and n.changed_in < (select pg_snapshot_xmax(now.snapshot)::text::bigint from now)
      and not pg_visible_in_snapshot(n.changed_in::text::xid8, p_since::pg_snapshot)
      and n.user_id = any(p_users) and n.in_app
  ), members as (
    select c.user_id, (array_agg(c.id order by c.changed_in, c.id))[:p_most] as ids,
           (array_agg(c.changed_in order by c.changed_in, c.id))[:p_most] as marks
    from changed c group by c.user_id
  )
  select now.snapshot::text, m.user_id, m.ids, m.marks,
         (select count(*) from app.notifications u where u.user_id = m.user_id and not u.is_read and u.in_app)
  from now left join members m on true;
end
$$;
alter function app.notification_news(text, uuid[], int) owner to <app>_owner;
revoke execute on function app.notification_news(text, uuid[], int) from public;
grant execute on function app.notification_news(text, uuid[], int) to <app>_job;
