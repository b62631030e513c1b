declare
  v_words tsquery := sec.searched_words(p_text, p_half);
  v_within tsquery := coalesce((select string_agg(quote_literal('=' || w), ' & ') from unnest(p_within) w)::tsquery, '');
  v_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_part text := sec.searched_part(p_text);
  -- Fewer rows than this, and parts of names are looked for as well.
  v_few constant int := 20;
  v_enough constant int := greatest(p_wanted, v_few);
  v_found uuid[] := '{}';
  v_total int;
begin
  if numnode(v_words) > 0 then
    v_words := v_words && v_within;
    -- A common word is in many of the newest rows; there is no need to fetch all others that hold it.
    if p_wanted <= 200 then
      v_found := array(
        select w.id
        from (select d.id, d.document from <documents> d where d.id < v_before order by d.id desc limit 256) w
        where w.document @@ v_words and (select true from <public> p where p.id = w.id)
        limit v_enough
      );
      if cardinality(v_found) >= v_enough then
        return query select unnest(v_found);
        return;
      end if;
    end if;
    v_found := array(
      select w.id
      from (select d.id from <documents> d where d.document @@ v_words and d.id < v_before order by d.id desc offset 0) w
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
  return query
    select unnest(v_found)
    union
    select *
    from (
      select w.id
      from (
        select d.id
        from <documents> d
        where d.names like v_part and d.id < v_before and (numnode(v_within) = 0 or d.document @@ v_within)
        order by d.id desc offset 0
      ) w
      where (select true from <public> p where p.id = w.id)
      limit p_wanted
    ) parts;
end
