//! Messages about suspensions by cities and the platform, to those who look after what is suspended, and to the guests of
//! a suspended event, who are not let in.

use super::Cause;

/// Whoever looks after it sees it while it is suspended, so the app can open it.
const BEGAN: &str = "select jsonb_build_object('name', app.name_of(x.id)) as values, jsonb_build_object(x.kind, x.id) as data,
       null::uuid as event_id, null::timestamptz as expires_at, null::text as key, app.admins_of(x.id) as members
     from (
       select 'organization' as kind, o.id, o.status from app.organizations o where o.id = $1
       union all select 'community', c.id, c.status from app.communities c where c.id = $1
       union all select 'business', b.id, b.status from app.businesses b where b.id = $1
       union all select 'institution', i.id, i.status from app.institutions i where i.id = $1
       union all select 'venue', v.id, v.status from app.venues v where v.id = $1
       union all select 'event', e.id, e.status from app.events e where e.id = $1
     ) x
     where x.status = 'suspended'";

const ENDED: &str = "select jsonb_build_object('name', app.name_of(x.id)) as values, jsonb_build_object(x.kind, x.id) as data,
       null::uuid as event_id, null::timestamptz as expires_at, null::text as key, app.admins_of(x.id) as members
     from (
       select 'organization' as kind, o.id, o.status from app.organizations o where o.id = $1
       union all select 'community', c.id, c.status from app.communities c where c.id = $1
       union all select 'business', b.id, b.status from app.businesses b where b.id = $1
       union all select 'institution', i.id, i.status from app.institutions i where i.id = $1
       union all select 'venue', v.id, v.status from app.venues v where v.id = $1
       union all select 'event', e.id, e.status from app.events e where e.id = $1
     ) x
     where x.status = 'active'";

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
                array(select t.holder_id from app.tickets t where t.event_id = e.id and t.state = 'valid') as members
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
                  where t.event_id = e.id and t.state = 'valid' and exists (
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
        sql: BEGAN,
    }
}

const fn ended(event: &'static str) -> Cause {
    Cause {
        event,
        changed: &[],
        message: "suspension_ended",
        to_its_cause: false,
        sql: ENDED,
    }
}
