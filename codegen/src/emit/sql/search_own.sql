declare
  v_words tsquery := sec.searched_words(p_text, p_half);
  v_has_words boolean := coalesce(numnode(v_words) > 0, false);
  v_within tsquery := (select string_agg(quote_literal('=' || w), ' & ') from unnest(p_within) w)::tsquery;
  v_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_part text := sec.searched_part(p_text);
  -- For each way in which rules name the caller, at most this many rows are searched.
  v_most constant int := 20000;
  v_mine uuid[];
  -- `offset 0` below: access is checked for the newest hits until there are enough, not for all hits.
begin
  if v_words is null or sec.uid() is null then
    return;
  end if;
  if <wide> then
    -- Such a caller may see nearly every row, so the newest rows are read.
    return query
      select w.id
      from (
        select d.id
        from (select d.* from <hidden> d where d.id < v_before order by d.id desc limit v_most) d
        where ((v_has_words and d.document @@ v_words) or d.names like v_part)
          and (v_within is null or d.document @@ v_within)
        union all
        select d.id
        from (select d.* from <documents> d where d.id < v_before order by d.id desc limit v_most) d
        where ((v_has_words and d.document @@ v_words) or d.names like v_part)
          and (v_within is null or d.document @@ v_within)
          and (select true from <public> p where p.id = d.id) is null
        order by 1 desc offset 0
      ) w
      where <seen>(w.id) is not null
      limit p_wanted;
  end if;
  -- Rows that name the caller are found however old they are.
  v_mine := array(select distinct o.id from <own>(v_most) as o(id) where o.id < v_before);
  return query
    select w.id
    from (
      select d.id
      from unnest(v_mine) as m(id) join <hidden> d on d.id = m.id
      where ((v_has_words and d.document @@ v_words) or d.names like v_part)
        and (v_within is null or d.document @@ v_within)
      union all
      select d.id
      from unnest(v_mine) as m(id) join <documents> d on d.id = m.id
      where ((v_has_words and d.document @@ v_words) or d.names like v_part)
        and (v_within is null or d.document @@ v_within)
        and (select true from <public> p where p.id = d.id) is null
      order by 1 desc offset 0
    ) w
    where <seen>(w.id) is not null
    limit p_wanted;
end
