create function sec.uuid_v7() returns uuid
  language sql volatile parallel safe as $$
-- Version 7: milliseconds, then their fraction in 12 bits, then 62 random bits. The time is read once, in units of
-- 1/4096 ms, and its hexadecimal digits get the version put between them.
-- A single expression without a SET clause, so that PostgreSQL inlines it where a row is inserted. A function in PL/pgSQL
-- is planned anew, for 40 microseconds, each time that a transaction calls it under another search path than before:
-- inserting a row is followed by triggers, which have one of their own, and in which rows are inserted, too.
  select (overlay(
    pg_catalog.lpad(pg_catalog.to_hex(pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 4096000)::bigint), 15, '0')
      || pg_catalog.substr(pg_catalog.gen_random_uuid()::pg_catalog.text, 20)
    placing '7' from 13 for 0
  ))::pg_catalog.uuid
$$;
alter function sec.uuid_v7() owner to <app>_owner;

create function sec.merge_patch(p_old jsonb, p_patch jsonb) returns jsonb
  language plpgsql immutable parallel safe as $$
-- JSON Merge Patch (RFC 7396): null takes a key away, objects are merged, everything else replaces.
begin
  if jsonb_typeof(p_patch) is distinct from 'object' then
    return p_patch;
  end if;
  return coalesce((
    select jsonb_object_agg(m.key, m.value)
    from (
      select o.key, o.value
      from jsonb_each(case when jsonb_typeof(p_old) = 'object' then p_old else '{}' end) o
      where not p_patch ? o.key
      union all
      select n.key, sec.merge_patch(p_old -> n.key, n.value) from jsonb_each(p_patch) n where n.value <> 'null'
    ) m
  ), '{}');
end
$$;
alter function sec.merge_patch(jsonb,jsonb) owner to <app>_owner;

create function sec.patched(p_old jsonb, p_edit jsonb) returns jsonb
  language sql immutable parallel safe as $$
-- A stored object after {"replace": …} (PUT) or {"merge": …} (PATCH).
  select case when p_edit ? 'replace' then p_edit -> 'replace' else sec.merge_patch(p_old, p_edit -> 'merge') end
$$;
alter function sec.patched(jsonb,jsonb) owner to <app>_owner;

create function sec.patched_if_seen(p_name text, p_seen boolean, p_old jsonb, p_edit jsonb) returns jsonb
  language plpgsql immutable parallel safe as $$
-- The same of an object that not every caller may read. Merged into one that the caller doesn't see, a PATCH would lose
-- the keys that it leaves out.
begin
  if p_edit ? 'merge' and not p_seen then
    raise exception 'fields %', p_name using errcode = '42501';
  end if;
  return sec.patched(p_old, p_edit);
end
$$;
alter function sec.patched_if_seen(text,boolean,jsonb,jsonb) owner to <app>_owner;

create function sec.is_plain(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- No control characters but tab and line ends.
begin
  return p_text !~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]';
end
$$;
alter function sec.is_plain(text) owner to <app>_owner;

create function sec.is_seen(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- Something is to be seen: not only blanks, fillers, zero-width characters and marks without a letter.
begin
  return p_text ~ '[^\u0001-\u0020\u007f-\u00a0\u00ad\u0300-\u036f\u061c\u115f-\u1160\u1680\u17b4-\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001107f\U00013430-\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]';
end
$$;
alter function sec.is_seen(text) owner to <app>_owner;

create function sec.hides(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- Some character shows nothing where it stands, turns the direction of writing, is private, or is none.
begin
  return p_text ~ '[\u0001-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b\u200e-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\ufffe-\uffff\U0001107f\U00013430-\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000efffe-\U0010ffff]';
end
$$;
alter function sec.hides(text) owner to <app>_owner;

create function sec.is_line(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- Empty, or one line that shows what it holds: no line ends, nothing that shows nothing where it stands, nothing that
-- turns the direction of writing. Joiners stand between other characters, as Persian and emoji have them, not both of
-- them Latin, Greek or Cyrillic letters or blanks, or after an Indic virama; selectors after emoji, in keycaps and after Mongolian letters, tags after a flag. No blanks at its ends,
-- single blanks of one kind between words (or one of Chinese and Japanese width), in form NFC, and Malayalam letters
-- without a vowel are one character: what looks the same is the same, and unique. Marks stand on a character, five at most.
-- The first condition alone decides about printable ASCII, which most lines are; the others take three times as long.
begin
  return (p_text ~ '^[!-~](?:[ -~]*[!-~])?$' and strpos(p_text, '  ') = 0) or p_text = '' or (sec.is_seen(p_text) and p_text is nfc normalized
    and p_text !~ '^[\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]|[\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]$'
    and p_text !~ '[\u00a0\u1680\u2000-\u200a\u202f\u205f]|[\u0020\u3000][\u0020\u3000]'
    and p_text !~ '(^|[\u0020\u3000])[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]|[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]{6}'
    and p_text !~ '^[\u200c\u200d]|[\u200c\u200d][\u200c\u200d]|\u200c$|[^\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca]\u200d$|[\u0d15\u0d23\u0d28\u0d30\u0d32\u0d33]\u0d4d\u200d|[\u0001-\u052f\u1e00-\u200a\u3000][\u200c\u200d][\u0001-\u052f\u1e00-\u200a\u3000]'
    and (not sec.hides(p_text) or (p_text ~ '[\u180b-\u180f\ufe0e\ufe0f\U000e007f]' and not sec.hides(regexp_replace(p_text,
      '[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2934-\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff][\ufe0e\ufe0f]|[#*0-9]\ufe0f(?=\u20e3)|[\u1820-\u18aa][\u180b-\u180d\u180f]|[\u1820-\u18aa]\u180e(?=[\u1820\u1821])|\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f', '', 'g')))));
end
$$;
alter function sec.is_line(text) owner to <app>_owner;

create function sec.is_text(p_text text, p_min int, p_max int) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- So many characters: one line of them if they are 300 at most (names, titles, codes; `kernel::input` has the same
-- number), else plain text that shows something unless it may be empty.
begin
  return char_length(p_text) between p_min and p_max and case
    when p_max <= 300 then sec.is_line(p_text)
    else sec.is_plain(p_text) and (p_min = 0 or p_text ~ '[!-~]' or sec.is_seen(p_text))
  end;
end
$$;
alter function sec.is_text(text, int, int) owner to <app>_owner;

create function sec.is_email(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- In lower case: no mail service tells addresses apart by their capitals. Lengths beside the pattern: counted in it, they
-- cost a hundred times as much.
begin
  return char_length(p_text) <= 254
    and p_text ~ '^[a-z0-9!#$%&''*+/=?^_`{|}~.-]+@([a-z0-9]+(-+[a-z0-9]+)*\.)+[a-z0-9]+(-+[a-z0-9]+)*$'
    and strpos(p_text, '@') <= 65
    and (char_length(p_text) <= 64 or split_part(p_text, '@', 2) !~ '[^.]{64}');
end
$$;
alter function sec.is_email(text) owner to <app>_owner;

create function sec.is_url(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- http or https; a host with a dot in lower-case ASCII (international names as `xn--`), `localhost` (pages in
-- development, to which a payment returns) or an IP address; a port or none. No user information. The rest is ASCII as
-- well (RFC 3986; other characters are percent-encoded), without an encoded NUL.
begin
  return char_length(p_text) <= 2000 and strpos(p_text, '%00') = 0
    and p_text ~ '^https?://(localhost|([a-z0-9_]+(-+[a-z0-9_]+)*\.)+[a-z][a-z0-9_]*(-+[a-z0-9_]+)*|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?([/?](%[0-9A-Fa-f]{2}|[!$&-;=?-Z_a-z~])*)?(#(%[0-9A-Fa-f]{2}|[!$&-;=?-Z_a-z~])*)?$';
end
$$;
alter function sec.is_url(text) owner to <app>_owner;

create function sec.is_https(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
begin
  return p_text like 'https://%' and sec.is_url(p_text);
end
$$;
alter function sec.is_https(text) owner to <app>_owner;

create function sec.is_phone(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- E.164
begin
  return p_text ~ '^\+[1-9][0-9]{6,14}$';
end
$$;
alter function sec.is_phone(text) owner to <app>_owner;

create function sec.is_slug(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
begin
  return char_length(p_text) <= 100 and p_text ~ '^[a-z0-9]+(-[a-z0-9]+)*$';
end
$$;
alter function sec.is_slug(text) owner to <app>_owner;

create function sec.is_currency(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- ISO 4217, money only: no metals, units of account and codes for tests. As words of one text: an array would be read anew for every call.
begin
  return p_text ~ '^[A-Z]{3}$' and strpos('AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
    HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL
    LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
    TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG', p_text) > 0;
end
$$;
alter function sec.is_currency(text) owner to <app>_owner;

create function sec.is_country(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- ISO 3166-1 alpha-2
begin
  return p_text ~ '^[A-Z]{2}$' and strpos('AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
    YT ZA ZM ZW', p_text) > 0;
end
$$;
alter function sec.is_country(text) owner to <app>_owner;

create function sec.is_locale(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- BCP 47 in its usual spelling: language, script, region, variants
begin
  return char_length(p_text) <= 35
    and p_text ~ '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*$';
end
$$;
alter function sec.is_locale(text) owner to <app>_owner;

create function sec.is_timezone(p_text text) returns boolean
  language plpgsql immutable parallel safe as $$
begin
  -- A name of the IANA database. PostgreSQL also takes abbreviations and rules such as `FOO+3`: those have no
  -- place in a form that every client understands, so only `Etc/` may hold a number.
  if p_text !~ '^(UTC|[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z_-]*){1,2}|Etc/GMT[+-]?([0-9]|1[0-4]))$' then
    return false;
  end if;
  perform timezone(p_text, timestamptz '2000-01-01 00:00:00+00');
  return true;
exception when invalid_parameter_value then
  return false;
end
$$;
alter function sec.is_timezone(text) owner to <app>_owner;

create function sec.is_local_time(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- Hours and minutes of a clock on the wall
begin
  return p_text ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$';
end
$$;
alter function sec.is_local_time(text) owner to <app>_owner;

create function sec.is_code(p_text text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- Something to type in: capital letters, no blanks, nothing that shows nothing, and letters of other widths as the
-- usual ones (NFKC).
begin
  return p_text ~ '^[^\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$'
    and p_text = upper(p_text collate "und-x-icu") and p_text is nfkc normalized
    and sec.is_seen(p_text) and not sec.hides(p_text) and p_text !~ '[\u200c\u200d]';
end
$$;
alter function sec.is_code(text) owner to <app>_owner;

create function sec.is_handle(p_text text, p_min int, p_max int) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- A member's name in addresses, in the one spelling that `kernel::input` makes of it: `@Priya` is `priya`.
begin
  return char_length(p_text) between p_min and p_max and p_text ~ '^[a-z][a-z0-9_]*$';
end
$$;
alter function sec.is_handle(text, int, int) owner to <app>_owner;

create function sec.is_social(p_text text, p_network text) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- A page of that network, in the one spelling that `kernel::input::social` makes.
begin
  return char_length(p_text) <= 300 and p_text ~ case p_network
    when 'instagram' then '^https://www\.instagram\.com/[A-Za-z0-9._]{1,30}$'
    when 'facebook' then '^https://www\.facebook\.com/([A-Za-z0-9.-]{1,75}|profile\.php\?id=[0-9]{1,20}|(people|groups|pages)/[A-Za-z0-9.%/_-]{1,150}|p/[A-Za-z0-9.%_-]{1,150}|share/(g/)?[A-Za-z0-9_-]{6,40})$'
    when 'youtube' then '^https://www\.youtube\.com/(@[A-Za-z0-9._%-]{1,180}|channel/[A-Za-z0-9_-]{1,60}|(c|user)/[A-Za-z0-9._%-]{1,100})$'
    when 'linkedin' then '^https://www\.linkedin\.com/(in|company|school|showcase)/[A-Za-z0-9._%-]{1,150}$'
    when 'x' then '^https://x\.com/[A-Za-z0-9_]{1,15}$'
    when 'tiktok' then '^https://www\.tiktok\.com/@[A-Za-z0-9._]{1,24}$'
    when 'mastodon' then '^https://(?!([a-z0-9-]+\.)*(instagram\.com|instagr\.am|ig\.me|facebook\.com|fb\.com|fb\.me|fb\.watch|m\.me|messenger\.com|youtu\.be|lnkd\.in|t\.co|bsky\.social|telegram\.org|youtube\.com|linkedin\.com|x\.com|twitter\.com|tiktok\.com|threads\.com|threads\.net|bsky\.app|wa\.me|whatsapp\.com|t\.me|telegram\.me|telegram\.dog)/)([a-z0-9]+(-+[a-z0-9]+)*\.)+[a-z0-9]+(-+[a-z0-9]+)*/@[A-Za-z0-9._-]{1,60}$'
    when 'threads' then '^https://www\.threads\.com/@[A-Za-z0-9._]{1,30}$'
    when 'bluesky' then '^https://bsky\.app/profile/(?=[A-Za-z0-9-]*[.:])[A-Za-z0-9.:-]{3,100}$'
    when 'whatsapp' then '^https://(wa\.me/([1-9][0-9]{6,14}|(message|qr)/[A-Za-z0-9]{8,40})|chat\.whatsapp\.com/[A-Za-z0-9]{10,40}|whatsapp\.com/channel/[A-Za-z0-9]{10,40})$'
    when 'telegram' then '^https://t\.me/([A-Za-z0-9_]{3,32}|\+[A-Za-z0-9_-]{10,40}|joinchat/[A-Za-z0-9_-]{10,40})$'
  end;
end
$$;
alter function sec.is_social(text, text) owner to <app>_owner;

create function sec.is_text_list(p_list text[], p_length int, p_count int) returns boolean
  language plpgsql immutable strict parallel safe as $$
-- At most so many texts, none of them null or empty, each at most so long.
begin
  return cardinality(p_list) <= p_count
    and coalesce((select bool_and(t is not null and char_length(t) between 1 and p_length
      and case when p_length <= 300 then sec.is_line(t) else sec.is_plain(t) and sec.is_seen(t) end)
      from unnest(p_list) t), true);
end
$$;
alter function sec.is_text_list(text[], int, int) owner to <app>_owner;

create function sec.slugify(p_text text) returns text
  language plpgsql immutable parallel safe as $$
-- Lower-case words joined by hyphens, Latin letters without what is added to them: Đà Nẵng becomes da-nang. Empty where
-- less than half of the letters and digits is left: what remains of a name in another script would mislead.
declare
  -- Ligatures, full-width letters and loose accents are what normalising takes apart; `unaccent` knows the letters that
  -- are no combinations (đ, ı, œ, þ), and is not immutable only because its rules are a file.
  -- It does not know the vowels of Azerbaijani, Akan and Ewe, nor that the sign of Hawaiian is a letter that is left out.
  v_plain text := lower(public.unaccent('public.unaccent'::regdictionary, translate(
    normalize(regexp_replace(normalize(p_text, nfkd), '[\u0300-\u036f]', '', 'g'), nfkc),
    'əƏǝƎɛƐɔƆɣƔʒƷʻʼ', 'eeeeeeooggzz')));
  v_all int := char_length(regexp_replace(v_plain collate "und-x-icu", '[^[:alnum:]]', '', 'g'));
  v_slug text := btrim(left(regexp_replace(v_plain, '[^a-z0-9]+', '-', 'g'), 80), '-');
begin
  return case when 2 * char_length(regexp_replace(v_plain, '[^a-z0-9]', '', 'g')) >= v_all then v_slug else '' end;
end
$$;
alter function sec.slugify(text) owner to <app>_owner;
