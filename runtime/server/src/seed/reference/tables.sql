-- What the files hold, as they hold it.
create temporary table reference_country (
  code text, name text, currency text, default_locale text
) on commit drop;

create temporary table reference_city (
  country text, name text, slug text, timezone text, latitude float8, longitude float8, population int
) on commit drop;
