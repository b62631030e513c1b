create function sec.folded(p_text text) returns text
  language plpgsql immutable parallel safe as $$
-- Text as it is searched: lower case without accents, whatever its Unicode normal form and width. `unaccent` is not
-- immutable only because its rules are in a file: after a change of that file the documents must be written again.
-- PL/pgSQL, because it keeps its plan: a function in SQL would be planned again for each row that a trigger writes.
declare
  v_text text;
begin
  if octet_length(p_text) = char_length(p_text) then
    -- ASCII has no accents; most texts end here, at a sixth of the cost.
    return lower(p_text);
  end if;
  -- Soft hyphens go first, since `unaccent` makes hyphens of them.
  v_text := replace(p_text, E'\u00ad', '');
  v_text := lower(public.unaccent('public.unaccent'::regdictionary,
    case when v_text is nfkc normalized then v_text else normalize(v_text, nfkc) end));
  -- What `unaccent` does not know, and Latin and Cyrillic texts don't have: vowel signs of Hebrew and Arabic, which are
  -- mostly left out; Arabic letters that are written in several ways, lengthened, or as on a Persian keyboard; the Greek
  -- sigma at the end of a word, which has no capital of its own; dots and nasals of Indian scripts; digits; the marks after
  -- emoji.
  if v_text ~ '[\u03c2\u0591-\u06f9\u0900-\u0b7f\ufe0e\ufe0f]' then
    v_text := regexp_replace(v_text,
      '[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u093c\u09bc\u0a3c\u0abc\u0b3c\ufe0e\ufe0f]',
      '', 'g');
    v_text := translate(v_text,
      E'\u03c2\u0622\u0623\u0625\u0671\u0629\u0649\u06cc\u06a9\u0929\u0931\u0934\u0901٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯',
      E'\u03c3\u0627\u0627\u0627\u0627\u0647\u064a\u064a\u0643\u0928\u0930\u0933\u09020123456789012345678901234567890123456789');
    -- हिन्दी and हिंदी, मुम्बई and मुंबई.
    v_text := regexp_replace(v_text, '[\u0919\u091e\u0923\u0928\u092e]\u094d(?=[\u0915-\u0939])', E'\u0902', 'g');
  end if;
  return v_text;
end
$$;
alter function sec.folded(text) owner to <app>_owner;

create function sec.unspaced() returns text
  language sql immutable parallel safe as $$
-- A regular expression for one character of the scripts whose words are not separated by blanks: Han, Kana, Hangul.
  select '[\u3005\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]'
$$;
alter function sec.unspaced() owner to <app>_owner;

create function sec.split_words(p_folded text, p_between text) returns text
  language plpgsql immutable parallel safe as $$
-- Folded text with `p_between` instead of the characters that PostgreSQL's parser reads as parts of addresses, file
-- names, numbers and tags, so that `a/b`, `24.12.2027` and `https://a.b/c` consist of words. Hyphens, commas and
-- quotation marks stay.
-- Chinese, Japanese and Korean words often follow each other without blanks. Texts in these scripts become pairs of
-- neighbouring characters: 音楽祭 is 音楽 and 楽祭.
declare
  v_text text := p_folded;
  v_one text;
  v_char constant text := sec.unspaced();
begin
  -- Of one character each, `replace` takes a twentieth of the time of `translate`.
  foreach v_one in array array['.', '/', ':', '@', '_', '&', '<', '+'] loop
    v_text := replace(v_text, v_one, p_between);
  end loop;
  if octet_length(v_text) = char_length(v_text) or v_text !~ v_char then
    return v_text;
  end if;
  v_text := regexp_replace(v_text, '(' || v_char || '+)', p_between || '\1' || p_between, 'g');
  return regexp_replace(
    v_text, '(?<=' || v_char || ')(' || v_char || ')(?=' || v_char || ')', '\1' || p_between || '\1', 'g'
  );
end
$$;
alter function sec.split_words(text, text) owner to <app>_owner;

create function sec.words(p_text text) returns tsvector
  language plpgsql immutable parallel safe as $$
-- The words of a text. `O'Brien's` is also found as `obriens` and `obrien`, `U.S.A.` as `usa`, Persian words without the
-- joiner between their parts, `Zürich` also as `zuerich`, as it is written on keyboards without umlauts, and the last character of a text in Chinese, Japanese or Korean by itself (the others begin a
-- pair). These are added at the end, so that they part no phrase.
declare
  v_text text := sec.folded(p_text);
  v_char constant text := sec.unspaced();
  v_words text := replace(sec.split_words(v_text, ' '), '-', ' ');
begin
  if strpos(v_text, '''') > 0 then
    v_words := concat_ws(' ', v_words, (
      select string_agg(concat_ws(' ', replace(m[1], '''', ''), replace(substring(m[1] from '^(.*''.*)''s$'), '''', '')), ' ')
      from regexp_matches(v_text, '([[:alnum:]]+(?:''[[:alnum:]]+)+)', 'g') m
    ));
  end if;
  if v_text ~ '\m[a-z]\.[a-z]\M' then
    v_words := concat_ws(' ', v_words, (
      select string_agg(replace(m[1], '.', ''), ' ') from regexp_matches(v_text, '\m([a-z](?:\.[a-z]\M)+)', 'g') m
    ));
  end if;
  if strpos(p_text, E'\u200c') > 0 then
    v_words := concat_ws(' ', v_words, (
      select string_agg(sec.folded(replace(m[1], E'\u200c', '')), ' ')
      from regexp_matches(p_text, E'([[:alnum:]]+(?:\u200c[[:alnum:]]+)+)', 'g') m
    ));
  end if;
  if octet_length(p_text) > char_length(p_text) and normalize(p_text, nfc) ~* '[äöüåø]' then
    v_words := concat_ws(' ', v_words, (
      select string_agg(sec.folded(
        replace(replace(replace(replace(replace(m[1], 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'å', 'aa'), 'ø', 'oe')), ' ')
      from regexp_matches(lower(normalize(p_text, nfc)), '([[:alnum:]]*[äöüåø][[:alnum:]]*)', 'g') m
    ));
  end if;
  if octet_length(v_text) > char_length(v_text) and v_text ~ v_char then
    v_words := concat_ws(' ', v_words, (
      select string_agg(m[1], ' ')
      from regexp_matches(v_text, '(?<=' || v_char || ')(' || v_char || ')(?!' || v_char || ')', 'g') m
    ));
  end if;
  return to_tsvector('pg_catalog.simple'::regconfig, v_words);
end
$$;
alter function sec.words(text) owner to <app>_owner;

create function sec.searched_words(p_text text, p_half boolean) returns tsquery
  language plpgsql immutable parallel safe as $$
-- The query for the text that a caller typed; null without a letter or digit. `p_half`: the last word may be
-- incomplete, unless it is excluded.
-- Words that are written together (`ac/dc`) are found or excluded as a phrase: they are separated by commas, which end
-- a word for the parser, but not an operand. Apostrophes within a word and dots between single letters are left out, as
-- the documents have such words too, but at their end: not in phrases, and not if something is excluded. After an `OR` at the end the next word is still being typed.
declare
  v_text text := sec.folded(regexp_replace(p_text, '[[:space:]]+OR[[:space:]]*$', ''));
  v_query tsquery;
begin
  if v_text !~ '[[:alnum:]]' then
    return null;
  end if;
  if v_text ~ '[''.]' and v_text !~ '"|(^|[[:space:]])-' then
    v_text := regexp_replace(v_text, '([[:alnum:]])''(?=[[:alnum:]])', '\1', 'g');
    v_text := regexp_replace(v_text, '(\m[a-z])\.(?=[a-z]\M)', '\1', 'g');
  end if;
  v_text := sec.split_words(translate(v_text, ',;|()''!*\', '     ,,,,'), ',');
  -- A hyphen excludes only what it directly precedes.
  v_text := regexp_replace(v_text, '([^[:space:]])-+', '\1,', 'g');
  v_text := regexp_replace(v_text, '-+(?![[:alnum:],"])', ' ', 'g');
  v_query := websearch_to_tsquery('pg_catalog.simple', v_text);
  if p_half and right(v_query::text, 1) = '''' and v_query::text !~ '!''([^'']|'''')*''$' then
    return (v_query::text || ':*')::tsquery;
  end if;
  return v_query;
end
$$;
alter function sec.searched_words(text, boolean) owner to <app>_owner;

create function sec.searched_part(p_text text) returns text
  language sql immutable parallel safe as $$
-- A pattern for names that contain the text. One or two letters match only at the start of a word, which the index
-- supports. Punctuation at the end is not searched.
  select case when char_length(f.folded) < 3 then '% ' else '%' end
    || replace(replace(replace(f.folded, '\', '\\'), '%', '\%'), '_', '\_') || '%'
  from (select rtrim(sec.folded(btrim(p_text)), ' .,;:!?*') as folded) f
$$;
alter function sec.searched_part(text) owner to <app>_owner;

create function sec.spelled_out(p_whole tsquery, p_endings text[]) returns tsquery
  language sql immutable parallel safe as $$
-- The query with its last word replaced by any of these words.
  select (regexp_replace(p_whole::text, '''[^'']*''$', '') || '(' || string_agg(quote_literal(e), ' | ') || ')')::tsquery
  from unnest(p_endings) e
$$;
alter function sec.spelled_out(tsquery, text[]) owner to <app>_owner;

create function sec.era(p_id uuid) returns bigint
  language sql immutable parallel safe as $$
-- The time at which a row was created, which its id starts with, in steps of 4,096 ms. Of any other id: its place
-- among all ids.
  select ('x' || left(p_id::text, 8) || substr(p_id::text, 10, 1))::bit(36)::bigint
$$;
alter function sec.era(uuid) owner to <app>_owner;

create function sec.eras(p_id uuid) returns bigint[]
  language plpgsql immutable parallel safe as $$
-- The time spans that contain the creation of a row, each 64 times as long as the one before: 4 seconds, 4 minutes, 5
-- hours, 12 days, 2 years, 139 years. An index over words and spans finds the words of one span without reading those
-- of others. 64 of the longest spans cover all times that an id can express, so ids without a time need no more of
-- them.
declare
  v_era constant bigint := sec.era(p_id);
begin
  return array[
    v_era, (1::bigint << 40) + (v_era >> 6), (2::bigint << 40) + (v_era >> 12),
    (3::bigint << 40) + (v_era >> 18), (4::bigint << 40) + (v_era >> 24), (5::bigint << 40) + (v_era >> 30)
  ];
end
$$;
alter function sec.eras(uuid) owner to <app>_owner;

create function sec.eras_between(p_first bigint, p_last bigint) returns bigint[]
  language plpgsql immutable parallel safe as $$
-- The spans, all of one length, that reach from one time to another: the shortest length of which 33 suffice, or else
-- at most 64 of the longest. The first span may begin earlier. The index is searched for each of them.
declare
  v_level int := 0;
begin
  while v_level < 5 and (p_last >> 6 * v_level) - (p_first >> 6 * v_level) > 32 loop
    v_level := v_level + 1;
  end loop;
  return array(
    select (v_level::bigint << 40) + s from generate_series(p_first >> 6 * v_level, p_last >> 6 * v_level) s
  );
end
$$;
alter function sec.eras_between(bigint, bigint) owner to <app>_owner;

create function sec.era_of(p_span bigint) returns bigint
  language sql immutable parallel safe as $$
-- The time at which a span begins.
  select (p_span & ((1::bigint << 40) - 1)) << 6 * (p_span >> 40)::int
$$;
alter function sec.era_of(bigint) owner to <app>_owner;

create function sec.era_start(p_era bigint) returns uuid
  language sql immutable parallel safe as $$
-- The lowest id of a time.
  select rpad(lpad(to_hex(p_era), 9, '0'), 32, '0')::uuid
$$;
alter function sec.era_start(bigint) owner to <app>_owner;
