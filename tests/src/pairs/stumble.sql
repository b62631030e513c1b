-- Every statement that writes to a table of entities is counted, and the one with the number `at` ends its transaction as a
-- deadlock does. A sequence goes on counting when a transaction is rolled back, so that the next attempt passes.
create sequence tests.writes;
create table tests.stumbles (at bigint not null);
insert into tests.stumbles values (0);
create function tests.stumble() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_at bigint := (select s.at from tests.stumbles s);
begin
  -- Less than zero: every one.
  if v_at < 0 or nextval('tests.writes') = v_at then
    raise exception 'deadlock detected' using errcode = '40P01';
  end if;
  return null;
end
$$;
do $$
declare
  t record;
begin
  for t in
    select c.oid::regclass as name from pg_class c
    where c.relkind = 'r' and c.relnamespace in ('app'::regnamespace, 'requests'::regnamespace)
  loop
    execute format('create trigger "000_stumble" before insert or update or delete on %s for each statement execute function tests.stumble()', t.name);
  end loop;
end
$$;
