-- Ids are made of the place in this list, so that a demonstration world is the same wherever it is loaded.
insert into app.cities (id, country_id, name, slug, timezone, location, population)
select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(m, 1, 3) || '-8' || substr(m, 4, 3) || '-' || substr(m, 7, 12))::uuid,
       country_id, name, slug, timezone, location, population
  from (select lpad(to_hex(1760300000000 + row_number() over (order by r.country, r.population desc, r.slug)), 12, '0') as h,
               md5('city' || r.country || r.slug) as m,
               c.id as country_id, r.name, r.slug, r.timezone,
               st_setsrid(st_makepoint(r.longitude, r.latitude), 4326)::geography as location, r.population
          from pg_temp.reference_city r
          join app.countries c on c.code = r.country and c.status = 'active'
         where not exists (
                 select from app.cities o where o.country_id = c.id and o.slug = r.slug and o.status <> 'archived')) x
