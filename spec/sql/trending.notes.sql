-- Notes for the ranks what members do with events, in the statement that does it. The ranks: spec/sql/trending.sql.

-- Until when an event may be among the trending ones: its end, if it is published and public; otherwise null.
create function app.shown_until(p_event app.events) returns timestamptz
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when (p_event).status = 'active' and (p_event).state = 'published' and (p_event).visibility = 'public' then (p_event).ends_at
  end;
end
$$;
alter function app.shown_until(app.events) owner to <app>_owner;
revoke execute on function app.shown_until(app.events) from public;
grant execute on function app.shown_until(app.events) to <app>_app, <app>_counter, <app>_job;

-- Notes each changed row; for a very large statement, only that everything has to be checked.
create function app.note_likes() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' and (select count(*) from (select from added limit 5001) a) > 5000 then
    insert into app.rank_notes (kind) values ('all');
  elsif tg_op = 'INSERT' then
    insert into app.rank_notes (kind, actor_id, object_id) select 'like', a.user_id, a.event_id from added a;
  else
    insert into app.rank_notes (kind, actor_id, object_id)
    select distinct 'like', x.user_id, x.event_id
    from added a join removed r on r.id = a.id
    cross join lateral (values (a.user_id, a.event_id), (r.user_id, r.event_id)) x(user_id, event_id)
    where (a.status, a.user_id, a.event_id) is distinct from (r.status, r.user_id, r.event_id);
  end if;
  return null;
end
$$;
alter function app.note_likes() owner to <app>_counter;
revoke execute on function app.note_likes() from public;
grant insert (id, kind, actor_id, object_id) on app.rank_notes to <app>_counter;

create trigger likes_trend after insert on app.likes
  referencing new table as added for each statement execute function app.note_likes();

create trigger likes_trend_changed after update on app.likes
  referencing new table as added old table as removed for each statement execute function app.note_likes();

create function app.note_follows() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' and (select count(*) from (select from added limit 5001) a) > 5000 then
    insert into app.rank_notes (kind) values ('all');
  elsif tg_op = 'INSERT' then
    insert into app.rank_notes (kind, actor_id, object_id)
    select 'follow', a.follower_id, a.entity_id from added a where a.entity_type <> 'user';
  else
    insert into app.rank_notes (kind, actor_id, object_id)
    select distinct 'follow', x.follower_id, x.entity_id
    from added a join removed r on r.id = a.id
    cross join lateral (values (a.follower_id, a.entity_type, a.entity_id), (r.follower_id, r.entity_type, r.entity_id))
      x(follower_id, entity_type, entity_id)
    where (a.status, a.follower_id, a.entity_id) is distinct from (r.status, r.follower_id, r.entity_id)
      and x.entity_type <> 'user';
  end if;
  return null;
end
$$;
alter function app.note_follows() owner to <app>_counter;
revoke execute on function app.note_follows() from public;

create trigger follows_trend after insert on app.follows
  referencing new table as added for each statement execute function app.note_follows();

create trigger follows_trend_changed after update on app.follows
  referencing new table as added old table as removed for each statement execute function app.note_follows();

create function app.note_tickets() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into app.rank_notes (kind, actor_id, object_id) select distinct 'ticket', a.buyer_id, a.event_id from added a
    where a.buyer_id is not null;
  else
    insert into app.rank_notes (kind, actor_id, object_id)
    select distinct 'ticket', x.buyer_id, x.event_id
    from added a join removed r on r.id = a.id
    cross join lateral (values (a.buyer_id, a.event_id), (r.buyer_id, r.event_id)) x(buyer_id, event_id)
    where x.buyer_id is not null and (a.state in ('valid', 'checked_in'), a.paid_cents > 0, a.buyer_id, a.event_id)
      is distinct from (r.state in ('valid', 'checked_in'), r.paid_cents > 0, r.buyer_id, r.event_id);
  end if;
  return null;
end
$$;
alter function app.note_tickets() owner to <app>_counter;
revoke execute on function app.note_tickets() from public;

create trigger tickets_trend after insert on app.tickets
  referencing new table as added for each statement execute function app.note_tickets();

create trigger tickets_trend_changed after update on app.tickets
  referencing new table as added old table as removed for each statement execute function app.note_tickets();

create function app.note_attendances() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into app.rank_notes (kind, actor_id, object_id) select 'check_in', a.user_id, a.event_id from added a;
  return null;
end
$$;
alter function app.note_attendances() owner to <app>_counter;
revoke execute on function app.note_attendances() from public;

create trigger attendances_trend after insert on app.attendances
  referencing new table as added for each statement execute function app.note_attendances();

create function app.note_visits() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into app.rank_notes (kind, actor_id, object_id) select a.kind, a.user_id, a.event_id from added a;
  return null;
end
$$;
alter function app.note_visits() owner to <app>_counter;
revoke execute on function app.note_visits() from public;

create trigger visits_trend after insert on app.visits
  referencing new table as added for each statement execute function app.note_visits();

-- The actions of a member don't count while the account is suspended or archived.
create function app.note_accounts() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into app.rank_notes (kind, actor_id) values ('actor', new.id);
  return null;
end
$$;
alter function app.note_accounts() owner to <app>_counter;
revoke execute on function app.note_accounts() from public;

create trigger users_trend after update of status on app.users
  for each row when (new.status is distinct from old.status) execute function app.note_accounts();

-- An event that is cancelled, hidden, moved or published again leaves or joins the trending ones in the same
-- transaction.
create function app.note_shown() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.event_ranks r set shown_until = app.shown_until(new) where r.event_id = new.id;
  insert into app.rank_notes (kind, object_id) values ('event', new.id);
  return null;
end
$$;
alter function app.note_shown() owner to <app>_counter;
revoke execute on function app.note_shown() from public;
grant update (shown_until) on app.event_ranks to <app>_counter;

create trigger events_trend after update of status, state, visibility, ends_at on app.events
  for each row when (app.shown_until(new) is distinct from app.shown_until(old)) execute function app.note_shown();

-- The end of an event while feeds may show it: published and not unlisted. The access rules decide who sees it.
create function app.listed_until(p_event app.events) returns timestamptz
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when (p_event).status = 'active' and (p_event).state = 'published' and (p_event).visibility <> 'unlisted' then (p_event).ends_at
  end;
end
$$;
alter function app.listed_until(app.events) owner to <app>_owner;
revoke execute on function app.listed_until(app.events) from public;
grant execute on function app.listed_until(app.events) to <app>_app, <app>_counter, <app>_job;

-- Feeds show what was published last, whenever its draft was begun. Publishing an event again doesn't make it new.
create function app.announce_event() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_until constant timestamptz := app.listed_until(new);
  v_venue constant uuid := case when app.may_announce_at(new.host_id, new.venue_id) then new.venue_id end;
begin
  update app.event_announcements a set host_id = new.host_id, venue_id = v_venue, shown_until = v_until
  where a.event_id = new.id;
  if not found and v_until is not null then
    insert into app.event_announcements (event_id, host_id, venue_id, shown_until)
    values (new.id, new.host_id, v_venue, v_until);
  end if;
  return null;
end
$$;
alter function app.announce_event() owner to <app>_counter;
revoke execute on function app.announce_event() from public;
grant select, insert, update on app.event_announcements to <app>_counter;

create trigger events_announce after insert on app.events
  for each row when (app.listed_until(new) is not null) execute function app.announce_event();

create trigger events_announce_changed after update of status, state, visibility, ends_at, host_id, venue_id on app.events
  for each row when (
    (app.listed_until(new), new.host_id, new.venue_id) is distinct from (app.listed_until(old), old.host_id, old.venue_id)
  ) execute function app.announce_event();

-- The facts that count, except follows, which count for the events that were published when the follow began.
create view app.rank_facts with (security_invoker = true) as
  select l.user_id as actor_id, l.event_id, 'like' as kind, l.created_at as at from app.likes l where l.status = 'active'
  union all
  select a.user_id, a.event_id, 'check_in', a.created_at from app.attendances a
  union all
  select v.user_id, v.event_id, v.kind, v.created_at from app.visits v
  union all
  select t.buyer_id, t.event_id, case when t.paid_cents > 0 then 'ticket' else 'rsvp' end, t.created_at
  from app.tickets t where t.state in ('valid', 'checked_in') and t.buyer_id is not null;
alter view app.rank_facts owner to <app>_owner;
grant select on app.rank_facts to <app>_job;

-- Since when a fact holds that counts; null if it doesn't. It is asked for each action of a batch, so it keeps its plans
-- although its callers plan anew, and these use the indexes however small the tables were when they were made.
create function app.rank_fact(p_actor uuid, p_event uuid, p_kind text) returns timestamptz
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = on as $$
begin
  return case p_kind
    when 'like' then (
      select min(l.created_at) from app.likes l where l.user_id = p_actor and l.event_id = p_event and l.status = 'active')
    when 'check_in' then (
      select min(a.created_at) from app.attendances a where a.user_id = p_actor and a.event_id = p_event)
    when 'view' then (
      select v.created_at from app.visits v where v.user_id = p_actor and v.event_id = p_event and v.kind = 'view')
    when 'share' then (
      select v.created_at from app.visits v where v.user_id = p_actor and v.event_id = p_event and v.kind = 'share')
    when 'follow' then (
      select min(f.created_at) from app.follows f join app.events e on f.entity_id in (e.host_id, e.venue_id)
      where e.id = p_event and f.follower_id = p_actor and f.status = 'active')
    else (
      select min(t.created_at) from app.tickets t
      where t.buyer_id = p_actor and t.event_id = p_event and t.state in ('valid', 'checked_in')
        and (t.paid_cents > 0) = (p_kind = 'ticket'))
  end;
end
$$;
alter function app.rank_fact(uuid, uuid, text) owner to <app>_owner;
revoke execute on function app.rank_fact(uuid, uuid, text) from public;
grant execute on function app.rank_fact(uuid, uuid, text) to <app>_job;

-- The events that a follow counts for: the next ten of those that were published when it began. It keeps its plan for
-- the same reason.
create function app.followed_events(p_entity uuid, p_at timestamptz) returns setof uuid
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
  return query
  select e.id from app.events e
  where (e.host_organization_id = p_entity or e.host_community_id = p_entity or e.host_business_id = p_entity
      or e.host_institution_id = p_entity or e.venue_id = p_entity and app.may_announce_at(e.host_id, p_entity))
    and e.status = 'active' and e.state = 'published' and e.created_at <= p_at and e.ends_at > now()
  order by e.starts_at, e.id limit 10;
end
$$;
alter function app.followed_events(uuid, timestamptz) owner to <app>_owner;
revoke execute on function app.followed_events(uuid, timestamptz) from public;
grant execute on function app.followed_events(uuid, timestamptz) to <app>_job;
