-- Which deliveries of the module `notifications` are due, and which must not be sent any more because their message is not
-- true by now.

-- Whether an event begins within three hours, has begun not longer ago, or was to begin then for all that the member knows:
-- a reminder expires when the event was to begin.
create function app.begins_soon(p_event uuid, p_user uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
      select from app.events e
      where e.id = p_event and e.starts_at between now() - interval '3 hours' and now() + interval '3 hours')
    or exists (
      select from app.notifications n join app.notification_deliveries d on d.notification_id = n.id
      where n.user_id = p_user and n.event_id is not distinct from p_event and n.type = 'event_reminder'
        and d.expires_at between now() and now() + interval '3 hours');
end
$$;
alter function app.begins_soon(uuid, uuid) owner to <app>_owner;
revoke execute on function app.begins_soon(uuid, uuid) from public;
grant execute on function app.begins_soon(uuid, uuid) to <app>_job;

-- How long mail and push about a change of an event wait, because the member was told of such a change today (of another
-- time of an announced event: because the member was told of the event): the first one within a day is sent at once
-- (null), the next two at the end of a quarter of an hour, and more at the end of an hour, counted from the first. Of
-- several that wait only the last one is sent (`app.delivery_obstacles`), so a host who often changes their mind sends
-- few messages, and the last one is right. In the last three hours before the event nothing waits, also not for the end
-- of quiet hours (`app.notify`).
create function app.wait_of_change(p_message text, p_event uuid, p_user uuid) returns interval
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_first timestamptz;
  v_count bigint;
  v_window interval;
begin
  select min(n.created_at), count(*) into v_first, v_count
  from app.notifications n
  -- Not `=`, so that the index by member is read, and not that by event, which has all guests.
  where n.user_id = p_user and n.event_id is not distinct from p_event and n.type in ('event_changed', 'new_event')
    and n.data ->> 'message' = p_message
    and n.created_at > now() - interval '1 day';
  if v_count = 0 or exists (select from app.events e where e.id = p_event and e.starts_at < now() + interval '3 hours')
    or app.begins_soon(p_event, p_user) then
    return null;
  end if;
  v_window := case when v_count < 3 then interval '15 minutes' else interval '1 hour' end;
  return date_bin(v_window, now(), v_first) + v_window - now();
end
$$;
alter function app.wait_of_change(text, uuid, uuid) owner to <app>_owner;
revoke execute on function app.wait_of_change(text, uuid, uuid) from public;
grant execute on function app.wait_of_change(text, uuid, uuid) to <app>_job;

-- Whether a reminder is still valid: the event takes place at the time for which the reminder was made, and the member
-- has a ticket. It may have been scanned already, if the event was put off while guests came in.
create function app.reminder_holds(p_event uuid, p_user uuid, p_key text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.events e
    left join app.event_schedules s on s.event_id = e.id
    where e.id = p_event and e.status = 'active' and e.state = 'published' and e.starts_at > now()
      and p_key = 'event_soon:' || e.id || ':' || coalesce(s.revision, 1)
      and exists (select from app.tickets t where t.event_id = e.id and t.holder_id = p_user and t.state in ('valid', 'checked_in')));
end
$$;
alter function app.reminder_holds(uuid, uuid, text) owner to <app>_owner;
revoke execute on function app.reminder_holds(uuid, uuid, text) from public;
grant execute on function app.reminder_holds(uuid, uuid, text) to <app>_job;

-- Takes back the reminders of an event that still wait, because they tell the place that the event had, and those for its
-- present time that were dropped when it was suspended (`app.reschedule_event`). Those of which a copy has been sent, or is
-- being sent, stay. Returns the members, who are reminded anew.
create function app.take_back_reminders(p_event uuid) returns uuid[]
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_waiting uuid[];
  v_members uuid[];
begin
  -- Waits for claims; later ones find nothing.
  perform from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
  where n.event_id = p_event and n.type = 'event_reminder' and d.state = 'pending'
  order by d.id for update of d;
  v_waiting := array(
    select n.id from app.notifications n
    where n.event_id = p_event and n.type = 'event_reminder'
      and exists (
        select from app.notification_deliveries d
        where d.notification_id = n.id
          and (d.state = 'pending'
            or d.state = 'dropped' and d.error = 'the event has another time, or none'
              and n.dedupe_key = 'event_soon:' || p_event || ':'
                || coalesce((select s.revision from app.event_schedules s where s.event_id = p_event), 1)))
      and not exists (
        select from app.notification_deliveries d where d.notification_id = n.id and d.state not in ('pending', 'dropped')));
  delete from app.notification_deliveries d where d.notification_id = any(v_waiting);
  with gone as (
    delete from app.notifications n where n.id = any(v_waiting) returning n.user_id
  )
  select coalesce(array_agg(g.user_id), '{}') into v_members from gone g;
  return v_members;
end
$$;
alter function app.take_back_reminders(uuid) owner to <app>_counter;
revoke execute on function app.take_back_reminders(uuid) from public;
grant execute on function app.take_back_reminders(uuid) to <app>_job;

-- Whether a member looks after a community and so may invite to it and decide about requests to join it.
create function app.looks_after(p_user uuid, p_community uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.users u join app.communities c on c.id = p_community
    where u.id = p_user and u.status = 'active'
      and (exists (
          select from app.role_assignments r
          where r.user_id = u.id and r.state = 'accepted' and r.status = 'active'
            and (r.role = 'platformAdmin' or r.scope_id in (c.id, c.city_id)))
        or exists (
          select from app.community_members m
          where m.community_id = c.id and m.user_id = u.id and m.role = 'moderator' and m.state = 'active' and m.status = 'active')));
end
$$;
alter function app.looks_after(uuid, uuid) owner to <app>_owner;
revoke execute on function app.looks_after(uuid, uuid) from public;
grant execute on function app.looks_after(uuid, uuid) to <app>_job;

-- Whether a message that asks for something, quotes what another member wrote, or goes to those who look after a
-- profile, is still true: its object exists in the state that the message tells of, and the member still looks after the
-- profile. Messages about past events that concern the member alone stay true and are not checked here.
-- `app.delivery_obstacles` checks messages to many recipients in its own statement.
create function app.message_holds(p_message text, p_data jsonb, p_user uuid, p_named uuid, p_key text) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  v_id uuid;
begin
  case p_message
    when 'community_invited' then
      -- A community that is open to everybody can be joined whoever has invited (`app.invitation_stands`).
      return exists (
        select from app.community_members m join app.communities c on c.id = m.community_id
        where m.id = (p_data ->> 'community_member')::uuid and m.status = 'active' and m.state = 'pending' and c.status = 'active'
          and (c.join_policy = 'open' or app.looks_after(m.added_by_id, c.id)));
    when 'community_asked' then
      return exists (
        select from app.community_members m join app.communities c on c.id = m.community_id join app.users u on u.id = m.user_id
        where m.id = (p_data ->> 'community_member')::uuid and m.status = 'active' and m.state = 'pending' and c.status = 'active'
          and u.status = 'active' and app.looks_after(p_user, c.id));
    when 'community_joined' then
      return exists (
        select from app.community_members m join app.communities c on c.id = m.community_id
        where c.id = (p_data ->> 'community')::uuid and m.user_id = p_user and m.status = 'active' and m.state = 'active'
          and c.status = 'active');
    when 'followed_you', 'followed_profile' then
      return exists (
        select from app.follows f join app.users u on u.id = f.follower_id
        where f.follower_id = p_named and f.status = 'active' and u.is_public and u.status = 'active'
          and case p_message
            when 'followed_you' then f.entity_id = p_user
            else f.entity_id = split_part(p_key, ':', 2)::uuid and p_user = any(app.admins_of(f.entity_id))
          end);
    when 'reviewed' then
      return exists (
        select from app.reviews r join app.users u on u.id = r.reviewer_id
        where r.id = (p_data ->> 'review')::uuid and r.status = 'active' and u.is_public and u.status = 'active'
          and p_user = any(app.admins_of(r.entity_id)));
    when 'review_answered' then
      return exists (
        select from app.reviews r where r.id = (p_data ->> 'review')::uuid and r.status = 'active' and r.reply is not null);
    when 'role_offered' then
      return exists (
        select from app.role_assignments r
        where r.id = (p_data ->> 'role_assignment')::uuid and r.status = 'active' and r.state = 'offered');
    when 'ticket_offered' then
      return exists (
        select from app.ticket_transfers x join app.tickets t on t.id = x.ticket_id join app.events e on e.id = t.event_id
        where x.id = (p_data ->> 'ticket_transfer')::uuid and x.state = 'offered' and e.status = 'active' and e.state = 'published');
    when 'place_awaited', 'place_offered' then
      return exists (
        select from app.waitlist_entries w join app.events e on e.id = w.event_id
        where w.id = (p_data ->> 'waitlist_entry')::uuid and w.status = 'active' and e.status = 'active' and e.state = 'published'
          and (w.state = 'offered' or w.state = 'waiting' and p_message = 'place_awaited') and app.may_order_tickets(e.id, w.user_id));
    when 'place_lapsed' then
      return app.may_order_tickets((p_data ->> 'event')::uuid, p_user);
    when 'lead_new' then
      return exists (
        select from app.leads l join app.service_requests r on r.id = l.service_request_id
        where l.id = (p_data ->> 'lead')::uuid and l.status = 'active' and l.state in ('new', 'viewed')
          and r.status = 'active' and r.state = 'open' and p_user = any(app.admins_of(l.business_id)));
    when 'quote_sent' then
      return exists (
        select from app.quotes q join app.leads l on l.id = q.lead_id join app.service_requests r on r.id = l.service_request_id
        where q.id = (p_data ->> 'quote')::uuid and q.status = 'active' and q.state = 'sent'
          and p_user = any(app.admins_of(r.host_id)));
    when 'quote_accepted', 'quote_declined' then
      return exists (
        select from app.quotes q join app.leads l on l.id = q.lead_id
        where q.id = (p_data ->> 'quote')::uuid and p_user = any(app.admins_of(l.business_id)));
    when 'promotion_asked' then
      return exists (
        select from app.promotions p
        where p.id = (p_data ->> 'promotion')::uuid and p.status = 'active' and p.state = 'requested'
          and p_user = any(app.admins_of(p.city_id)));
    when 'promotion_changed' then
      return exists (
        select from app.promotions p
        where p.id = (p_data ->> 'promotion')::uuid and p.status = 'active' and p.state in ('approved', 'active')
          and p_user = any(app.admins_of(p.city_id)));
    when 'promotion_approved', 'promotion_rejected' then
      return exists (
        select from app.promotions p
        where p.id = (p_data ->> 'promotion')::uuid and p_user = any(app.admins_of(p.target_id)));
    when 'profile_approved', 'profile_rejected' then
      return p_user = any(app.admins_of(coalesce(p_data ->> 'organization', p_data ->> 'business')::uuid));
    when 'suspension_began', 'suspension_ended' then
      v_id := coalesce(p_data ->> 'organization', p_data ->> 'community', p_data ->> 'business', p_data ->> 'institution',
        p_data ->> 'venue', p_data ->> 'event')::uuid;
      return app.is_withdrawn(v_id) = (p_message = 'suspension_began') and p_user = any(app.admins_of(v_id));
    when 'proposal_made' then
      return exists (
        select from app.commission_proposals p
        where p.id = (p_data ->> 'commission_proposal')::uuid and p.status = 'active' and p.state = 'proposed'
          and exists (
            select from app.role_assignments r
            where r.user_id = p_user and r.role = 'platformAdmin' and r.state = 'accepted' and r.status = 'active'));
    when 'account_lost' then
      return exists (
        select from app.connected_accounts a
        where a.id = (p_data ->> 'connected_account')::uuid and a.lost_at is not null and p_user = any(app.admins_of(a.owner_id)));
    when 'sales_stopped' then
      return exists (
        select from app.sales_stops s join app.events e on e.id = s.event_id
        where e.id = (p_data ->> 'event')::uuid and e.status = 'active' and e.state = 'published' and e.ends_at > now()
          and p_user = any(app.admins_of(e.host_id)));
    when 'credits_lapse' then
      return exists (
        select from app.wallet_credits c where c.id = split_part(p_key, ':', 2)::uuid and c.remaining_cents > 0);
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
        and exists (select from app.mail_suppressions s where s.email = u.email) then 'mail to this address came back or was reported as spam'
      when not x.required and not coalesce(chosen.enabled, true) then 'the member does not want it any more'
      when n.type = 'event_reminder' and not app.reminder_holds(n.event_id, n.user_id, n.dedupe_key) then 'the event or the ticket is another by now'
      when n.type = 'new_event' and n.event_id is not null and not exists (
        -- The conditions under which `event_published` is sent: on the event, its host, and whether the member follows
        -- and may see the event. If it has another time, `event_published` is told again.
        select from app.events e left join app.communities c on c.id = e.host_community_id
        where e.id = n.event_id and e.status = 'active' and e.state = 'published' and e.visibility <> 'unlisted'
          -- The time that the message tells, which is that at which it expires.
          and (x.expires_at is null or e.starts_at = x.expires_at)
          and (c.status = 'active'
            or exists (select from app.organizations h where h.id = e.host_organization_id and h.state = 'approved' and h.status = 'active')
            or exists (select from app.businesses h where h.id = e.host_business_id and h.state = 'approved' and h.status = 'active')
            or exists (select from app.institutions h where h.id = e.host_institution_id and h.status = 'active'))
          and (e.visibility = 'public' and (c.id is null or c.visibility = 'public')
            or exists (select from app.community_members m
              where m.community_id = c.id and m.user_id = u.id and m.state = 'active' and m.status = 'active'))
          and exists (select from app.follows f
            where f.follower_id = u.id and f.status = 'active'
              and (f.entity_type = e.host_type and f.entity_id = e.host_id or f.entity_type = 'venue' and f.entity_id = e.venue_id
                  and app.may_announce_at(e.host_id, e.venue_id)))
      ) then 'the event has another time, or the member does not follow it or may not see it any more'
      when n.type = 'event_changed' and exists (
        select from app.notifications x
        where x.user_id = n.user_id and x.event_id is not distinct from n.event_id and x.type = n.type
          and x.data ->> 'message' = n.data ->> 'message' and x.id > n.id
      ) then 'a later change is told instead'
      when n.type = 'event_changed' and n.event_id is not null and not exists (
        select from app.events e
        where e.id = n.event_id and e.state = 'published' and (app.host_is_live(e.host_id) or n.data ->> 'message' = 'event_withheld')
          and e.status = case n.data ->> 'message' when 'event_withheld' then 'suspended' else 'active' end
          and (exists (select from app.tickets t where t.event_id = e.id and t.holder_id = u.id and t.state in ('valid', 'checked_in'))
            or exists (select from app.waitlist_entries w
              where w.event_id = e.id and w.user_id = u.id and w.status = 'active' and w.state in ('waiting', 'offered')
                and app.may_order_tickets(e.id, w.user_id)))
      ) then 'the event or the ticket is another by now'
      when n.type = 'broadcast' and n.event_id is not null
        and not exists (select from app.events e where e.id = n.event_id and e.status = 'active' and e.state in ('published', 'completed')
          and app.is_shown(e.host_id)) then 'the event is hidden'
      when n.type = 'broadcast'
        and not exists (select from app.broadcasts b where b.id = (n.data ->> 'broadcast')::uuid and b.status = 'active') then 'the broadcast is withdrawn'
      when n.type = 'broadcast' and n.event_id is not null
        and not exists (select from app.tickets t where t.event_id = n.event_id and t.holder_id = u.id and t.state in ('valid', 'checked_in'))
        and not app.may_order_tickets(n.event_id, u.id) then 'the member may not see the event any more'
      when n.type in ('community', 'follow', 'review', 'role', 'ticket', 'waitlist', 'lead', 'quote', 'promotion', 'system', 'wallet')
        and not app.message_holds(n.data ->> 'message', n.data, n.user_id, n.named_id, n.dedupe_key) then 'it is not true any more'
    end,
    -- As when the delivery was made (`app.notify`): in the meantime the event may have come close.
    case when quiet.until >= case n.type when 'ticket' then x.expires_at else soon.useful_until end then null else quiet.until end
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
  cross join lateral (
    select case when not x.urgent then app.quiet_until(now(), u.timezone, chosen.quiet_hours) end offset 0
  ) quiet(until)
  left join lateral (
    select case when e.starts_at > now() then e.starts_at when e.ends_at > now() then e.ends_at end as useful_until
    from app.events e where n.type in ('event_changed', 'broadcast') and e.id = n.event_id
  ) soon on true
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
