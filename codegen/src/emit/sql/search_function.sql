declare
  v_words tsquery := sec.searched_words(p_text, p_half);
  v_within tsquery := (select string_agg(quote_literal('=' || w), ' & ') from unnest(p_within) w)::tsquery;
  v_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_part text := sec.searched_part(p_text);
  -- Fewer rows than this, and parts of names are looked for as well.
  v_few constant int := 20;
  -- So many rows, and they are not all fetched to find the newest.
  v_many constant int := 5000;
  -- Who wants more rows than a page has is given all that there are: reading the newest would only come on top.
  v_page constant int := 200;
  v_enough constant int := greatest(p_wanted, v_few);
  v_all uuid[];
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
    foreach v_rows in array array[250, 20000] loop
      -- Common words are read off the newest rows: a look at some shows whether they are enough.
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
      if v_rows = 250 and cardinality(v_found) < 25 then
        -- Rare ones are fetched from the index, which knows no order.
        v_all := array(select d.id from <documents> d where d.document @@ v_words limit v_many);
        exit when cardinality(v_all) < v_many or p_wanted > v_page;
      end if;
    end loop;
    if v_all is null or cardinality(v_all) >= v_many then
      v_all := array(select d.id from <documents> d where d.document @@ v_words);
    end if;
    v_found := array(
      select w.id
      from (select m.id from unnest(v_all) as m(id) where m.id < v_before order by m.id desc offset 0) w
      where (select true from <public> p where p.id = w.id)
      limit v_enough
    );
    -- Whether parts of names count is the same on each page.
    v_total := cardinality(v_found);
    if v_total < v_few and p_before is not null then
      v_total := count(*) from (
        select
        from unnest(v_all) as w(id)
        where (select true from <public> p where p.id = w.id)
        limit v_few
      ) few;
    end if;
    if v_total >= v_few then
      return query select unnest(v_found);
      return;
    end if;
  end if;
  -- Parts of names in the same ways.
  foreach v_rows in array array[250, 20000] loop
    v_parts := array(
      select w.id
      from (select d.id, d.names, d.document from <documents> d where d.id < v_before order by d.id desc limit v_rows) w
      where w.names like v_part and (v_within is null or w.document @@ v_within)
        and (select true from <public> p where p.id = w.id)
      limit p_wanted
    );
    exit when cardinality(v_parts) >= p_wanted;
    if v_rows = 250 then
      v_all := array(
        select d.id
        from <documents> d
        where d.names like v_part and (v_within is null or d.document @@ v_within)
        limit v_many
      );
      if cardinality(v_all) < v_many then
        v_parts := array(
          select w.id
          from (select m.id from unnest(v_all) as m(id) where m.id < v_before order by m.id desc offset 0) w
          where (select true from <public> p where p.id = w.id)
          limit p_wanted
        );
        exit;
      end if;
    end if;
  end loop;
  return query select distinct f.id from unnest(v_found || v_parts) as f(id);
end
