-- Database objects of the module `notifications`: who gets what through which channel, which deliveries are due, and
-- that no reminder is sent for a time that an event no longer has.

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
    ), told as (
      insert into app.notifications (user_id, type, title, message, data, dedupe_key, event_id, named_id, in_app)
      select u.id, $1, $12[r.text], $13[r.text], $7, $6, $8, ($7 ->> 'user')::uuid,
             'in_app' = any($3) or coalesce(chosen.enabled, 'in_app' = any($2))
      from unnest($10, $11) r(id, text)
      join app.users u on u.id = r.id and u.status = 'active'
      left join choices chosen on chosen.user_id = u.id and chosen.channel = 'in_app'
      on conflict do nothing
      returning id, user_id
    ), ways as (
      select t.id, t.user_id, 'email' as channel, null::uuid as device_id from told t
      union all
      select t.id, t.user_id, 'push', d.id from told t join app.devices d on d.user_id = t.user_id and d.status = 'active'
    ), wanted as (
      select w.id, w.user_id, w.channel, w.device_id, w.channel = any($3) as required, u.timezone, chosen.quiet_hours,
             $5 is not null and w.channel = 'email' as digest,
             case w.channel when 'email' then $15[r.text] else $14[r.text] end as wording
      from ways w join app.users u on u.id = w.user_id
      join unnest($10, $11) r(id, text) on r.id = w.user_id
      left join choices chosen on chosen.user_id = w.user_id and chosen.channel = w.channel
      where w.channel = any($3) or coalesce(chosen.enabled, w.channel = any($2))
    ), delivered as (
      insert into app.notification_deliveries
        (notification_id, user_id, channel, device_id, urgent, required, digest, carrier_id, expires_at, wording, next_attempt_at)
      select w.id, w.user_id, w.channel, w.device_id, $4, w.required, w.digest, carrier.id, $9, w.wording,
             case when $4 then due.at else coalesce(app.quiet_until(due.at, w.timezone, w.quiet_hours), due.at) end
      from wanted w
      left join lateral (
        select d.id from app.notification_deliveries d
        where w.digest and d.user_id = w.user_id and d.channel = 'email' and d.state = 'pending' and d.digest and d.carrier_id is null
          and d.attempts = 0
        order by d.id limit 1 for update
      ) carrier on true
      cross join lateral (select now() + case when w.digest then $5 else interval '0' end as at) due
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

-- Whether a reminder is still valid: the event takes place at the time for which the reminder was made, and the member
-- has a valid ticket.
create function app.reminder_holds(p_event uuid, p_user uuid, p_key text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.events e
    left join app.event_schedules s on s.event_id = e.id
    where e.id = p_event and e.status = 'active' and e.state = 'published' and e.starts_at > now()
      and p_key = 'event_soon:' || e.id || ':' || coalesce(s.revision, 1)
      and exists (select from app.tickets t where t.event_id = e.id and t.holder_id = p_user and t.state = 'valid'));
end
$$;
alter function app.reminder_holds(uuid, uuid, text) owner to <app>_owner;
revoke execute on function app.reminder_holds(uuid, uuid, text) from public;
grant execute on function app.reminder_holds(uuid, uuid, text) to <app>_job;

-- Whether a message that asks for something, or quotes what another member wrote, is still true: its object exists in
-- the state that the message tells of. Messages about past events stay true and are not checked here.
-- `app.delivery_obstacles` checks messages to many recipients in its own statement.
create function app.message_holds(p_message text, p_data jsonb, p_user uuid, p_named uuid, p_key text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  case p_message
    when 'community_invited', 'community_asked' then
      return exists (
        select from app.community_members m join app.communities c on c.id = m.community_id
        where m.id = (p_data ->> 'community_member')::uuid and m.status = 'active' and m.state = 'pending' and c.status = 'active');
    when 'community_joined' then
      return exists (
        select from app.community_members m join app.communities c on c.id = m.community_id
        where c.id = (p_data ->> 'community')::uuid and m.user_id = p_user and m.status = 'active' and m.state = 'active'
          and c.status = 'active');
    when 'followed_you', 'followed_profile' then
      return exists (
        select from app.follows f join app.users u on u.id = f.follower_id
        where f.follower_id = p_named and f.status = 'active' and u.is_public and u.status = 'active'
          and f.entity_id = case p_message when 'followed_you' then p_user else split_part(p_key, ':', 2)::uuid end);
    when 'reviewed' then
      return exists (
        select from app.reviews r join app.users u on u.id = r.reviewer_id
        where r.id = (p_data ->> 'review')::uuid and r.status = 'active' and u.is_public and u.status = 'active');
    when 'review_answered' then
      return exists (
        select from app.reviews r where r.id = (p_data ->> 'review')::uuid and r.status = 'active' and r.reply is not null);
    when 'role_offered' then
      return exists (
        select from app.role_assignments r
        where r.id = (p_data ->> 'role_assignment')::uuid and r.status = 'active' and r.state = 'offered');
    when 'ticket_offered' then
      return exists (
        select from app.ticket_transfers x where x.id = (p_data ->> 'ticket_transfer')::uuid and x.state = 'offered');
    when 'place_awaited', 'place_offered' then
      return exists (
        select from app.waitlist_entries w join app.events e on e.id = w.event_id
        where w.id = (p_data ->> 'waitlist_entry')::uuid and w.status = 'active' and e.status = 'active' and e.state = 'published'
          and (w.state = 'offered' or w.state = 'waiting' and p_message = 'place_awaited') and app.may_order(e.id, w.user_id));
    when 'place_lapsed' then
      return app.may_order((p_data ->> 'event')::uuid, p_user);
    when 'lead_new' then
      return exists (
        select from app.leads l
        where l.id = (p_data ->> 'lead')::uuid and l.status = 'active' and l.state in ('new', 'viewed')
          and p_user = any(app.admins_of(l.business_id)));
    when 'quote_sent' then
      return exists (
        select from app.quotes q where q.id = (p_data ->> 'quote')::uuid and q.status = 'active' and q.state = 'sent');
    when 'promotion_asked' then
      return exists (
        select from app.promotions p
        where p.id = (p_data ->> 'promotion')::uuid and p.status = 'active' and p.state = 'requested'
          and p_user = any(app.admins_of(p.city_id)));
    when 'proposal_made' then
      return exists (
        select from app.commission_proposals p
        where p.id = (p_data ->> 'commission_proposal')::uuid and p.status = 'active' and p.state = 'proposed');
    else
      return true;
  end case;
end
$$;
alter function app.message_holds(text, jsonb, uuid, uuid, text) owner to <app>_owner;
revoke execute on function app.message_holds(text, jsonb, uuid, uuid, text) from public;
grant execute on function app.message_holds(text, jsonb, uuid, uuid, text) to <app>_job;

-- For each delivery the reason why it must not be sent any more (null: it may be sent), and the end of current quiet
-- hours. Evaluated when deliveries are claimed, because they may have been planned long before.
create function app.delivery_obstacles(p_deliveries uuid[]) returns table (delivery uuid, obstacle text, quiet_until timestamptz)
  language plpgsql stable rows 256 set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select x.id,
    case
      when x.expires_at <= now() then 'it came too late'
      when u.status <> 'active' then 'the account is closed'
      when x.channel = 'push' and d.status is distinct from 'active' then 'the device is signed out'
      when x.channel = 'email' and n.type <> 'security'
        and exists (select from app.mail_suppressions s where s.email operator(public.=) u.email) then 'mail to this address comes back'
      when not x.required and not coalesce(chosen.enabled, true) then 'the member does not want it any more'
      when n.type = 'event_reminder' and not app.reminder_holds(n.event_id, n.user_id, n.dedupe_key) then 'the event or the ticket is another by now'
      when n.type = 'new_event' and n.event_id is not null and not exists (
        -- The conditions under which `event_published` is sent: on the event, its host, and whether the member follows
        -- and may see the event.
        select from app.events e left join app.communities c on c.id = e.host_community_id
        where e.id = n.event_id and e.status = 'active' and e.state = 'published' and e.visibility <> 'unlisted'
          and (c.status = 'active'
            or exists (select from app.organizations h where h.id = e.host_organization_id and h.state = 'approved' and h.status = 'active')
            or exists (select from app.businesses h where h.id = e.host_business_id and h.state = 'approved' and h.status = 'active')
            or exists (select from app.institutions h where h.id = e.host_institution_id and h.status = 'active'))
          and (e.visibility = 'public' and (c.id is null or c.visibility = 'public')
            or exists (select from app.community_members m
              where m.community_id = c.id and m.user_id = u.id and m.state = 'active' and m.status = 'active'))
          and exists (select from app.follows f
            where f.follower_id = u.id and f.status = 'active'
              and (f.entity_type = e.host_type and f.entity_id = e.host_id or f.entity_type = 'venue' and f.entity_id = e.venue_id))
      ) then 'the member does not follow the event or may not see it any more'
      when n.type = 'event_changed' and n.event_id is not null and not exists (
        select from app.events e
        where e.id = n.event_id and e.status = 'active' and e.state = 'published'
          and (exists (select from app.tickets t where t.event_id = e.id and t.holder_id = u.id and t.state = 'valid')
            or exists (select from app.waitlist_entries w
              where w.event_id = e.id and w.user_id = u.id and w.status = 'active' and w.state in ('waiting', 'offered')
                and app.may_order(e.id, w.user_id)))
      ) then 'the event or the ticket is another by now'
      when n.type = 'broadcast' and n.event_id is not null
        and not exists (select from app.events e where e.id = n.event_id and e.status = 'active' and e.state in ('published', 'completed')
          and app.is_shown(e.host_id)) then 'the event is hidden'
      when n.type = 'broadcast' and n.event_id is not null
        and not exists (select from app.tickets t where t.event_id = n.event_id and t.holder_id = u.id and t.state in ('valid', 'checked_in'))
        and not app.may_order(n.event_id, u.id) then 'the member may not see the event any more'
      when n.type in ('community', 'follow', 'review', 'role', 'ticket', 'waitlist', 'lead', 'quote', 'promotion', 'system')
        and not app.message_holds(n.data ->> 'message', n.data, n.user_id, n.named_id, n.dedupe_key) then 'it is not true any more'
    end,
    case when not x.urgent then app.quiet_until(now(), u.timezone, chosen.quiet_hours) end
  from app.notification_deliveries x
  join app.notifications n on n.id = x.notification_id
  join app.users u on u.id = n.user_id
  left join app.devices d on d.id = x.device_id
  cross join lateral (
    -- Like app.choices, but for the type and channel of each delivery.
    select (array_agg(p.enabled order by p.channel = 'all', p.type = 'all'))[1] as enabled,
           (array_agg(p.quiet_hours order by p.channel = 'all', p.type = 'all') filter (where p.quiet_hours is not null))[1] as quiet_hours
    from app.notification_preferences p
    where p.user_id = u.id and p.status = 'active' and p.channel in (x.channel, 'all') and p.type in (n.type, 'all')
  ) chosen
  where x.id = any(p_deliveries);
end
$$;
alter function app.delivery_obstacles(uuid[]) owner to <app>_owner;
revoke execute on function app.delivery_obstacles(uuid[]) from public;
grant execute on function app.delivery_obstacles(uuid[]) to <app>_job;

-- Claims due deliveries for a sender, including those whose earlier sender let its lease expire. Deliveries that must
-- not be sent any more are dropped, and those in quiet hours are postponed. Concurrent senders claim different ones.
create function app.claim_deliveries(p_channel text, p_most int, p_lease interval) returns setof uuid
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_due uuid[];
begin
  if exists (select from app.delivery_pauses p where p.channel = p_channel and p.until > now()) then
    return;
  end if;
  -- Two queries, each of which reads an index from its oldest row. A single one would read all waiting deliveries:
  -- half a second for 100,000.
  v_due := array(
    select d.id from app.notification_deliveries d
    where d.channel = p_channel and d.carrier_id is null and d.state = 'sending' and d.lease_until <= now()
    order by d.next_attempt_at limit p_most for update skip locked);
  v_due := v_due || array(
    select d.id from app.notification_deliveries d
    where d.channel = p_channel and d.carrier_id is null and d.state = 'pending' and d.next_attempt_at <= now()
    order by d.next_attempt_at limit p_most - cardinality(v_due) for update skip locked);
  -- A mail that carries other deliveries is sent without those that must not be sent any more.
  update app.notification_deliveries d set state = 'dropped', error = o.obstacle, settled_at = now()
  from app.delivery_obstacles(array(
    select x.id from app.notification_deliveries x where x.carrier_id = any(v_due) and x.state = 'pending')) o
  where d.id = o.delivery and o.obstacle is not null;
  return query
  with changed as (
    update app.notification_deliveries d
    set state = o.state,
        attempts = d.attempts + (o.state = 'sending')::int,
        lease_until = case o.state when 'sending' then now() + p_lease end,
        next_attempt_at = case o.state when 'pending' then o.quiet_until else d.next_attempt_at end,
        error = case o.state when 'dropped' then o.obstacle else d.error end,
        settled_at = case o.state when 'dropped' then now() end
    from (
      select o.*,
             case
               when o.obstacle is not null and not exists (select from app.notification_deliveries i where i.carrier_id = o.delivery) then 'dropped'
               when o.quiet_until > now() then 'pending'
               else 'sending'
             end as state
      from app.delivery_obstacles(v_due) o
    ) o
    where d.id = o.delivery
    returning d.id, d.state
  )
  select c.id from changed c where c.state = 'sending';
end
$$;
alter function app.claim_deliveries(text, int, interval) owner to <app>_owner;
revoke execute on function app.claim_deliveries(text, int, interval) from public;
grant execute on function app.claim_deliveries(text, int, interval) to <app>_job;

-- Drops pending reminders in the same transaction that moves an event, or that cancels, unpublishes, suspends or
-- archives it.
create function app.reschedule_event() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (new.starts_at, new.ends_at, new.timezone) is distinct from (old.starts_at, old.ends_at, old.timezone) then
    insert into app.event_schedules as s (event_id, revision) values (new.id, 2)
    on conflict (event_id) do update set revision = s.revision + 1;
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

-- The name of a city, profile, venue or event.
create function app.name_of(p_id uuid) returns text
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select x.name from app.cities x where x.id = p_id
  union all select x.name from app.organizations x where x.id = p_id
  union all select x.name from app.communities x where x.id = p_id
  union all select x.name from app.businesses x where x.id = p_id
  union all select x.name from app.institutions x where x.id = p_id
  union all select x.name from app.venues x where x.id = p_id
  union all select x.title from app.events x where x.id = p_id
  limit 1
$$;
alter function app.name_of(uuid) owner to <app>_owner;
revoke execute on function app.name_of(uuid) from public;
grant execute on function app.name_of(uuid) to <app>_job;

-- The members with a role for a city, a profile, a venue (or its owner) or an event (or its host).
create function app.admins_of(p_id uuid) returns uuid[]
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select array(
    select r.user_id from app.role_assignments r
    where r.role <> 'platformAdmin' and r.state = 'accepted' and r.status = 'active'
      and r.scope_id in (p_id, (select v.owner_id from app.venues v where v.id = p_id), (select e.host_id from app.events e where e.id = p_id)))
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
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from app.organizations x where x.id = p_host and x.state = 'approved' and x.status = 'active')
    or exists (select from app.businesses x where x.id = p_host and x.state = 'approved' and x.status = 'active')
    or exists (select from app.communities x where x.id = p_host and x.status = 'active')
    or exists (select from app.institutions x where x.id = p_host and x.status = 'active')
$$;
alter function app.is_shown(uuid) owner to <app>_owner;
revoke execute on function app.is_shown(uuid) from public;
grant execute on function app.is_shown(uuid) to <app>_job;

-- Whether a host is neither suspended, archived nor rejected, so that something new may be sold or asked in its name. It may
-- still wait for approval.
create function app.host_is_live(p_host uuid) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from app.organizations x where x.id = p_host and x.state <> 'rejected' and x.status = 'active')
    or exists (select from app.businesses x where x.id = p_host and x.state <> 'rejected' and x.status = 'active')
    or exists (select from app.communities x where x.id = p_host and x.status = 'active')
    or exists (select from app.institutions x where x.id = p_host and x.status = 'active')
$$;
alter function app.host_is_live(uuid) owner to <app>_owner;
revoke execute on function app.host_is_live(uuid) from public;
grant execute on function app.host_is_live(uuid) to <app>_authz, <app>_job;

-- When the guests of an event are reminded: 24 hours before its start, or (`p_wall`) at the same local time of the day
-- before.
create function app.reminder_due(p_starts timestamptz, p_zone text, p_wall boolean) returns timestamptz
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when p_wall then (p_starts at time zone p_zone - interval '1 day') at time zone p_zone else p_starts - interval '24 hours' end
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

create trigger notifications_mark
  before insert or update of is_read on app.notifications
  for each row execute function app.mark_notification();

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
