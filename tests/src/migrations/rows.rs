//! Rows for the small world: some in every table, in every state that could make a migration fail.

/// Written as a superuser, so that rules don't refuse them; triggers maintain the counters.
pub const ROWS: &str = "
insert into app.cities (id, name, population)
select ('00000000-0000-7000-8000-00000000c' || lpad(n::text, 3, '0'))::uuid, 'City ' || n, case when n % 2 = 0 then n * 1000 end
from generate_series(1, 3) n;

insert into app.users (id, handle, email, home_id, is_public)
select ('00000000-0000-7000-8000-00000000a' || lpad(n::text, 3, '0'))::uuid, 'user' || n, 'user' || n || '@example.org',
  case when n % 2 = 0 then '00000000-0000-7000-8000-00000000c001'::uuid end, n % 3 > 0
from generate_series(1, 6) n;

insert into app.organizations (id, name, city_id, links)
select ('00000000-0000-7000-8000-00000000b' || lpad(n::text, 3, '0'))::uuid, 'Organization ' || n,
  ('00000000-0000-7000-8000-00000000c' || lpad((1 + n % 3)::text, 3, '0'))::uuid,
  case when n % 2 = 0 then '{\"website\": \"https://example.org\"}'::jsonb end
from generate_series(1, 4) n;

insert into app.members (organization_id, user_id, state)
select o.id, u.id, case when u.handle < 'user4' then 'active' else 'pending' end from app.organizations o, app.users u;

insert into app.events (title, slug, state, starts_at, ends_at, capacity, price_cents, door_code, city_id, host_type, host_id, status)
select 'Event ' || n, 'event-' || n, (array['draft', 'published', 'cancelled'])[1 + n % 3],
  now() + n * interval '1 day', now() + n * interval '1 day 2 hours', case when n % 2 = 0 then n end, n * 100, '12345',
  o.city_id, 'organization', o.id, case when n % 7 = 0 then 'archived' else 'active' end
from generate_series(1, 20) n
  join app.organizations o on o.name = 'Organization ' || (1 + n % 4);

insert into app.role_assignments (role, user_id, scope_type, scope_id)
select 'orgAdmin', u.id, 'organization', o.id from app.users u, app.organizations o where u.handle < 'user3';
insert into app.role_assignments (role, user_id, scope_type, scope_id)
select 'cityAdmin', u.id, 'city', c.id from app.users u, app.cities c where u.handle = 'user3';
insert into app.role_assignments (role, user_id) select 'platformAdmin', id from app.users where handle = 'user4';
";
