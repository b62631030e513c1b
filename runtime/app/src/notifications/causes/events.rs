//! Messages about events that members go to or could go to: moved, elsewhere, cancelled or new.
//!
//! Guests who are inside already are told of changes, too: of a festival's second day, or of a concert that is put off
//! while people wait for it.

use super::Cause;

/// Followers of the host or the venue who may see the event.
const NEW_EVENT: &str = "select jsonb_build_object('event', e.title, 'followed', app.name_of(e.host_id),
          'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
        jsonb_build_object('event', e.id) as data, e.id as event_id, e.starts_at as expires_at,
        'event_published:' || e.id as key,
        array(select f.follower_id from app.follows f
          where f.status = 'active' and f.entity_id in (e.host_id, case when app.may_announce_at(e.host_id, e.venue_id) then e.venue_id end)
            and (e.visibility = 'public' and (c.id is null or c.visibility = 'public')
              or exists (select from app.community_members m
                where m.community_id = c.id and m.user_id = f.follower_id and m.state = 'active' and m.status = 'active'))) as members
        from app.events e left join app.communities c on c.id = e.host_community_id
        where e.id = $1 and e.state = 'published' and e.status = 'active' and e.visibility <> 'unlisted' and e.starts_at > now()
          and app.is_shown(e.host_id)";

/// The members who have a ticket or are on the waiting list: the recipients of everything that guests have to know. A
/// member on the waiting list may have been excluded from the host's community since, or the event hidden.
pub(super) const CAUSES: &[Cause] = &[
    Cause {
        event: "event.update",
        changed: &["starts_at", "ends_at", "timezone"],
        message: "event_moved",
        to_its_cause: true,
        sql: "select jsonb_build_object('event', e.title, 'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.ends_at as expires_at,
                'event_moved:' || e.id || ':' || coalesce(s.revision, 1) as key,
                array(select t.holder_id from app.tickets t
                  where t.event_id = e.id and t.holder_id is not null and t.state in ('valid', 'checked_in')
                    and not exists (select from app.orders o where o.id = t.order_id and o.created_at > $2)
                  union select w.user_id from app.waitlist_entries w
                  where w.event_id = e.id and w.status = 'active' and w.state in ('waiting', 'offered') and w.created_at <= $2
                    and app.may_order_tickets(e.id, w.user_id)) as members
              from app.events e left join app.event_schedules s on s.event_id = e.id
              where e.id = $1 and e.state = 'published' and e.status = 'active' and e.ends_at > now() and app.host_is_live(e.host_id)",
    },
    Cause {
        event: "event.update",
        changed: &["venue_id", "location"],
        message: "event_elsewhere",
        to_its_cause: true,
        // Without the address of the stream, which only ticket holders may see: members on the waiting list are told, too.
        // A venue that not everybody may see is not named, as in calendars.
        sql: "select jsonb_build_object('event', e.title, 'place', case
                  when e.venue_id is null and e.location is null and e.online_url is not null then 'online'
                  else coalesce(app.place_to_name(e.id), c.name) end) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.ends_at as expires_at, null::text as key,
                array(select t.holder_id from app.tickets t
                  where t.event_id = e.id and t.holder_id is not null and t.state in ('valid', 'checked_in')
                    and not exists (select from app.orders o where o.id = t.order_id and o.created_at > $2)
                  union select w.user_id from app.waitlist_entries w
                  where w.event_id = e.id and w.status = 'active' and w.state in ('waiting', 'offered') and w.created_at <= $2
                    and app.may_order_tickets(e.id, w.user_id)) as members
              from app.events e join app.cities c on c.id = e.city_id
              where e.id = $1 and e.state = 'published' and e.status = 'active' and e.ends_at > now() and app.host_is_live(e.host_id)",
    },
    Cause {
        event: "event.update",
        changed: &["online_url"],
        message: "event_elsewhere",
        to_its_cause: true,
        // The stream of an event that takes place nowhere else has another address: guests find it with the event. Members
        // on the waiting list may not see it.
        sql: "select jsonb_build_object('event', e.title, 'place', 'online') as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.ends_at as expires_at, null::text as key,
                array(select t.holder_id from app.tickets t
                  where t.event_id = e.id and t.holder_id is not null and t.state in ('valid', 'checked_in')
                    and not exists (select from app.orders o where o.id = t.order_id and o.created_at > $2)) as members
              from app.events e
              where e.id = $1 and e.state = 'published' and e.status = 'active' and e.ends_at > now()
                and e.venue_id is null and e.location is null and e.online_url is not null and app.host_is_live(e.host_id)",
    },
    Cause {
        event: "event.cancel",
        changed: &[],
        message: "event_off",
        to_its_cause: true,
        // Refunds may have begun already, so members who had a ticket at the time of the cancellation count.
        sql: "select jsonb_build_object('event', e.title, 'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, null::timestamptz as expires_at,
                'event_off:' || e.id as key,
                array(select t.holder_id from app.tickets t left join app.refunds r on r.id = t.refund_id
                  where t.event_id = e.id and t.holder_id is not null and (t.state in ('valid', 'checked_in') or t.void_reason = 'event_cancelled' or r.reason = 'event_cancelled')
                  union select w.user_id from app.waitlist_entries w
                  where w.event_id = e.id and w.status = 'active' and w.state in ('waiting', 'offered')
                    and app.may_order_tickets(e.id, w.user_id)) as members
              from app.events e where e.id = $1 and e.state = 'cancelled'",
    },
    Cause {
        event: "event.publish",
        changed: &[],
        message: "event_published",
        to_its_cause: false,
        sql: NEW_EVENT,
    },
    Cause {
        event: "event.update",
        changed: &["visibility"],
        message: "event_published",
        to_its_cause: false,
        // It was published for the holders of a link or for members alone, and is shown to more now. Whoever has been told
        // is not told again.
        sql: NEW_EVENT,
    },
    Cause {
        event: "event.update",
        changed: &["starts_at"],
        message: "event_published",
        to_its_cause: false,
        // Followers for whom the announcement still waits (for a digest or the end of quiet hours) get it with the new time;
        // the old one is dropped. Whoever was told already is no guest, and is not bothered with changes.
        sql: "select jsonb_build_object('event', e.title, 'followed', app.name_of(e.host_id),
                  'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.starts_at as expires_at,
                'event_published:' || e.id || ':' || coalesce(s.revision, 1) as key,
                array(select n.user_id from app.notifications n join app.notification_deliveries d on d.notification_id = n.id
                  where n.event_id = e.id and n.type = 'new_event' and d.state = 'pending'
                  group by n.user_id having not bool_or(d.expires_at = e.starts_at)) as members
              from app.events e left join app.event_schedules s on s.event_id = e.id
              where e.id = $1 and e.state = 'published' and e.status = 'active' and e.visibility <> 'unlisted' and e.starts_at > now()
                and app.is_shown(e.host_id)",
    },
];
