-- Roles. Those of the demonstration accounts come first.

insert into app.role_assignments (id, user_id, role, scope_type, scope_id, state)
select pg_temp.demo_id('role', v.n), ('0199c000-0000-7000-8000-00000000000' || v.n)::uuid, v.role, v.kind, v.scope, 'accepted'
  from (
    select 1 as n, 'platformAdmin' as role, null as kind, null::uuid as scope
    union all select 2, 'cityAdmin', 'city', id from pg_temp.demo_city where n = 1
    union all select 3, 'orgAdmin', 'organization', id
                from pg_temp.demo_profile where (kind, city_n, i) = ('organization', 1, 1)
    union all select 4, 'orgAdmin', 'business', id
                from pg_temp.demo_profile where (kind, city_n, i) = ('business', 1, 1)
  ) v;

insert into app.role_assignments (id, user_id, role, scope_type, scope_id, state)
select pg_temp.demo_id('cityrole', c.n), u.id, 'cityAdmin', 'city', c.id, 'accepted'
  from pg_temp.demo_city c
  join pg_temp.demo_user u on u.n = 390 + c.n;

-- Every profile has an administrator who lives in its city. Venues are managed by their owners.
insert into app.role_assignments (id, user_id, role, scope_type, scope_id, state)
select pg_temp.demo_id('profilerole', row_number() over (order by p.kind, p.city_n, p.i)), u.id, 'orgAdmin', p.kind, p.id, 'accepted'
  from pg_temp.demo_profile p
  join pg_temp.demo_user u on u.n = p.city_n - 1 + 8 * (1 + pg_temp.chance('admin' || p.key) % 40)
 where p.kind <> 'venue';

-- Role offers that are not answered yet, and one that was declined.
insert into app.role_assignments (id, user_id, role, scope_type, scope_id, state)
select pg_temp.demo_id('offer', p.city_n), u.id, 'orgAdmin', p.kind, p.id,
       case when p.city_n = 1 then 'declined' else 'offered' end
  from pg_temp.demo_profile p
  join pg_temp.demo_user u on u.n = 340 + p.city_n
 where (p.kind, p.i) = ('organization', 1);
