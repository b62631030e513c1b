-- What a quote is about stays as it was when the quote was sent, and its lead is won by accepting it.

-- Whether a quote for the lead, or for any lead of the request, stands: it was accepted, or can still be.
create function app.is_quoted(p_lead uuid, p_request uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.leads l join app.quotes q on q.lead_id = l.id
    where (l.id = p_lead or l.service_request_id = p_request) and q.status <> 'archived'
      and (q.state = 'accepted' or q.state = 'sent' and q.valid_until > now())
  );
end
$$;
alter function app.is_quoted(uuid, uuid) owner to <app>_authz;
revoke execute on function app.is_quoted(uuid, uuid) from public;
grant execute on function app.is_quoted(uuid, uuid) to <app>_app;

-- Whether the business has sent a quote for the lead, whatever became of it.
create function app.was_quoted(p_lead uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.quotes q where q.lead_id = p_lead and q.state <> 'draft');
end
$$;
alter function app.was_quoted(uuid) owner to <app>_authz;
revoke execute on function app.was_quoted(uuid) from public;
grant execute on function app.was_quoted(uuid) to <app>_app;

create function app.keep_what_was_quoted() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (case tg_table_name when 'leads' then app.is_quoted(new.id, null) else app.is_quoted(null, new.id) end) then
    raise exception 'a quote was sent for it' using errcode = '23514', table = tg_table_name, constraint = tg_table_name || '_quoted';
  end if;
  return new;
end
$$;
alter function app.keep_what_was_quoted() owner to <app>_authz;
revoke execute on function app.keep_what_was_quoted() from public;

create trigger leads_quoted before update of title, details, budget_cents, currency, needed_at on app.leads
  for each row when (current_user = '<app>_app' and (new.title, new.details, new.budget_cents, new.currency, new.needed_at)
    is distinct from (old.title, old.details, old.budget_cents, old.currency, old.needed_at))
  execute function app.keep_what_was_quoted();

create trigger service_requests_quoted before update of title, category, description, budget_cents, currency, needed_at on app.service_requests
  for each row when (current_user = '<app>_app' and (new.title, new.category, new.description, new.budget_cents, new.currency, new.needed_at)
    is distinct from (old.title, old.category, old.description, old.budget_cents, old.currency, old.needed_at))
  execute function app.keep_what_was_quoted();

-- Accepting the quote settles the request, by another role.
create trigger service_requests_settled_by_quote before update of state on app.service_requests
  for each row when (current_user = '<app>_app' and new.state = 'settled' and old.state <> 'settled')
  execute function app.keep_what_was_quoted();

create function app.win_by_quote() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if app.was_quoted(new.id) then
    raise exception 'a quote was sent for it' using errcode = '23514', constraint = 'leads_won_by_quote';
  end if;
  return new;
end
$$;
alter function app.win_by_quote() owner to <app>_authz;
revoke execute on function app.win_by_quote() from public;

create trigger leads_won_by_quote before update of state on app.leads
  for each row when (current_user = '<app>_app' and new.state = 'won' and old.state <> 'won')
  execute function app.win_by_quote();
