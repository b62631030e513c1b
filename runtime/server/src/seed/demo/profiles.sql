-- Institutions, communities, organisations, businesses and venues of each city.

create temporary table demo_profile on commit drop as
select kind, c.n as city_n, c.id as city_id, c.name as city, i,
       pg_temp.demo_id(kind, c.n * 100 + i) as id,
       kind || c.n || '.' || i as key,
       pg_temp.pick(c.place -> 'areas', kind || 'area' || c.n || '.' || i) as area,
       pg_temp.pick_text(c.place -> 'streets', kind || 'street' || c.n || '.' || i) as street,
       pg_temp.words('profiles') -> 'cultures' ->> ((c.n * 5 + i * 3) % 24) as culture,
       pg_temp.pick_text(pg_temp.words('people') -> 'family', kind || 'surname' || c.n || '.' || i) as surname,
       null::text as name, null::text as description, null::text as slug, null::text as category
  from pg_temp.demo_city c
  cross join (values ('institution', 1), ('community', 9), ('organization', 7), ('business', 6), ('venue', 10)) k(kind, many)
  cross join lateral generate_series(1, many) i;

update pg_temp.demo_profile p set
  name = pg_temp.filled(case p.kind
    when 'institution' then c.place ->> 'institution'
    when 'community' then case when p.i <= 5 then w -> 'community_names' ->> (p.i + p.city_n) % 6
                               else w -> 'interest_communities' ->> (p.i * 3 + p.city_n) % 10 end
    when 'organization' then w -> 'organizations' ->> (p.i + p.city_n) % 10
    when 'business' then w -> 'businesses' -> (p.i + p.city_n) % 10 ->> 'name'
    else w -> 'venues' ->> (p.i + p.city_n) % 14 end,
    p.city, p.area ->> 'name', p.culture, p.surname),
  description = case p.kind
    when 'institution' then 'Supports festivals, halls and artists of the city, and says yes more often than you think.'
    when 'community' then pg_temp.pick_text(w -> 'community_descriptions', 'about' || p.key)
    when 'organization' then pg_temp.pick_text(w -> 'organization_descriptions', 'about' || p.key)
    when 'business' then pg_temp.pick_text(w -> 'business_descriptions', 'about' || p.key)
    else pg_temp.pick_text(w -> 'venue_descriptions', 'about' || p.key) end,
  category = w -> 'businesses' -> (p.i + p.city_n) % 10 ->> 'category'
  from pg_temp.demo_city c, pg_temp.words('profiles') w
 where c.n = p.city_n;

-- If several profiles of a city have the same name, the slugs of all but the first get a number.
update pg_temp.demo_profile p set slug = pg_temp.slug(p.name) || case when x.nth > 1 then '-' || x.nth else '' end
  from (select kind, city_n, i, row_number() over (partition by kind, city_n, pg_temp.slug(name) order by i) as nth
          from pg_temp.demo_profile) x
 where (x.kind, x.city_n, x.i) = (p.kind, p.city_n, p.i);

create function pg_temp.near(p_area jsonb, p_key text) returns geography language sql immutable as $$
  select st_setsrid(st_makepoint(
           (p_area ->> 'lng')::float8 + (pg_temp.chance('lng' || p_key) % 200 - 100) / 10000.0,
           (p_area ->> 'lat')::float8 + (pg_temp.chance('lat' || p_key) % 200 - 100) / 12000.0), 4326)::geography
$$;

insert into app.institutions (id, city_id, name, slug, type, description, website, location)
select id, city_id, name, slug, 'council', description, 'https://' || slug || '.example', pg_temp.near(area, key)
  from pg_temp.demo_profile where kind = 'institution';

insert into app.communities (id, city_id, name, slug, description, visibility, join_policy, verified, social_links)
select id, city_id, name, slug, description, case when i = 9 then 'private' else 'public' end,
       case when i = 9 then 'invite' when i % 3 = 0 then 'request' else 'open' end, i % 2 = 0,
       jsonb_build_object('website', 'https://' || slug || '.example')
  from pg_temp.demo_profile where kind = 'community';

insert into app.organizations (id, city_id, name, slug, description, website, contact_email, verified, state)
select id, city_id, name, slug, description, 'https://' || slug || '.example', 'hello@' || slug || '.example',
       i % 2 = 1, case when i = 7 then 'pending' else 'approved' end
  from pg_temp.demo_profile where kind = 'organization';

insert into app.businesses (id, city_id, name, slug, description, category, website, contact_email, location,
                            price_band, verified, state)
select id, city_id, name, slug, description, category, 'https://' || slug || '.example',
       'hello@' || slug || '.example', pg_temp.near(area, key), 1 + pg_temp.chance(key) % 4, i % 2 = 1,
       case when i = 6 then 'pending' else 'approved' end
  from pg_temp.demo_profile where kind = 'business';

insert into app.venues (id, city_id, owner_type, owner_id, name, slug, description, address, location, capacity,
                        accessibility, opening_hours, verified)
select v.id, v.city_id, o.kind, o.id, v.name, v.slug, v.description,
       (1 + pg_temp.chance('number' || v.key) % 240) || ' ' || v.street || ', ' || (v.area ->> 'name'),
       pg_temp.near(v.area, v.key), 60 + 20 * (pg_temp.chance('capacity' || v.key) % 45),
       array(select distinct pg_temp.pick_text(pg_temp.words('profiles') -> 'accessibility', v.key || g)
               from generate_series(1, 3) g),
       jsonb_build_object('friday', '17:00-23:30', 'saturday', '12:00-23:30', 'sunday', '12:00-20:00'), v.i % 2 = 0
  from pg_temp.demo_profile v
  join pg_temp.demo_profile o
    on o.city_n = v.city_n
   and (o.kind, o.i) = (case v.i % 4 when 0 then 'institution' when 3 then 'business' else 'organization' end,
                        case v.i % 4 when 0 then 1 else 1 + v.i % 5 end)
 where v.kind = 'venue';

insert into app.grant_announcements (id, institution_id, title, description, amount_cents, currency, opens_at, closes_at)
select pg_temp.demo_id('grant', p.city_n * 10 + g), p.id,
       pg_temp.words('profiles') -> 'grants' ->> (p.city_n + g) % 4,
       'For associations and artists of ' || p.city || '. Two pages and a budget are enough to apply.',
       500000 * (g + 1), c.currency, now() - interval '10 days', now() + (20 + 15 * g) * interval '1 day'
  from pg_temp.demo_profile p
  join pg_temp.demo_city c on c.n = p.city_n
  cross join generate_series(1, 2) g
 where p.kind = 'institution';
