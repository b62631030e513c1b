declare
  v_words tsquery := sec.searched_words(p_text, p_half);
  v_within tsquery := (select string_agg(quote_literal('=' || w), ' & ') from unnest(p_within) w)::tsquery;
  v_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_part text := sec.searched_part(p_text);
  -- Fewer rows than this, and parts of names are looked for as well.
  v_few constant int := 20;
  -- So many rows, and they are not all fetched.
  v_many constant int := 5000;
  v_enough constant int := greatest(p_wanted, v_few);
  v_found uuid[] := '{}';
  v_parts uuid[];
  v_total int;
  v_rows int;
begin
  if v_words is null then
    -- Neither a letter nor a digit.
    return;
  end if;
  if numnode(v_words) > 0 then
    v_words := coalesce(v_words && v_within, v_words);
    -- A common word is in many of the newest rows; there is no need to fetch all others that hold it. How common it
    -- is, a look at some shows.
    foreach v_rows in array array[250, 20000] loop
      v_found := array(
        select w.id
        from (select d.id, d.document from <documents> d where d.id < v_before order by d.id desc limit v_rows) w
        where w.document @@ v_words and (select true from <public> p where p.id = w.id)
        limit v_enough
      );
      if cardinality(v_found) >= v_enough then
        return query select unnest(v_found);
        return;
      end if;
      exit when cardinality(v_found) < 25;
    end loop;
    -- `offset 0`: the index over words, not the one that has the order.
    v_found := array(
      select w.id
      from (
        select m.id
        from (select d.id from <documents> d where d.document @@ v_words offset 0) m
        where m.id < v_before
        order by m.id desc
        offset 0
      ) w
      where (select true from <public> p where p.id = w.id)
      limit v_enough
    );
    -- Whether parts of names count is the same on each page.
    v_total := cardinality(v_found);
    if v_total < v_few and p_before is not null then
      v_total := count(*) from (
        select
        from (select d.id from <documents> d where d.document @@ v_words offset 0) w
        where (select true from <public> p where p.id = w.id)
        limit v_few
      ) few;
    end if;
    if v_total >= v_few then
      return query select unnest(v_found);
      return;
    end if;
  end if;
  -- Parts of names: those of few rows from the index, those of many again off the newest ones.
  v_parts := array(
    select d.id
    from <documents> d
    where d.names like v_part and (v_within is null or d.document @@ v_within)
    limit v_many
  );
  if cardinality(v_parts) < v_many then
    v_parts := array(
      select w.id
      from (select m.id from unnest(v_parts) as m(id) where m.id < v_before order by m.id desc offset 0) w
      where (select true from <public> p where p.id = w.id)
      limit p_wanted
    );
  else
    v_parts := array(
      select w.id
      from (select d.id, d.names, d.document from <documents> d where d.id < v_before order by d.id desc limit 20000) w
      where w.names like v_part and (v_within is null or w.document @@ v_within)
        and (select true from <public> p where p.id = w.id)
      limit p_wanted
    );
  end if;
  return query select distinct f.id from unnest(v_found || v_parts) as f(id);
end
