-- Functions for pseudo-random choices that are the same in every run, and the cities of the demonstration.

create function pg_temp.words(p_name text) returns jsonb language sql stable as
  $$ select list from pg_temp.words where name = p_name $$;

-- A number from 0 to 268435455, derived from a text.
create function pg_temp.chance(p_key text) returns int language sql immutable as
  $$ select ('x' || substr(md5(p_key), 1, 7))::bit(28)::int $$;

create function pg_temp.pick(p_list jsonb, p_key text) returns jsonb language sql immutable as
  $$ select p_list -> (pg_temp.chance(p_key) % jsonb_array_length(p_list)) $$;

create function pg_temp.pick_text(p_list jsonb, p_key text) returns text language sql immutable as
  $$ select pg_temp.pick(p_list, p_key) #>> '{}' $$;

-- A version 7 UUID derived from a text and a number.
create function pg_temp.demo_id(p_kind text, p_n bigint) returns uuid language sql immutable as $$
  select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(m, 1, 3) || '-8' || substr(m, 4, 3) || '-'
          || substr(m, 7, 12))::uuid
    from (select lpad(to_hex(1760400000000 + p_n * 40), 12, '0') as h, md5(p_kind || p_n) as m) x
$$;

create function pg_temp.filled(p_text text, p_city text, p_area text, p_culture text, p_surname text)
returns text language sql immutable as $$
  select replace(replace(replace(replace(p_text, '{city}', p_city), '{area}', p_area), '{culture}', p_culture),
                 '{surname}', p_surname)
$$;

create function pg_temp.slug(p_text text) returns text language sql immutable as $$
  select left(trim(both '-' from regexp_replace(
           translate(lower(p_text), 'āéèêëïíóöøúüçñäßłš''’', 'aeeeeiiooouucnasls'), '[^a-z0-9]+', '-', 'g')), 90)
$$;

create temporary table demo_city on commit drop as
select p.ordinality::int as n, c.id, c.name, c.timezone, k.currency, p.place
  from jsonb_array_elements(pg_temp.words('places')) with ordinality p(place, ordinality)
  join app.countries k on k.code = p.place ->> 'country'
  join app.cities c on c.country_id = k.id and c.slug = p.place ->> 'city';

create function pg_temp.handle(p_given text, p_family text, p_n int) returns text language sql immutable as
  $$ select left(replace(pg_temp.slug(p_given || '_' || p_family), '-', '_'), 25) || '_' || p_n $$;
