-- Memberships, follows, likes and reviews.

insert into app.community_members (id, community_id, user_id, added_by_id, role, state)
select pg_temp.demo_id('membership', m.n * 10000 + p.city_n * 100 + p.i), p.id, m.id, m.id,
       case when pg_temp.chance('moderates' || m.n || p.key) % 14 = 0 then 'moderator' else 'member' end,
       case when p.i % 3 = 0 and pg_temp.chance('pending' || m.n || p.key) % 6 = 0 then 'pending' else 'active' end
  from pg_temp.demo_member m
  join pg_temp.demo_profile p on p.kind = 'community' and p.city_n = m.city_n
 where pg_temp.chance('joins' || m.n || p.key) % 5 = 0;

insert into app.follows (id, follower_id, entity_type, entity_id)
select pg_temp.demo_id('follow', row_number() over (order by m.n, p.kind, p.city_n, p.i)), m.id, p.kind, p.id
  from pg_temp.demo_member m
  join pg_temp.demo_profile p on p.city_n = m.city_n
 where pg_temp.chance('follows' || m.n || p.key) % 9 = 0;

insert into app.follows (id, follower_id, entity_type, entity_id)
select pg_temp.demo_id('friend', a.n * 10000 + b.n), a.id, 'user', b.id
  from pg_temp.demo_member a
  join pg_temp.demo_member b on b.city_n = a.city_n and b.id <> a.id
 where pg_temp.chance('friend' || a.n || '.' || b.n) % 20 = 0;

-- A few events have many more likes than the others.
insert into app.likes (id, user_id, event_id)
select pg_temp.demo_id('like', m.n * 10000 + e.city_n * 100 + e.i), m.id, e.id
  from pg_temp.demo_member m
  join pg_temp.demo_event e on e.city_n = m.city_n and e.state <> 'draft'
 where pg_temp.chance('likes' || m.n || e.key) % (3 + pg_temp.chance('loved' || e.key) % 25) = 0;

insert into app.reviews (id, reviewer_id, entity_type, entity_id, rating, comment, reply)
select pg_temp.demo_id('review', row_number() over (order by r.n, r.kind, r.city_n, r.i)), r.user_id, r.kind, r.id, r.rating,
       pg_temp.pick_text(pg_temp.words('reviews') -> r.rating::text, 'comment' || r.n || r.key),
       case when pg_temp.chance('reply' || r.n || r.key) % 4 = 0
            then pg_temp.pick_text(pg_temp.words('reviews') -> 'replies', 'says' || r.n || r.key) end
  from (
    select m.n, m.id as user_id, p.kind, p.id, p.city_n, p.i, p.key,
           (array[5, 5, 5, 5, 4, 4, 4, 3, 3, 2, 5, 4, 5, 1])[1 + pg_temp.chance('rates' || m.n || p.key) % 14] as rating
      from pg_temp.demo_member m
      join pg_temp.demo_profile p
        on p.city_n = m.city_n
       and (p.kind = 'venue' or p.kind = 'community' and p.i < 9 or p.kind = 'organization' and p.i < 7
            or p.kind = 'business' and p.i < 6)
     where pg_temp.chance('reviews' || m.n || p.key) % 8 = 0) r;

insert into app.notifications (id, user_id, title, message, type, dedupe_key)
select pg_temp.demo_id('notification', m.n * 10 + g), m.id, v.title, v.message, v.type, 'demo:' || g
  from pg_temp.demo_member m
  join (values (1, 'Welcome to CulturePass', 'Follow a community or a venue, and its events come to you.', 'system'),
               (2, 'New near you', 'Three events this weekend are within walking distance.', 'system')) v(g, title, message, type)
    on true
 where m.n % 10 = 5 or m.n > 1000;
