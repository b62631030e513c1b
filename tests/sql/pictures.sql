-- Two pictures for each profile and for 200 events of the demonstration. Their files don't exist.
insert into app.media (id, entity_type, entity_id, url, medium_url, small_url, alt_text, position, storage_key, width, height, bytes, content_hash)
select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(h, 13, 3) || '-8' || substr(h, 16, 3) || '-' || substr(h, 19, 12))::uuid,
       kind, id, base || '1600.jpg', base || '800.jpg', base || '320.jpg', alt, g, h::uuid, 1600, 1067, 250000, h || h
  from (select 'community' as kind, id, name as alt from app.communities
        union all select 'organization', id, name from app.organizations
        union all select 'business', id, name from app.businesses
        union all select 'venue', id, name from app.venues
        union all select 'institution', id, name from app.institutions
        union all (select 'event', id, title from app.events order by id limit 200)) x
  cross join generate_series(1, 2) g
  cross join lateral (select md5('picture' || x.id || g) as h) y
  cross join lateral (select 'https://media.example.org/' || h::uuid || '/' as base) z;
