-- Erasure by the module `privacy`: removes everything that identifies a member. Rows that others need (orders, tickets,
-- ledger entries, payments, messages of hosts) are kept and refer to a member row without personal data.

-- Erases one member whose account is closed. False: there was nothing to erase.
create function app.erase_member(p_user uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_email public.citext;
  v_closed timestamptz;
begin
  -- A closed account does not change, so the time of its last change is that of its closing.
  select u.email, u.updated_at into v_email, v_closed from app.users u
  where u.id = p_user and u.status = 'archived' and u.erased_at is null
  for update;
  if not found then
    return false;
  end if;
  -- What others were told has the name in it.
  with gone as (
    select d.id from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
    where n.user_id = p_user or n.named_id = p_user
  )
  update app.notification_deliveries d set carrier_id = null from gone where d.carrier_id = gone.id;
  delete from app.notification_deliveries d using app.notifications n
  where n.id = d.notification_id and (n.user_id = p_user or n.named_id = p_user);
  delete from app.notifications n where n.user_id = p_user or n.named_id = p_user;
  -- Since the account was closed its address may have become somebody else's: what is stored under the address, and not
  -- under the member, goes only if it is the member's. The path is empty: a plain `=` would compare citext as text.
  delete from app.mail_suppressions s
  where s.email operator(public.=) v_email
    and not exists (select from app.users o where o.email operator(public.=) v_email and o.id <> p_user and o.erased_at is null);
  delete from app.sign_ups s where s.email operator(public.=) v_email and s.created_at <= v_closed;
  delete from app.email_tokens t where t.user_id = p_user;
  delete from app.refresh_tokens t using app.sessions s where s.id = t.session_id and s.user_id = p_user;
  delete from app.credentials c where c.user_id = p_user;
  delete from app.calendar_feeds f where f.user_id = p_user;
  delete from app.visits v where v.user_id = p_user;
  update app.sessions s set ip_address = null, user_agent = null, issuer_session = null, revoked_at = coalesce(s.revoked_at, now())
  where s.user_id = p_user;
  update app.external_identities i set subject = 'erased:' || i.id, email = null, unlinked_at = coalesce(i.unlinked_at, now())
  where i.user_id = p_user;
  update app.devices d set push_token = 'erased:' || d.id where d.user_id = p_user;
  update app.payment_methods m set brand = 'erased', last4 = '0000', exp_month = 1, exp_year = 2000 where m.user_id = p_user;
  update app.reviews r set comment = null where r.reviewer_id = p_user;
  update app.media m set alt_text = null where m.entity_user_id = p_user;
  update app.users u
  set handle = 'erased_' || substr(replace(p_user::text, '-', ''), 11), display_name = 'Erased member', email = 'erased-' || p_user || '@erased.invalid',
      bio = null, profile_image_url = null, banner_url = null, social_links = null, phone = null, home_city_id = null,
      is_public = false, locale = default, timezone = default, erased_at = now()
  where u.id = p_user;
  return true;
end
$$;
alter function app.erase_member(uuid) owner to <app>_counter;
revoke execute on function app.erase_member(uuid) from public;
grant execute on function app.erase_member(uuid) to <app>_job;
grant select, update, delete on app.notification_deliveries, app.notifications, app.mail_suppressions, app.sign_ups, app.email_tokens, app.refresh_tokens, app.credentials, app.calendar_feeds, app.visits to <app>_counter;
grant select, update on app.sessions, app.external_identities, app.devices, app.payment_methods, app.reviews, app.media, app.users to <app>_counter;
