insert into app.countries (code, name, currency, default_locale)
select r.code, r.name, r.currency, r.default_locale
  from pg_temp.reference_country r
 where not exists (select from app.countries c where c.code = r.code and c.status <> 'archived')
 order by r.code
