insert into app.cities (country_id, name, slug, timezone, location, population)
select c.id, r.name, r.slug, r.timezone,
       st_setsrid(st_makepoint(r.longitude, r.latitude), 4326)::geography, r.population
  from pg_temp.reference_city r
  join app.countries c on c.code = r.country and c.status = 'active'
 where not exists (
         select from app.cities o where o.country_id = c.id and o.slug = r.slug and o.status <> 'archived')
 order by r.country, r.population desc, r.slug
