-- Six demonstration accounts to sign in as, and four hundred other members.

insert into app.users (id, handle, display_name, bio, email, home_city_id, is_public, locale, timezone, created_at)
select v.id::uuid, v.handle, v.display_name, v.bio, v.handle || '@example.org', c.id, v.is_public, 'en', c.timezone,
       now() - interval '400 days'
  from (values
    ('0199c000-0000-7000-8000-000000000001', 'paula_platform', 'Paula Platt', 'Keeps CulturePass going.', true),
    ('0199c000-0000-7000-8000-000000000002', 'carlo_council', 'Carlo Conti', 'Looks after culture for the city.', true),
    ('0199c000-0000-7000-8000-000000000003', 'olga_organiser', 'Olga Orlova', 'Organises concerts and festivals.', true),
    ('0199c000-0000-7000-8000-000000000004', 'binh_business', 'Binh Bui', 'Caters for up to five hundred.', true),
    ('0199c000-0000-7000-8000-000000000005', 'mira_member', 'Mira Mensah', 'Goes to everything.', true),
    ('0199c000-0000-7000-8000-000000000006', 'priya_private', 'Priya Perera', 'Rather not say.', false)
  ) v(id, handle, display_name, bio, is_public)
  join pg_temp.demo_city c on c.n = 1;

create temporary table demo_user on commit drop as
select n, pg_temp.demo_id('user', n) as id,
       pg_temp.pick_text(pg_temp.words('people') -> 'given', 'given' || n) as given,
       pg_temp.pick_text(pg_temp.words('people') -> 'family', 'family' || n) as family,
       1 + n % 8 as city_n
  from generate_series(1, 400) n;

insert into app.users (id, handle, display_name, bio, email, home_city_id, is_public, locale, timezone, created_at)
select u.id, pg_temp.handle(u.given, u.family, u.n), u.given || ' ' || u.family,
       case when u.n % 3 = 0 then null
            else pg_temp.pick_text(pg_temp.words('people') -> 'bios', 'bio' || u.n) end,
       pg_temp.handle(u.given, u.family, u.n) || '@example.org', c.id, u.n % 9 <> 0, 'en', c.timezone,
       now() - (20 + pg_temp.chance('joined' || u.n) % 380) * interval '1 day'
  from pg_temp.demo_user u
  join pg_temp.demo_city c on c.n = u.city_n;

-- The members who use the platform: all except the demonstration accounts that administer the platform
-- and a city.
create temporary table demo_member on commit drop as
select n, id, city_n from pg_temp.demo_user
union all
select 1000 + right(id::text, 1)::int, id, 1 from app.users
 where id between '0199c000-0000-7000-8000-000000000003' and '0199c000-0000-7000-8000-000000000006';
