-- Ratings: sums of reviews, updated by the statement that writes a review, and the ranking of profiles by them.

-- The score of a profile: the average as if ten more reviewers had given the city's average, or three stars if the city
-- has none yet.
create function app.rating_score(p_stars bigint, p_votes int, p_mean numeric) returns numeric
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return (10 * coalesce(p_mean, 3) + p_stars) / (10 + p_votes);
end
$$;
alter function app.rating_score(bigint, int, numeric) owner to <app>_owner;
revoke execute on function app.rating_score(bigint, int, numeric) from public;
grant execute on function app.rating_score(bigint, int, numeric) to <app>_counter, <app>_job;

-- Adds the changes of a statement, row by row in the order of ids, so that two statements never deadlock.
create function app.sum_up_reviews() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row record;
begin
  if tg_op = 'INSERT' then
    for v_row in
      select a.entity_type, a.entity_id, array_agg(a.rating) as ratings, array_agg(1) as signs from added a
      where a.status = 'active' group by 1, 2 order by 2
    loop
      perform app.add_ratings(v_row.entity_type, v_row.entity_id, v_row.ratings, v_row.signs);
    end loop;
  else
    for v_row in
      select x.entity_type, x.entity_id, array_agg(x.rating) as ratings, array_agg(x.sign) as signs
      from (
        select a.entity_type, a.entity_id, a.rating, 1 as sign from added a where a.status = 'active'
        union all
        select r.entity_type, r.entity_id, r.rating, -1 from removed r where r.status = 'active'
      ) x group by 1, 2 order by 2
    loop
      perform app.add_ratings(v_row.entity_type, v_row.entity_id, v_row.ratings, v_row.signs);
    end loop;
  end if;
  return null;
end
$$;
alter function app.sum_up_reviews() owner to <app>_counter;
revoke execute on function app.sum_up_reviews() from public;

create trigger reviews_rate after insert on app.reviews
  referencing new table as added for each statement execute function app.sum_up_reviews();

create trigger reviews_rate_changed after update on app.reviews
  referencing new table as added old table as removed for each statement execute function app.sum_up_reviews();

-- Adds ratings to the sums of one profile. Each rating counts +1 if it is added and -1 if it is removed.
create function app.add_ratings(p_type text, p_target uuid, p_ratings int[], p_signs int[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_city uuid;
  v_sums record;
begin
  select count(*) filter (where x.sign <> 0) as changes,
    coalesce(sum(x.sign) filter (where x.rating = 1), 0)::int as one, coalesce(sum(x.sign) filter (where x.rating = 2), 0)::int as two,
    coalesce(sum(x.sign) filter (where x.rating = 3), 0)::int as three, coalesce(sum(x.sign) filter (where x.rating = 4), 0)::int as four,
    coalesce(sum(x.sign) filter (where x.rating = 5), 0)::int as five, sum(x.sign)::int as votes, sum(x.sign * x.rating)::bigint as stars
  into v_sums from unnest(p_ratings, p_signs) x(rating, sign);
  if (v_sums.one, v_sums.two, v_sums.three, v_sums.four, v_sums.five) = (0, 0, 0, 0, 0) then
    return;
  end if;
  v_city := case p_type
    when 'organization' then (select o.city_id from app.organizations o where o.id = p_target)
    when 'business' then (select b.city_id from app.businesses b where b.id = p_target)
    when 'venue' then (select v.city_id from app.venues v where v.id = p_target)
    else (select c.city_id from app.communities c where c.id = p_target)
  end;
  insert into app.ratings (target_id, target_type, city_id) values (p_target, p_type, v_city) on conflict (target_id) do nothing;
  update app.ratings r set
    one = r.one + v_sums.one, two = r.two + v_sums.two, three = r.three + v_sums.three, four = r.four + v_sums.four,
    five = r.five + v_sums.five, votes = r.votes + v_sums.votes, stars = r.stars + v_sums.stars,
    score = app.rating_score(r.stars + v_sums.stars, r.votes + v_sums.votes,
      (select m.mean from app.rating_means m where m.city_id = r.city_id and m.target_type = r.target_type))
  where r.target_id = p_target;
end
$$;
alter function app.add_ratings(text, uuid, int[], int[]) owner to <app>_counter;
revoke execute on function app.add_ratings(text, uuid, int[], int[]) from public;
grant insert (id, target_id, target_type, city_id) on app.ratings to <app>_counter;
grant update (one, two, three, four, five, votes, stars, score) on app.ratings to <app>_counter;

-- Updates the averages of cities and the scores that depend on them. Returns the number of scores that changed.
create function app.refresh_ratings() returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_changed bigint;
begin
  insert into app.rating_means as m (city_id, target_type, mean)
  select r.city_id, r.target_type, sum(r.stars)::numeric / sum(r.votes) from app.ratings r
  group by 1, 2 having sum(r.votes) > 0 order by 1, 2
  on conflict (city_id, target_type) do update set mean = excluded.mean where m.mean <> excluded.mean;
  -- Where no review is left, for example after a moderator has taken away a flood of them, the next one counts as the first.
  delete from app.rating_means m
  where not exists (select from app.ratings r where r.city_id = m.city_id and r.target_type = m.target_type and r.votes > 0);
  -- Computed from the columns of the updated row, so that a review that is committed meanwhile counts.
  with changed as (
    update app.ratings r set score = app.rating_score(r.stars, r.votes, m.mean)
    from app.rating_means m
    where m.city_id = r.city_id and m.target_type = r.target_type
      and r.score <> app.rating_score(r.stars, r.votes, m.mean)::numeric(20, 9)
    returning 1
  )
  select count(*) into v_changed from changed;
  return v_changed;
end
$$;
alter function app.refresh_ratings() owner to <app>_owner;
revoke execute on function app.refresh_ratings() from public;
grant execute on function app.refresh_ratings() to <app>_job;

-- Profiles of one kind in a city, best first, after a given position. `p_seen`: without those that the caller may not
-- see; otherwise the caller of this function must apply the access rules to the result.
create function app.top_rated(p_city uuid, p_type text, p_score numeric, p_target uuid, p_limit int, p_seen boolean) returns table (target_id uuid, score numeric)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select r.target_id, r.score from app.ratings r
  where r.city_id = p_city and r.target_type = p_type and r.votes > 0
    and (r.score, r.target_id) < (coalesce(p_score, 'Infinity'), coalesce(p_target, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    and (not p_seen or 'active' = case p_type
      when 'organization' then sec.seen_organization(r.target_id)
      when 'business' then sec.seen_business(r.target_id)
      when 'venue' then sec.seen_venue(r.target_id)
      else sec.seen_community(r.target_id)
    end)
  order by r.score desc, r.target_id desc limit p_limit;
end
$$;
alter function app.top_rated(uuid, text, numeric, uuid, int, boolean) owner to <app>_authz;
revoke execute on function app.top_rated(uuid, text, numeric, uuid, int, boolean) from public;
grant execute on function app.top_rated(uuid, text, numeric, uuid, int, boolean) to <app>_app, <app>_job;

-- The numbers of reviews of a profile with one to five stars.
create function app.stars_of(p_target uuid) returns int[]
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce(
    (select array[r.one, r.two, r.three, r.four, r.five] from app.ratings r where r.target_id = p_target), '{0,0,0,0,0}');
end
$$;
alter function app.stars_of(uuid) owner to <app>_authz;
revoke execute on function app.stars_of(uuid) from public;
grant execute on function app.stars_of(uuid) to <app>_app, <app>_job;

-- Whether a member was a guest: they were checked in to an event of this host or at this venue; or they hold a ticket,
-- not refunded, to one that has begun; or, for a business, they have accepted one of its quotes.
create function app.is_guest(p_member uuid, p_type text, p_target uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.attendances a join app.events e on e.id = a.event_id
    where a.user_id = p_member and p_target = case p_type when 'venue' then e.venue_id else e.host_id end
  ) or exists (
    select from app.tickets t join app.events e on e.id = t.event_id
    where t.holder_id = p_member and t.state in ('valid', 'checked_in') and t.refund_id is null
      and e.starts_at <= now() and e.state in ('published', 'completed')
      and p_target = case p_type when 'venue' then e.venue_id else e.host_id end
  ) or p_type = 'business' and exists (
    select from app.quotes q join app.leads l on l.id = q.lead_id
    where q.accepted_by_id = p_member and q.state = 'accepted' and l.business_id = p_target
  );
end
$$;
alter function app.is_guest(uuid, text, uuid) owner to <app>_authz;
revoke execute on function app.is_guest(uuid, text, uuid) from public;

-- Whether only guests may write reviews.
create function app.takes_guests_alone() returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.review_policies p where p.name = 'reviews' and p.guests_only);
end
$$;
alter function app.takes_guests_alone() owner to <app>_authz;
revoke execute on function app.takes_guests_alone() from public;

-- Whether a new review by the caller is refused, because only guests may write reviews and the caller wasn't one.
-- `p_guests` is the setting of the server that asks, which may be newer than the stored one.
create function app.refuses_review(p_type text, p_target uuid, p_guests boolean) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (p_guests or app.takes_guests_alone()) and not app.is_guest(sec.uid(), p_type, p_target);
end
$$;
alter function app.refuses_review(text, uuid, boolean) owner to <app>_authz;
revoke execute on function app.refuses_review(text, uuid, boolean) from public;
grant execute on function app.refuses_review(text, uuid, boolean) to <app>_app;

-- Refuses reviews by members who were not guests, if only guests may write reviews, whatever role inserts them.
create function app.guard_review() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if app.takes_guests_alone() and not app.is_guest(new.reviewer_id, new.entity_type, new.entity_id) then
    raise exception 'the reviewer was not there' using errcode = '23514', constraint = 'reviews_guest';
  end if;
  return new;
end
$$;
alter function app.guard_review() owner to <app>_authz;
revoke execute on function app.guard_review() from public;

create trigger reviews_guest before insert on app.reviews
  for each row execute function app.guard_review();

-- Stores whether only guests may write reviews. Returns whether that changed.
create function app.keep_review_policy(p_guests_only boolean) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into app.review_policies as p (name, guests_only) values ('reviews', p_guests_only)
  on conflict (name) do update set guests_only = excluded.guests_only where p.guests_only <> excluded.guests_only;
  return found;
end
$$;
alter function app.keep_review_policy(boolean) owner to <app>_owner;
revoke execute on function app.keep_review_policy(boolean) from public;
grant execute on function app.keep_review_policy(boolean) to <app>_job;
