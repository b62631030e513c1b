insert into app.countries (id, code, name, currency, default_locale)
select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(m, 1, 3) || '-8' || substr(m, 4, 3) || '-' || substr(m, 7, 12))::uuid,
       code, name, currency, default_locale
  from (select lpad(to_hex(1760200000000 + row_number() over (order by r.code)), 12, '0') as h, md5('country' || r.code) as m,
               r.code, r.name, r.currency, r.default_locale
          from pg_temp.reference_country r
         where not exists (select from app.countries c where c.code = r.code and c.status <> 'archived')) x
