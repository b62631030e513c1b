-- Offers that an account has made (its tickets, roles, and places in communities) end with what else was issued before: an intruder may have
-- made them, to accept them later from another account. The rules are in docs/adr/0011-what-ends-credentials.md.

-- Ends the open offers of an account. Of roles also those that were declined, because they can still be accepted. Offers
-- that were archived along with a profile or a member end too: they no longer come back with it.
create function app.end_offers(p_user uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.ticket_transfers x set state = 'withdrawn', decided_at = now() where x.from_id = p_user and x.state = 'offered';
  update app.role_assignments r set status = 'archived', archived_with = null
  where r.granted_by_id = p_user and r.state <> 'accepted' and (r.status <> 'archived' or r.archived_with is not null);
  -- Invitations to communities, where the invited may be moderators. Those who asked for themselves go on waiting.
  update app.community_members m set status = 'archived', archived_with = null
  where m.added_by_id = p_user and m.user_id <> p_user and m.state = 'pending'
    and (m.status <> 'archived' or m.archived_with is not null);
end
$$;
alter function app.end_offers(uuid) owner to <app>_counter;
revoke execute on function app.end_offers(uuid) from public;
grant update (state, decided_at) on app.ticket_transfers to <app>_counter;

create function app.end_offers_of_account() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform app.end_offers(new.id);
  return null;
end
$$;
alter function app.end_offers_of_account() owner to <app>_counter;
revoke execute on function app.end_offers_of_account() from public;

-- Named to run before `0_archive_children`, which takes the name of the giver out of offers of roles.
create trigger "00_end_offers" after update of status on app.users
  for each row when (old.status = 'active' and new.status <> 'active')
  execute function app.end_offers_of_account();

create function app.end_offers_issued_before() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform app.end_offers(new.user_id);
  return null;
end
$$;
alter function app.end_offers_issued_before() owner to <app>_counter;
revoke execute on function app.end_offers_issued_before() from public;

create trigger credentials_end_offers after update of valid_from on app.credentials
  for each row execute function app.end_offers_issued_before();

-- A first row ends nothing, unless it is made by an ending of an account that had none (through an issuer): that writes
-- the present time, which is after the begin of the transaction, and others the column's default or less.
create trigger credentials_end_offers_first after insert on app.credentials
  for each row when (new.valid_from > now())
  execute function app.end_offers_issued_before();

-- Refuses an offer of an account that is not active, or that ended what was issued before since this transaction began
-- and so since the session was checked. The account is locked, so a concurrent ending comes either before, and is seen
-- here, or afterwards, and ends the offer.
create function app.begin_offer(p_user uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from app.users u where u.id = p_user and u.status = 'active' for share;
  if not found then
    raise exception 'account_suspended' using errcode = '28000';
  end if;
  if exists (select from app.credentials c where c.user_id = p_user and c.valid_from > now()) then
    raise exception 'session_revoked' using errcode = '28000';
  end if;
end
$$;
alter function app.begin_offer(uuid) owner to <app>_counter;
revoke execute on function app.begin_offer(uuid) from public;

create function app.begin_offer_of_ticket() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform app.begin_offer(new.from_id);
  return null;
end
$$;
alter function app.begin_offer_of_ticket() owner to <app>_counter;
revoke execute on function app.begin_offer_of_ticket() from public;

create trigger ticket_transfers_begin_offer after insert on app.ticket_transfers
  for each row when (new.state = 'offered')
  execute function app.begin_offer_of_ticket();

create function app.begin_offer_of_role() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform app.begin_offer(new.granted_by_id);
  return null;
end
$$;
alter function app.begin_offer_of_role() owner to <app>_counter;
revoke execute on function app.begin_offer_of_role() from public;

create trigger role_assignments_begin_offer after insert on app.role_assignments
  for each row when (new.state = 'offered' and new.granted_by_id is not null)
  execute function app.begin_offer_of_role();

create function app.begin_invitation() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform app.begin_offer(new.added_by_id);
  return null;
end
$$;
alter function app.begin_invitation() owner to <app>_counter;
revoke execute on function app.begin_invitation() from public;

create trigger community_members_begin_invitation after insert on app.community_members
  for each row when (new.state = 'pending' and new.added_by_id <> new.user_id)
  execute function app.begin_invitation();

-- Whether an invitation to a community is still worth something: the member who sent it is active and could send it now,
-- as for roles (`role_assignments_still_may`). Evaluates the condition as if the giver were the caller, by changing the
-- settings of the transaction for one statement. True for rows that are no invitations.
create function app.invitation_stands(p_member uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_me constant uuid := sec.uid();
  v_row record;
  v_may boolean;
begin
  select m.community_id, m.added_by_id, m.user_id, m.state into v_row from app.community_members m where m.id = p_member;
  -- The command line and modules have no caller, and check for themselves.
  if v_me is null or v_row.state <> 'pending' or v_row.added_by_id = v_row.user_id then
    return true;
  end if;
  perform pg_catalog.set_config('app.user_id', coalesce(v_row.added_by_id::text, ''), true), sec.hold(v_row.added_by_id, 'create');
  select exists (select from app.users u where u.id = v_row.added_by_id and u.status = 'active')
    and sec.seen_community_staff(v_row.community_id) into v_may;
  perform pg_catalog.set_config('app.user_id', v_me::text, true), sec.hold(v_me, coalesce(sec.action(), ''));
  return coalesce(v_may, false);
end
$$;
alter function app.invitation_stands(uuid) owner to <app>_authz;
revoke execute on function app.invitation_stands(uuid) from public;
grant execute on function app.invitation_stands(uuid) to <app>_app;

-- Refuses to join by an invitation of a member who can't invite any more. Communities that are open to everybody can
-- be joined nevertheless, but without the role that the invitation named.
create function app.keep_invitations() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if app.invitation_stands(old.id) then
    return new;
  end if;
  if exists (select from app.communities c where c.id = new.community_id and c.join_policy = 'open') then
    new.role := 'member';
    return new;
  end if;
  raise exception 'the giver may not' using errcode = '23514', constraint = 'community_members_invitation_stands';
end
$$;
alter function app.keep_invitations() owner to <app>_authz;
revoke execute on function app.keep_invitations() from public;

create trigger community_members_invitation before update of state on app.community_members
  for each row when (old.state = 'pending' and new.state = 'active') execute function app.keep_invitations();

-- A ban takes the role along: whoever may come back is a member like others.
create function app.ban_without_role() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.role := 'member';
  return new;
end
$$;
alter function app.ban_without_role() owner to <app>_owner;
revoke execute on function app.ban_without_role() from public;

create trigger community_members_without_role before update of state on app.community_members
  for each row when (new.state = 'banned' and old.state <> 'banned') execute function app.ban_without_role();

-- A ban ends the offers of roles that the member has from the community or for its venues, also declined ones, which can still be accepted:
-- otherwise a member who is banned while an offer is open could become an administrator. Offers that are made after
-- the ban are meant. An offer that is being accepted at the same time is waited for, and stays if it was. The end of a
-- membership does the same, unless it is archived along with the community or the account and comes back with them.
create function app.end_offers_of_member() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.role_assignments r set status = 'archived', archived_with = null
  where r.user_id = new.user_id and r.state <> 'accepted'
    and (r.scope_id = new.community_id or exists (
      select from app.venues v where v.id = r.scope_id and v.owner_type = 'community' and v.owner_id = new.community_id))
    and (r.status <> 'archived' or r.archived_with is not null);
  return null;
end
$$;
alter function app.end_offers_of_member() owner to <app>_counter;
revoke execute on function app.end_offers_of_member() from public;

create trigger community_members_without_offers after update of state, status on app.community_members
  for each row when ((new.state = 'banned' and old.state <> 'banned')
    or (new.status = 'archived' and old.status <> 'archived' and new.archived_with is null))
  execute function app.end_offers_of_member();

-- Whether a community, or what a role is held for, is suspended. Nobody is taken in then, as nothing else begins for what
-- has ended (ADR 78): new offers are refused as references, and these triggers refuse the open ones until it is back. Hooks
-- say the same with a reason (`runtime/app/src/hooks/live.rs`).
create function app.is_withheld(p_scope uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return app.is_withdrawn(p_scope) or exists (select from app.cities x where x.id = p_scope and x.status <> 'active');
end
$$;
alter function app.is_withheld(uuid) owner to <app>_authz;
revoke execute on function app.is_withheld(uuid) from public;
grant execute on function app.is_withheld(uuid) to <app>_app;

create function app.take_in_while_live() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_scope uuid;
begin
  if tg_table_name = 'community_members' then
    v_scope := new.community_id;
  else
    v_scope := new.scope_id;
  end if;
  if app.is_withheld(v_scope) then
    raise exception 'it is suspended' using errcode = '23514', table = 'hosts', constraint = 'hosts_live';
  end if;
  return new;
end
$$;
alter function app.take_in_while_live() owner to <app>_authz;
revoke execute on function app.take_in_while_live() from public;

create trigger community_members_live_scope before update of state on app.community_members
  for each row when (current_user = '<app>_app' and new.state = 'active' and old.state <> 'active')
  execute function app.take_in_while_live();

create trigger role_assignments_live_scope before update of state on app.role_assignments
  for each row when (current_user = '<app>_app' and new.state = 'accepted' and old.state <> 'accepted')
  execute function app.take_in_while_live();

-- Says in the offer what it is for: a profile that is not approved, or a private community, can't be read by whom it is
-- offered. A copy, so that the offer goes on saying what was offered, and shows nothing else of the profile.
create function app.name_scope() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.scope_name := app.name_of(new.scope_id);
  return new;
end
$$;
alter function app.name_scope() owner to <app>_authz;
revoke execute on function app.name_scope() from public;

create trigger role_assignments_name_scope before insert on app.role_assignments
  for each row when (new.scope_id is not null)
  execute function app.name_scope();
