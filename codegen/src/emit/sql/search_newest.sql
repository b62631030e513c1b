declare
  v_found uuid[] := '{}';
  v_hits uuid[];
  -- The number of hits that are put in order at once. If a time span has more, a shorter one is searched.
  v_many constant int := 250 + 2 * p_wanted;
  v_before uuid := p_before;
  -- Times as `sec.era` returns them: of the oldest row (`v_first`), just after the newest row that is left (`v_end`),
  -- how far to look back from there (`v_back`), where that span begins (`v_begin`), and where the last span with too
  -- many hits began (`v_dense`).
  -- `sec.era` is called within the queries: PostgreSQL does not inline it for the result of a query.
  v_first constant bigint := (select sec.era(d.id) from <documents> d order by d.id limit 1);
  v_end bigint := (select 1 + sec.era(d.id) from <documents> d where d.id < p_before order by d.id desc limit 1);
  v_back bigint := (
    select 16 * (v_end - sec.era(o.id)) from (select d.id from <documents> d where d.id < p_before order by d.id desc offset 249 limit 1) o);
  v_begin bigint;
  v_dense bigint;
  v_eras bigint[];
begin
  -- Starts with some thousand rows, or with all rows of a small table.
  v_back := coalesce(v_back, v_end - v_first);
  while v_end > v_first and cardinality(v_found) < p_wanted loop
    v_eras := sec.eras_between(greatest(v_first, v_end - v_back), v_end - 1);
    v_begin := sec.era_of(v_eras[1]);
    if p_words is not null then
      v_hits := array(
        select d.id from <documents> d
        where sec.eras(d.id) && v_eras and d.document @@ p_words and (d.id < v_before) is true
        limit case when v_end - v_begin > 1 then v_many end
      );
    elsif p_within is null then
      v_hits := array(
        select d.id from <documents> d
        where sec.eras(d.id) && v_eras and d.names like p_part and (d.id < v_before) is true
        limit case when v_end - v_begin > 1 then v_many end
      );
    else
      v_hits := array(
        select d.id from <documents> d
        where sec.eras(d.id) && v_eras and d.names like p_part and d.document @@ p_within and (d.id < v_before) is true
        limit case when v_end - v_begin > 1 then v_many end
      );
    end if;
    if cardinality(v_hits) >= v_many and v_end - v_begin > 1 then
      v_dense := v_begin;
      v_back := greatest(1, (v_end - v_begin) / 4);
      continue;
    end if;
    if cardinality(v_hits) > 0 then
      v_found := v_found || array(
        select w.id
        from (select m.id from unnest(v_hits) as m(id) order by m.id desc offset 0) w
        where (select true from <public> p where p.id = w.id)
        limit p_wanted - cardinality(v_found)
      );
    end if;
    v_before := sec.era_start(v_begin);
    -- Continues at the next row: before a row whose id is far in the future there may be no other for centuries.
    v_end := coalesce((select 1 + sec.era(d.id) from <documents> d where d.id < v_before order by d.id desc limit 1), v_first);
    v_back := case
      when v_dense < v_end then greatest(1, (v_end - v_dense) / 4)
      when cardinality(v_hits) = 0 then v_back * 4
      else v_back * 2
    end;
  end loop;
  return v_found;
end
