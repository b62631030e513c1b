-- What a city has verified is a profile with a certain name.

-- A new name takes the mark back, so that nobody gets it for one name and shows it beside another.
create function app.verified_by_name() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.verified := false;
  return new;
end
$$;
alter function app.verified_by_name() owner to <app>_owner;
revoke execute on function app.verified_by_name() from public;

create trigger organizations_verified_by_name before update of name on app.organizations
  for each row when (old.verified and new.name <> old.name) execute function app.verified_by_name();

create trigger communities_verified_by_name before update of name on app.communities
  for each row when (old.verified and new.name <> old.name) execute function app.verified_by_name();

create trigger businesses_verified_by_name before update of name on app.businesses
  for each row when (old.verified and new.name <> old.name) execute function app.verified_by_name();

create trigger institutions_verified_by_name before update of name on app.institutions
  for each row when (old.verified and new.name <> old.name) execute function app.verified_by_name();

create trigger venues_verified_by_name before update of name on app.venues
  for each row when (old.verified and new.name <> old.name) execute function app.verified_by_name();
