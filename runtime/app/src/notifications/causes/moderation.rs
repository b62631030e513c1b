//! Messages about suspensions by cities and the platform, to those who look after what is suspended, and to the guests of
//! a suspended event, who are not let in.

use super::Cause;

/// What somebody looks after, with a condition on its status. Whoever looks after it sees it while it is suspended, so the
/// app can open it.
macro_rules! looked_after {
    ($and_status:literal) => {
        concat!(
            "select jsonb_build_object('name', app.name_of(x.id)) as values, jsonb_build_object(x.kind, x.id) as data,
               null::uuid as event_id, null::timestamptz as expires_at, null::text as key, app.admins_of(x.id) as members
             from (
               select 'organization' as kind, o.id, o.status from app.organizations o
               union all select 'community', c.id, c.status from app.communities c
               union all select 'business', b.id, b.status from app.businesses b
               union all select 'institution', i.id, i.status from app.institutions i
               union all select 'venue', v.id, v.status from app.venues v
               union all select 'event', e.id, e.status from app.events e
             ) x
             where x.id = $1",
            $and_status
        )
    };
}

pub(super) const CAUSES: &[Cause] = &[
    began("organization.suspend"),
    began("community.suspend"),
    began("business.suspend"),
    began("institution.suspend"),
    began("venue.suspend"),
    began("event.suspend"),
    ended("organization.unsuspend"),
    ended("community.unsuspend"),
    ended("business.unsuspend"),
    ended("institution.unsuspend"),
    ended("venue.unsuspend"),
    ended("event.unsuspend"),
    Cause {
        event: "event.suspend",
        changed: &[],
        message: "event_withheld",
        to_its_cause: true,
        sql: "select jsonb_build_object('event', e.title, 'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.ends_at as expires_at, null::text as key,
                array(select t.holder_id from app.tickets t where t.event_id = e.id and t.holder_id is not null and t.state in ('valid', 'checked_in')) as members
              from app.events e
              where e.id = $1 and e.state = 'published' and e.status = 'suspended' and e.ends_at > now()",
    },
    Cause {
        event: "event.unsuspend",
        changed: &[],
        message: "event_back",
        to_its_cause: true,
        // To those who were told of the suspension.
        sql: "select jsonb_build_object('event', e.title, 'starts', jsonb_build_object('at', e.starts_at, 'zone', e.timezone)) as values,
                jsonb_build_object('event', e.id) as data, e.id as event_id, e.ends_at as expires_at, null::text as key,
                array(select t.holder_id from app.tickets t
                  where t.event_id = e.id and t.state in ('valid', 'checked_in') and exists (
                    select from app.notifications n
                    where n.event_id = e.id and n.type = 'event_changed' and n.user_id = t.holder_id
                      and n.data ->> 'message' = 'event_withheld')) as members
              from app.events e
              where e.id = $1 and e.state = 'published' and e.status = 'active' and e.ends_at > now()",
    },
];

const fn began(event: &'static str) -> Cause {
    Cause {
        event,
        changed: &[],
        message: "suspension_began",
        to_its_cause: false,
        sql: looked_after!(" and x.status = 'suspended'"),
    }
}

const fn ended(event: &'static str) -> Cause {
    Cause {
        event,
        changed: &[],
        message: "suspension_ended",
        to_its_cause: false,
        sql: looked_after!(" and x.status = 'active'"),
    }
}
