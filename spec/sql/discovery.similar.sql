-- Names that are similar to the words of a search, for words with typing errors.

-- The objects of a kind in a city whose names are most similar to these words, the most similar ones first. Asked only if
-- the words themselves are found nowhere, and only within a city: among all names of the platform, a common word takes
-- seconds. Contains only what everybody may see. Words that are excluded or quoted are meant as they are, and fewer than four
-- letters are similar to too much.
create function app.similar_names(p_kind text, p_text text, p_city uuid, p_most int) returns uuid[]
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set pg_trgm.word_similarity_threshold = 0.4 as $$
declare
  v_words constant text := btrim(sec.folded(p_text));
  v_city constant tsquery := quote_literal('=' || p_city)::tsquery;
begin
  if p_city is null or length(v_words) < 4 or p_text ~ '(^|\s)-|"' then
    return '{}';
  end if;
  case p_kind
    when 'event' then
      return array(
        select d.id from search.events d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.events_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    when 'venue' then
      return array(
        select d.id from search.venues d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.venues_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    when 'community' then
      return array(
        select d.id from search.communities d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.communities_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    when 'organization' then
      return array(
        select d.id from search.organizations d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.organizations_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    when 'business' then
      return array(
        select d.id from search.businesses d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.businesses_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    when 'institution' then
      return array(
        select d.id from search.institutions d
        where d.document @@ v_city and v_words operator(public.<%) d.names and exists (select from app.institutions_public p where p.id = d.id)
        order by public.word_similarity(v_words, d.names) desc, d.id desc limit p_most);
    else
      return '{}';
  end case;
end
$$;
alter function app.similar_names(text, text, uuid, int) owner to <app>_authz;
revoke execute on function app.similar_names(text, text, uuid, int) from public;
grant execute on function app.similar_names(text, text, uuid, int) to <app>_app, <app>_job;
