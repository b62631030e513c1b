//! Messages about what members do to each other: follow, review, invite, ask to join, give roles.
//!
//! What can be ended and done again as often as one likes is told three times a day (UTC) at most, and an exclusion once:
//! the deduplication key has the number of times, up to three. Otherwise a member could be pestered by invitations that
//! are withdrawn. The same holds for offers of tickets, quotes and what cities are asked for, in other files.

use super::Cause;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        event: "follow.create",
        changed: &[],
        message: "followed_you",
        to_its_cause: false,
        // A follower with a private profile is not visible to others.
        sql: "select jsonb_build_object('follower', u.display_name) as values, jsonb_build_object('user', u.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'followed_you:' || u.id as key,
                array[f.entity_user_id] as members
              from app.follows f join app.users u on u.id = f.follower_id
              where f.id = $1 and f.status = 'active' and f.entity_type = 'user' and u.is_public and u.status = 'active'",
    },
    Cause {
        event: "follow.create",
        changed: &[],
        message: "followed_profile",
        to_its_cause: false,
        sql: "select jsonb_build_object('follower', u.display_name, 'profile', app.name_of(f.entity_id)) as values,
                jsonb_build_object('user', u.id, f.entity_type, f.entity_id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'followed_profile:' || f.entity_id || ':' || u.id as key,
                app.admins_of(f.entity_id) as members
              from app.follows f join app.users u on u.id = f.follower_id
              where f.id = $1 and f.entity_type <> 'user' and f.status = 'active' and u.is_public and u.status = 'active'",
    },
    Cause {
        event: "review.create",
        changed: &[],
        message: "reviewed",
        to_its_cause: false,
        sql: "select jsonb_build_object('reviewer', u.display_name, 'profile', app.name_of(r.entity_id), 'rating', r.rating) as values,
                jsonb_build_object('review', r.id, 'user', u.id, r.entity_type, r.entity_id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'reviewed:' || r.entity_id || ':' || u.id || ':' || (r.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.reviews x
                      where x.reviewer_id = r.reviewer_id and x.entity_id = r.entity_id and x.id <= r.id
                        and x.created_at >= date_trunc('day', r.created_at, 'UTC')) as key,
                app.admins_of(r.entity_id) as members
              from app.reviews r join app.users u on u.id = r.reviewer_id
              where r.id = $1 and r.status = 'active' and u.is_public and u.status = 'active'",
    },
    Cause {
        event: "review.update",
        changed: &["reply"],
        message: "review_answered",
        to_its_cause: false,
        sql: "select jsonb_build_object('profile', app.name_of(r.entity_id)) as values, jsonb_build_object('review', r.id, r.entity_type, r.entity_id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, 'review_answered:' || r.id as key,
                array[r.reviewer_id] as members
              from app.reviews r
              where r.id = $1 and r.status = 'active' and r.reply is not null",
    },
    Cause {
        event: "community_member.create",
        changed: &[],
        message: "community_invited",
        to_its_cause: false,
        sql: "select jsonb_build_object('community', c.name, 'by', b.display_name) as values,
                jsonb_build_object('community', c.id, 'community_member', m.id, 'user', b.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'community_invited:' || c.id || ':' || (m.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.community_members x
                      where x.community_id = m.community_id and x.user_id = m.user_id and x.id <= m.id
                        and x.created_at >= date_trunc('day', m.created_at, 'UTC')) as key,
                array[m.user_id] as members
              from app.community_members m join app.communities c on c.id = m.community_id join app.users b on b.id = m.added_by_id
              where m.id = $1 and m.status = 'active' and m.state = 'pending' and m.added_by_id <> m.user_id and c.status = 'active'",
    },
    Cause {
        event: "community_member.create",
        changed: &[],
        message: "community_asked",
        to_its_cause: false,
        sql: "select jsonb_build_object('community', c.name, 'member', u.display_name) as values,
                jsonb_build_object('community', c.id, 'community_member', m.id, 'user', u.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'community_asked:' || c.id || ':' || u.id || ':' || (m.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.community_members x
                      where x.community_id = m.community_id and x.user_id = m.user_id and x.id <= m.id
                        and x.created_at >= date_trunc('day', m.created_at, 'UTC')) as key,
                array(select unnest(app.admins_of(c.id))
                  union select x.user_id from app.community_members x
                  where x.community_id = c.id and x.role = 'moderator' and x.state = 'active' and x.status = 'active') as members
              from app.community_members m join app.communities c on c.id = m.community_id join app.users u on u.id = m.user_id
              where m.id = $1 and m.status = 'active' and m.state = 'pending' and m.added_by_id = m.user_id and c.join_policy = 'request'",
    },
    Cause {
        event: "community_member.approve",
        changed: &[],
        message: "community_joined",
        to_its_cause: false,
        sql: "select jsonb_build_object('community', c.name) as values, jsonb_build_object('community', c.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key, array[m.user_id] as members
              from app.community_members m join app.communities c on c.id = m.community_id
              where m.id = $1 and m.status = 'active' and m.state = 'active'",
    },
    Cause {
        event: "community_member.ban",
        changed: &[],
        message: "community_banned",
        to_its_cause: false,
        sql: "select jsonb_build_object('community', c.name) as values, jsonb_build_object('community', c.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'community_banned:' || c.id || ':' || (m.updated_at at time zone 'UTC')::date as key, array[m.user_id] as members
              from app.community_members m join app.communities c on c.id = m.community_id
              where m.id = $1 and m.state = 'banned'",
    },
    Cause {
        event: "role_assignment.create",
        changed: &[],
        message: "role_offered",
        to_its_cause: false,
        sql: "select jsonb_build_object('scope', coalesce(app.name_of(r.scope_id), 'CulturePass')) as values,
                jsonb_build_object('role_assignment', r.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at,
                'role_offered:' || coalesce(r.scope_id::text, 'platform') || ':' || (r.created_at at time zone 'UTC')::date || ':'
                  || (select least(count(*), 3) from app.role_assignments x
                      where x.user_id = r.user_id and x.scope_id is not distinct from r.scope_id and x.id <= r.id
                        and x.created_at >= date_trunc('day', r.created_at, 'UTC')) as key,
                array[r.user_id] as members
              from app.role_assignments r
              where r.id = $1 and r.status = 'active' and r.state = 'offered'",
    },
    Cause {
        event: "role_assignment.accept",
        changed: &[],
        message: "role_accepted",
        to_its_cause: false,
        sql: "select jsonb_build_object('member', u.display_name, 'scope', coalesce(app.name_of(r.scope_id), 'CulturePass')) as values,
                jsonb_build_object('role_assignment', r.id, 'user', u.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key, array[r.granted_by_id] as members
              from app.role_assignments r join app.users u on u.id = r.user_id
              where r.id = $1 and r.status = 'active' and r.state = 'accepted' and r.granted_by_id is not null",
    },
    Cause {
        event: "role_assignment.archive",
        changed: &[],
        message: "role_ended",
        to_its_cause: false,
        sql: "select jsonb_build_object('scope', coalesce(app.name_of(r.scope_id), 'CulturePass')) as values,
                jsonb_build_object('role_assignment', r.id) as data,
                null::uuid as event_id, null::timestamptz as expires_at, null::text as key, array[r.user_id] as members
              from app.role_assignments r
              where r.id = $1 and r.status = 'archived' and r.state = 'accepted'",
    },
];
