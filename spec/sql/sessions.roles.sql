-- Roles of accounts that come back.

-- A role does not come back with an account if somebody else holds it by then: whoever administers a profile now could not
-- see the archived role, and so not end it, and would be dismissed by its former administrator. It can be offered again.
-- A role that nobody else holds comes back, so that the profile is not left without an administrator.
create function app.end_replaced_roles() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.role_assignments r set archived_with = null
  where r.user_id = new.id and r.archived_with = new.id and r.status = 'archived' and exists (
    select from app.role_assignments o
    where o.role = r.role and o.scope_id is not distinct from r.scope_id and o.user_id <> new.id
      and o.state = 'accepted' and o.status <> 'archived');
  return null;
end
$$;
alter function app.end_replaced_roles() owner to <app>_counter;
revoke execute on function app.end_replaced_roles() from public;

-- Named to run before `0_restore_children`.
create trigger "00_end_replaced_roles" after update of status on app.users
  for each row when (old.status = 'archived' and new.status <> 'archived')
  execute function app.end_replaced_roles();
