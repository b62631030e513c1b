//! Messages about decisions of cities and the platform on profiles, and about requests for such decisions.

use super::Cause;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        event: "organization.approve",
        changed: &[],
        message: "profile_approved",
        to_its_cause: false,
        sql: "select jsonb_build_object('profile', o.name) as values, jsonb_build_object('organization', o.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(o.id) as members
              from app.organizations o where o.id = $1 and o.state = 'approved'",
    },
    Cause {
        event: "organization.reject",
        changed: &[],
        message: "profile_rejected",
        to_its_cause: false,
        sql: "select jsonb_build_object('profile', o.name) as values, jsonb_build_object('organization', o.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(o.id) as members
              from app.organizations o where o.id = $1 and o.state = 'rejected'",
    },
    Cause {
        event: "business.approve",
        changed: &[],
        message: "profile_approved",
        to_its_cause: false,
        sql: "select jsonb_build_object('profile', b.name) as values, jsonb_build_object('business', b.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(b.id) as members
              from app.businesses b where b.id = $1 and b.state = 'approved'",
    },
    Cause {
        event: "business.reject",
        changed: &[],
        message: "profile_rejected",
        to_its_cause: false,
        sql: "select jsonb_build_object('profile', b.name) as values, jsonb_build_object('business', b.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(b.id) as members
              from app.businesses b where b.id = $1 and b.state = 'rejected'",
    },
    Cause {
        event: "promotion.create",
        changed: &[],
        message: "promotion_asked",
        to_its_cause: false,
        sql: "select jsonb_build_object('target', app.name_of(p.target_id), 'city', c.name) as values,
                jsonb_build_object('promotion', p.id, 'city', c.id) as data,
                null::uuid as event_id, p.ends_at as expires_at,
                'promotion_asked:' || p.target_id || ':' || (p.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.promotions x
                      where x.target_id = p.target_id and x.id <= p.id
                        and x.created_at >= date_trunc('day', p.created_at, 'UTC')) as key,
                app.admins_of(c.id) as members
              from app.promotions p join app.cities c on c.id = p.city_id
              where p.id = $1 and p.state = 'requested' and p.status = 'active'",
    },
    Cause {
        event: "promotion.approve",
        changed: &[],
        message: "promotion_approved",
        to_its_cause: false,
        sql: "select jsonb_build_object('target', app.name_of(p.target_id), 'starts', jsonb_build_object('at', p.starts_at, 'zone', c.timezone)) as values,
                jsonb_build_object('promotion', p.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(p.target_id) as members
              from app.promotions p join app.cities c on c.id = p.city_id
              where p.id = $1 and p.state in ('approved', 'active') and p.status = 'active'",
    },
    Cause {
        // What is shown was approved as it was then. At most once an hour.
        event: "event.update",
        changed: &["title", "description"],
        message: "promotion_changed",
        to_its_cause: false,
        sql: "select jsonb_build_object('target', e.title, 'city', c.name) as values,
                jsonb_build_object('promotion', p.id, 'city', c.id) as data,
                e.id as event_id, p.ends_at as expires_at,
                'promotion_changed:' || p.id || ':' || extract(epoch from date_trunc('hour', now()))::int8 as key,
                app.admins_of(c.id) as members
              from app.events e
              join lateral (
                select x.* from app.promotions x
                where x.target_type = 'event' and x.target_id = e.id and x.state in ('approved', 'active') and x.status = 'active'
                order by x.starts_at, x.id limit 1
              ) p on true
              join app.cities c on c.id = p.city_id
              where e.id = $1 and e.status = 'active'",
    },
    Cause {
        event: "promotion.reject",
        changed: &[],
        message: "promotion_rejected",
        to_its_cause: false,
        sql: "select jsonb_build_object('target', app.name_of(p.target_id)) as values, jsonb_build_object('promotion', p.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key,
                app.admins_of(p.target_id) as members
              from app.promotions p
              where p.id = $1 and p.state = 'rejected'",
    },
    Cause {
        event: "commission_proposal.create",
        changed: &[],
        message: "proposal_made",
        to_its_cause: false,
        sql: "select jsonb_build_object('city', c.name) as values, jsonb_build_object('commission_proposal', p.id, 'city', c.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'proposal_made:' || c.id || ':' || (p.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.commission_proposals x
                      where x.city_id = p.city_id and x.id <= p.id
                        and x.created_at >= date_trunc('day', p.created_at, 'UTC')) as key,
                array(select r.user_id from app.role_assignments r
                  where r.role = 'platformAdmin' and r.state = 'accepted' and r.status = 'active') as members
              from app.commission_proposals p join app.cities c on c.id = p.city_id
              where p.id = $1 and p.state = 'proposed' and p.status = 'active'",
    },
    Cause {
        event: "commission_proposal.accept",
        changed: &[],
        message: "proposal_accepted",
        to_its_cause: false,
        // If it was accepted late, it is valid from the time of acceptance.
        sql: "select jsonb_build_object('city', c.name,
                  'starts', jsonb_build_object('at', greatest(p.valid_from, p.updated_at), 'zone', c.timezone)) as values,
                jsonb_build_object('commission_proposal', p.id, 'city', c.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'proposal_accepted:' || p.id as key,
                array[p.proposed_by_id] as members
              from app.commission_proposals p join app.cities c on c.id = p.city_id
              where p.id = $1 and p.state = 'accepted' and p.proposed_by_id is not null",
    },
    Cause {
        event: "commission_proposal.decline",
        changed: &[],
        message: "proposal_declined",
        to_its_cause: false,
        sql: "select jsonb_build_object('city', c.name) as values, jsonb_build_object('commission_proposal', p.id, 'city', c.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'proposal_declined:' || p.id as key,
                array[p.proposed_by_id] as members
              from app.commission_proposals p join app.cities c on c.id = p.city_id
              where p.id = $1 and p.state = 'declined' and p.proposed_by_id is not null",
    },
];
