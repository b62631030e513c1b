-- Which pictures are served, and which are kept without being served.

-- Whether the owner of pictures (a member, profile, venue or event) is suspended or archived.
create function app.is_withdrawn(p_id uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.users x where x.id = p_id and x.status <> 'active')
    or exists (select from app.communities x where x.id = p_id and x.status <> 'active')
    or exists (select from app.organizations x where x.id = p_id and x.status <> 'active')
    or exists (select from app.businesses x where x.id = p_id and x.status <> 'active')
    or exists (select from app.venues x where x.id = p_id and x.status <> 'active')
    or exists (select from app.institutions x where x.id = p_id and x.status <> 'active')
    or exists (select from app.events x where x.id = p_id and x.status <> 'active');
end
$$;
alter function app.is_withdrawn(uuid) owner to <app>_owner;
revoke execute on function app.is_withdrawn(uuid) from public;
grant execute on function app.is_withdrawn(uuid) to <app>_authz, <app>_job;

-- Whether the files of a picture are served: neither the picture nor its owner, nor the host or owner of that event or
-- venue, is suspended or archived.
create function app.is_served(p_media uuid) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.media m
    left join app.events e on e.id = m.entity_event_id
    left join app.venues v on v.id = m.entity_venue_id
    where m.id = p_media and m.status = 'active' and not app.is_withdrawn(m.entity_id)
      and not app.is_withdrawn(e.host_id) and not app.is_withdrawn(v.owner_id));
end
$$;
alter function app.is_served(uuid) owner to <app>_owner;
revoke execute on function app.is_served(uuid) from public;
grant execute on function app.is_served(uuid) to <app>_job;

-- Active pictures of a profile or member, and of its events and venues.
create function app.pictures_below(p_id uuid) returns setof uuid
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select m.id from app.media m where m.entity_id = p_id and m.status = 'active'
  union
  select m.id from app.events e join app.media m on m.entity_event_id = e.id where e.host_id = p_id and m.status = 'active'
  union
  select m.id from app.venues v join app.media m on m.entity_venue_id = v.id where v.owner_id = p_id and m.status = 'active';
end
$$;
alter function app.pictures_below(uuid) owner to <app>_owner;
revoke execute on function app.pictures_below(uuid) from public;
grant execute on function app.pictures_below(uuid) to <app>_job;

-- Whether the same file is suspended as a picture of the same target, also if it was archived since.
create function app.picture_is_suspended(p_type text, p_entity uuid, p_hash text) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.media m
    where m.entity_id = p_entity and m.entity_type = p_type and m.content_hash = p_hash
      and (m.status = 'suspended' or m.archived_from = 'suspended')
  );
end
$$;
alter function app.picture_is_suspended(text, uuid, text) owner to <app>_counter;
revoke execute on function app.picture_is_suspended(text, uuid, text) from public;
grant execute on function app.picture_is_suspended(text, uuid, text) to <app>_job;

create function app.keep_pictures_suspended() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if app.picture_is_suspended(new.entity_type, new.entity_id, new.content_hash) then
    raise exception 'the same picture is suspended here' using errcode = '23514', constraint = 'media_suspended_before';
  end if;
  return new;
end
$$;
alter function app.keep_pictures_suspended() owner to <app>_owner;
revoke execute on function app.keep_pictures_suspended() from public;

create trigger media_suspended_before before insert on app.media
  for each row execute function app.keep_pictures_suspended();
