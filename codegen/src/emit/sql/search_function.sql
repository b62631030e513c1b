declare
  v_whole tsquery := sec.searched_words(p_text, false);
  v_words tsquery := sec.searched_words(p_text, p_half);
  v_within tsquery := (select string_agg(quote_literal('=' || w), ' & ') from unnest(p_within) w)::tsquery;
  v_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  v_before uuid := coalesce(p_before, v_last);
  v_part text := sec.searched_part(p_text);
  -- If fewer rows than this are found, parts of names are searched as well.
  v_few constant int := 20;
  v_found uuid[] := '{}';
  v_parts uuid[];
  v_total int;
begin
  if v_words is null then
    -- The text has neither a letter nor a digit.
    return;
  end if;
  if numnode(v_words) > 0 then
    v_found := <found>(v_whole, v_words, v_within, v_before, greatest(p_wanted, v_few));
    -- Whether parts of names are searched must be the same on each page.
    v_total := cardinality(v_found);
    if v_total < v_few and p_before is not null then
      v_total := cardinality(<found>(v_whole, v_words, v_within, v_last, v_few));
    end if;
    if v_total >= v_few then
      return query select unnest(v_found);
      return;
    end if;
  end if;
  v_parts := array(
    select w.id
    from (select d.id, d.names, d.document from <documents> d where d.id < v_before order by d.id desc limit 250) w
    where w.names like v_part and (v_within is null or w.document @@ v_within)
      and (select true from <public> p where p.id = w.id)
    limit p_wanted
  );
  if cardinality(v_parts) < p_wanted then
    v_parts := <newest>(null, v_part, v_within, v_before, p_wanted);
  end if;
  return query select distinct f.id from unnest(v_found || v_parts) as f(id);
end
