create function sec.folded(p_text text) returns text
  language plpgsql immutable parallel safe as $$
-- As it is searched: small letters without accents, whichever normal form they came in. `unaccent` is not immutable only
-- because its rules are a file: after a change of that file the documents have to be written again.
-- PL/pgSQL, because it keeps its plan: as SQL it would be planned anew for each row that a trigger writes.
begin
  if octet_length(p_text) = char_length(p_text) then
    -- ASCII has no accents; most texts end here, at a sixth of the cost.
    return lower(p_text);
  end if;
  return lower(public.unaccent('public.unaccent'::regdictionary,
    case when p_text is nfc normalized then p_text else normalize(p_text, nfc) end));
end
$$;
alter function sec.folded(text) owner to <app>_owner;

create function sec.searched_words(p_text text, p_half boolean) returns tsquery
  language plpgsql immutable parallel safe as $$
-- What somebody typed, as a query; `p_half`: the last word may go on. Null without a letter or digit.
declare
  v_text text := sec.folded(p_text);
  v_query tsquery;
begin
  if v_text !~ '[[:alnum:]]' then
    return null;
  end if;
  v_query := websearch_to_tsquery('pg_catalog.simple', v_text);
  if p_half and right(v_query::text, 1) = '''' then
    return (v_query::text || ':*')::tsquery;
  end if;
  return v_query;
end
$$;
alter function sec.searched_words(text, boolean) owner to <app>_owner;

create function sec.searched_part(p_text text) returns text
  language sql immutable parallel safe as $$
-- A pattern for names that hold the text; one or two letters only where a word begins, which the index knows.
  select case when char_length(f.folded) < 3 then '% ' else '%' end
    || replace(replace(replace(f.folded, '\', '\\'), '%', '\%'), '_', '\_') || '%'
  from (select sec.folded(btrim(p_text)) as folded) f
$$;
alter function sec.searched_part(text) owner to <app>_owner;
