declare
  v_words constant tsquery := coalesce(p_words && p_within, p_words);
  v_known tsquery := coalesce(p_whole && p_within, p_whole);
  v_ending constant text := case when p_whole::text !~ '''''|\\' then substring(p_whole::text from '''([^'']*)''$') end;
  v_many constant int := 250 + 2 * p_wanted;
  v_found uuid[];
  v_hits uuid[];
  v_newest uuid;
  v_oldest uuid;
  v_near bigint;
  v_eras bigint[];
  v_endings text[];
  v_more text[];
  v_rows int := 250;
begin
  -- Common words are found by reading the newest rows. The first 250 show whether the newest 4,000 would contain enough,
  -- or whether at least one in ten contains the words: then up to 20,000 are read.
  while v_rows is not null loop
    v_found := array(
      select w.id
      from (select d.id, d.document from <documents> d where d.id < p_before order by d.id desc limit v_rows) w
      where w.document @@ v_words and (select true from <public> p where p.id = w.id)
      limit p_wanted
    );
    if cardinality(v_found) >= p_wanted then
      return v_found;
    end if;
    v_rows := case
      when v_rows < 4000 and cardinality(v_found)::bigint * 4000 >= v_rows * p_wanted::bigint then 4000
      when v_rows < 20000 and cardinality(v_found) * 10 >= v_rows then 20000
    end;
  end loop;
  if p_whole::text = p_words::text or v_ending is null then
    return <newest>(v_words, null, null, p_before, p_wanted);
  end if;
  -- If the last word may be incomplete, the index would gather all rows with any word that starts with it, of whatever
  -- time. Therefore the index is searched for whole words, and once for the start of a word in rows as new as those
  -- found: if there are many such rows, the words that they contain are searched as whole words in the next round.
  -- The newest rows are read one by one: a single row far in the future would stretch the time for which the index is
  -- searched.
  v_newest := (select d.id from <documents> d where d.id < p_before order by d.id desc offset 249 limit 1);
  if v_newest is null then
    -- There are no other rows.
    return v_found;
  end if;
  -- About four thousand rows lie after this time, if they lie as close together as the second half of the newest 250.
  v_near := (
    select sec.era(v_newest) - 30 * (sec.era(o.id) - sec.era(v_newest))
    from (select d.id from <documents> d where d.id < p_before order by d.id desc offset 124 limit 1) o
  );
  v_endings := array[v_ending];
  for v_round in 1..4 loop
    v_found := <newest>(v_known, null, null, p_before, p_wanted);
    v_oldest := coalesce(v_found[p_wanted], (select d.id from <documents> d order by d.id limit 1));
    -- Rows that are not far from the newest are read one by one as well: for the start of a word, the index gathers all
    -- rows that contain such a word, also those of other cities.
    if cardinality(v_found) >= p_wanted and sec.era(v_oldest) > v_near then
      v_hits := array(
        select w.id
        from (select d.id, d.document from <documents> d where d.id >= v_oldest and d.id < p_before order by d.id desc limit 4000) w
        where w.document @@ v_words and (select true from <public> p where p.id = w.id)
        limit p_wanted
      );
      -- There are as many, unless the rows lie closer together than those.
      if cardinality(v_hits) >= p_wanted then
        return v_hits;
      end if;
    end if;
    v_eras := sec.eras_between(sec.era(v_oldest), sec.era(v_newest));
    v_hits := array(
      select w.id
      from (select d.id, d.document from <documents> d where d.id > v_newest and d.id < p_before order by d.id desc limit 249) w
      where w.document @@ v_words
      union all
      select d.id from <documents> d
      where sec.eras(d.id) && v_eras and d.document @@ v_words and (d.id >= v_oldest and d.id <= v_newest) is true
      limit v_many
    );
    if cardinality(v_hits) < v_many then
      return array(
        select w.id
        from (select m.id from unnest(v_hits) as m(id) order by m.id desc offset 0) w
        where (select true from <public> p where p.id = w.id)
        limit p_wanted
      );
    end if;
    v_more := array(
      select distinct l.word
      from (
        select d.document
        from unnest(v_hits) as m(id) join <documents> d on d.id = m.id
        where not d.document @@ v_known
        limit 50
      ) u
      cross join unnest(tsvector_to_array(u.document)) as l(word)
      where starts_with(l.word, v_ending) and l.word !~ '[''\\]' and l.word <> all (v_endings)
    );
    exit when cardinality(v_more) = 0;
    v_endings := v_endings || v_more;
    v_known := sec.spelled_out(p_whole, v_endings);
    v_known := coalesce(v_known && p_within, v_known);
  end loop;
  return <newest>(v_words, null, null, p_before, p_wanted);
end
