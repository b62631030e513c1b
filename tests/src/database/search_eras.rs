//! The newest rows with a word are found by searching backwards in time: with the same result as if all rows were
//! searched, but without reading all rows with the word.

use super::world::{World, attempt, rows, scalar, world};
use sqlx::Row;
use std::collections::BTreeMap;

/// Fills in documents of so many events, ten minutes apart. The older three quarters contain words that the others do
/// not. Only the newest of the older ones have an event.
fn older_words(world: &World, count: i32) -> String {
    format!(
        "set session_replication_role = replica;
         truncate search.events; delete from app.events;
         insert into search.events (id, document, names)
         select (lpad(to_hex(1700000000000 + n * 600000::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
           to_tsvector('simple', concat_ws(' ', case when n <= {count} * 3 / 4 then 'bygone' end,
             case when n <= {count} * 3 / 4 and n % 5 = 0 then 'sometime' end, case when n = 5 then 'unicum' end,
             (select string_agg('w' || n * g % 4999, ' ') from generate_series(1, 20) g))),
           case when n <= {count} * 3 / 4 then ' sternwarte ' else ' abend ' end || n
         from generate_series(1, {count}) n;
         insert into app.events (id, city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select d.id, '{}', 'organization', '{}', 'x', d.id::text, now(), now() + interval '1 hour', 'UTC', 'published'
         from search.events d where d.names like ' sternwarte%' order by d.id desc limit 150;
         reset session_replication_role; analyze search.events; analyze app.events",
        world.city, world.organization
    )
}

/// The number of documents read by a search for 21 events.
async fn read(world: &World, text: &str, half: bool) -> i64 {
    let mut tx = world.database.superuser.begin().await.expect("begun");
    // The view also shows what earlier transactions of the connection have read and not yet reported.
    let counted = "select idx_tup_fetch + seq_tup_read from pg_stat_xact_user_tables where relid = 'search.events'::regclass";
    let before: i64 = scalar(&mut *tx, counted.to_owned()).await;
    let found: i64 = scalar(
        &mut *tx,
        format!("select count(*) from app.events_search('{text}', {half}, '{{}}', null, 21)"),
    )
    .await;
    assert_eq!(found, 21, "{text}");
    let after: i64 = scalar(&mut *tx, counted.to_owned()).await;
    after - before
}

/// Words, and a part of a name, that only old events contain. With `true`, the beginning of a word suffices.
const OLD: [(&str, bool); 6] = [
    ("bygone", false),
    ("bygone", true),
    ("byg", true),
    ("sometime", false),
    ("sometime", true),
    ("ernwart", false),
];

async fn reads(world: &World) -> BTreeMap<(&'static str, bool), i64> {
    let mut reads = BTreeMap::new();
    for (text, half) in OLD {
        reads.insert((text, half), read(world, text, half).await);
    }
    reads
}

/// The maximum number of documents that a search may read, out of 24,000, of which 18,000 contain the word: about
/// three hundred in each time window, and the number of windows depends on where they begin.
const READ_MAX: i64 = 6_000;

/// Claim: the number of documents read to find a word is bounded, however many contain it and whenever they were
/// created.
#[tokio::test]
async fn a_word_of_many_old_rows_is_found_without_reading_them_all() {
    let world = world().await;
    world.admin(older_words(&world, 24_000)).await.unwrap();
    for (asked, read) in reads(&world).await {
        assert!(read < READ_MAX, "{asked:?}: {read}");
    }
    // The negative control: without searching backwards in time all of them are read, and the test notices it.
    let whole = "create or replace function sec.newest_events(p_words tsquery, p_part text, p_within tsquery, p_before uuid, p_wanted int)
        returns uuid[] language sql as $$
          select array(select d.id from search.events d where d.document @@ p_words and d.id < p_before order by d.id desc limit p_wanted)
        $$";
    world.admin(whole).await.unwrap();
    let all = read(&world, "bygone", false).await;
    assert!(all > READ_MAX, "{all}");
}

/// The number of pages that a search reads, pages of indexes included.
async fn pages(world: &World, text: &str) -> i64 {
    let explained = sqlx::query_scalar::<_, serde_json::Value>(sqlx::AssertSqlSafe(format!(
        "explain (analyze, buffers, timing off, format json)
         select * from app.events_search('{text}', false, '{{}}', null, 21)"
    )));
    let plan = explained.fetch_one(&world.database.superuser).await;
    let plan = plan.expect("a plan");
    let of = |kind: &str| plan[0]["Plan"][kind].as_i64().expect("a number");
    of("Shared Hit Blocks") + of("Shared Read Blocks")
}

/// The most pages that a search may read here, where the id of one row contains a time in the year 10889.
const PAGES_MAX: i64 = 8_000;

/// Claim: an id that contains a time far in the future neither hides rows nor makes a search query the index for each
/// span of years until then.
#[tokio::test]
async fn a_row_far_in_the_future_slows_no_search() {
    let world = world().await;
    world.admin(older_words(&world, 24_000)).await.unwrap();
    let id = "ffffffff-ffff-7000-8000-000000000000";
    world
        .admin(format!(
            "set session_replication_role = replica;
             insert into search.events (id, document, names) values ('{id}', to_tsvector('simple', 'morrow'), ' morrow ');
             insert into app.events (id, city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
             values ('{id}', '{}', 'organization', '{}', 'x', '{id}', now(), now() + interval '1 hour', 'UTC', 'published');
             reset session_replication_role",
            world.city, world.organization
        ))
        .await
        .unwrap();
    for (text, half) in OLD {
        let read = read(&world, text, half).await;
        assert!(read < READ_MAX, "{text}: {read}");
    }
    for (text, found) in [("bygone", 21), ("morrow", 1), ("unicum", 0)] {
        let search =
            format!("select count(*) from app.events_search('{text}', false, '{{}}', null, 21)");
        assert_eq!(world.look::<i64>(search).await, found, "{text}");
        let pages = pages(&world, text).await;
        assert!(pages < PAGES_MAX, "{text}: {pages}");
    }
    // Negative control: with spans of two years at most, as in an earlier version, a search reads more pages.
    let shorter = "create or replace function sec.eras_between(p_first bigint, p_last bigint) returns bigint[] language plpgsql immutable as $$
        declare v_level int := 0;
        begin
          while v_level < 4 and (p_last >> 6 * v_level) - (p_first >> 6 * v_level) > 32 loop v_level := v_level + 1; end loop;
          return array(select (v_level::bigint << 40) + s from generate_series(p_first >> 6 * v_level, p_last >> 6 * v_level) s);
        end $$";
    world.admin(shorter).await.unwrap();
    let all = pages(&world, "morrow").await;
    assert!(all > PAGES_MAX, "{all}");
}

/// Fills in documents created over five years, within one second, and with ids that do not contain a time. Nine of ten
/// belong to events that everybody may see.
fn of_all_times(world: &World) -> String {
    format!(
        "set session_replication_role = replica;
         truncate search.events; delete from app.events;
         insert into search.events (id, document, names)
         select case
             when n = 1 then '00000000-0000-0000-0000-000000000001'
             when n % 10 < 5 then (lpad(to_hex(1600000000000 + (n * 7919 % 3000) * 52000000::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid
             when n % 10 < 9 then (lpad(to_hex(1650000000000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid
             else overlay(md5(n::text) placing '01' from 1 for 2)::uuid
           end,
           to_tsvector('simple', concat_ws(' ', 'every', case when n % 2 = 0 then 'second' end, case when n % 211 = 7 then 'rare' end))
             || array_to_tsvector(array['=' || n % 3]),
           ' abend' || n
         from generate_series(1, 3000) n;
         update search.events d set
           document = d.document || to_tsvector('simple', concat_ws(' ', 'bygone', case when right(d.names, 1) < '3' then 'open-air' end,
             'tune' || right(d.names, 2))),
           names = d.names || ' sternwarte'
         where d.id < (select e.id from search.events e order by e.id desc offset 900 limit 1);
         insert into app.events (id, city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select d.id, '{}', 'organization', '{}', 'x', d.id::text, now(), now() + interval '1 hour', 'UTC', 'published'
         from search.events d where d.names not like '%7';
         reset session_replication_role; analyze search.events",
        world.city, world.organization
    )
}

/// For each question: a description, whether the result is the same as when searching all rows, and the number of
/// rows.
const COMPARED: &str = "
    with seen as materialized (select id from app.events_public),
    asked as (
      select q.half, t.before, n.wanted, q.text, w.within,
        sec.searched_words(q.text, false) as whole, sec.searched_words(q.text, q.half) as words
      from unnest(array['every', 'second', 'bygone', 'byg', 'rare', 'nowhere', 'second bygone', 'tun', 'tune1', 'rare tun',
                        'tune12 or rare', 'second -bygone', 'second - bygone', 'second (-bygone', '\"open air\"', 'open-air', 'open-ai', 'o''neil tun']) as text
        cross join unnest(array[true, false]) as half
        cross join lateral (select text, half and text !~ '\"$' as half) q
        cross join (
          select id as before from search.events where right(names, 3) in ('104', '505', '999')
          union all select 'ffffffff-ffff-ffff-ffff-ffffffffffff'
        ) t
        cross join unnest(array[21, 400]) n(wanted)
        cross join unnest(array[null, '''=1'''::tsquery]) w(within)
    ),
    answers as (
      select a.text, a.half, a.before, a.wanted, a.within::text,
        sec.found_events(a.whole, a.words, a.within, a.before, a.wanted) as found,
        array(select d.id from search.events d
          where d.document @@ coalesce(a.words && a.within, a.words) and d.id < a.before
            and d.id in (select id from seen)
          order by d.id desc limit a.wanted) as expected
      from asked a
      union all
      select p.part, null, a.before, a.wanted, a.within::text,
        sec.newest_events(null, p.part, a.within, a.before, a.wanted),
        array(select d.id from search.events d
          where d.names like p.part and (a.within is null or d.document @@ a.within) and d.id < a.before
            and d.id in (select id from seen)
          order by d.id desc limit a.wanted)
      from (select distinct before, wanted, within from asked) a cross join unnest(array['%abend%', '%ernwart%', '%end12%']) p(part)
    )
    select format('%s %s before %s, %s of %s', text, half, before, wanted, within), found = expected, cardinality(expected) from answers";

/// Claim: for any question and any position, the newest matching rows are found, in the right order.
#[tokio::test]
async fn the_newest_are_found_whenever_they_were_made() {
    let world = world().await;
    world.admin(of_all_times(&world)).await.unwrap();
    let mut found = 0;
    for row in rows(&world.database.superuser, COMPARED).await {
        let (asked, is_same, count): (String, bool, i32) = (row.get(0), row.get(1), row.get(2));
        assert!(is_same, "{asked}");
        found += usize::from(count > 0);
    }
    assert!(found > 300, "{found}");
}

/// Claim: the time spans of a search cover the whole period, are few, and contain every row in it.
#[tokio::test]
async fn spans_cover_the_time_that_is_asked_for() {
    let world = world().await;
    // The times in the first and the last id are 8,900 years apart.
    let ids = "select (lpad(to_hex(1700000000000 + (7::bigint ^ n)::bigint), 12, '0') || '70008000000000000000')::uuid as id
               from generate_series(0, 12) n
               union all values ('00000000-0000-7000-8000-000000000000'::uuid), ('ffffffff-ffff-7000-8000-000000000000')";
    let gaps = format!(
        "with ids as ({ids})
         select count(*) from ids a, ids b, ids c
         where a.id <= b.id and b.id <= c.id and (
           not sec.eras(b.id) && sec.eras_between(sec.era(a.id), sec.era(c.id))
           or cardinality(sec.eras_between(sec.era(a.id), sec.era(c.id)))
             > case when (sec.eras_between(sec.era(a.id), sec.era(c.id)))[1] >> 40 = 5 then 64 else 33 end
           or sec.era_of((sec.eras_between(sec.era(a.id), sec.era(c.id)))[1]) > sec.era(a.id)
           or sec.era_start(sec.era(a.id)) > a.id
           or sec.era(a.id) + 1 < 1::bigint << 36 and sec.era_start(sec.era(a.id) + 1) <= a.id)"
    );
    assert_eq!(world.look::<i64>(gaps).await, 0);
    for (query, endings, expected) in [
        ("'byg'", "{byg}", "'byg'"),
        ("'a' & 'byg'", "{byg,bygone}", "'a' & ( 'byg' | 'bygone' )"),
        ("'a' <-> 'b'", "{b,bc}", "'a' <-> ( 'b' | 'bc' )"),
    ] {
        let spelled = sqlx::query_scalar::<_, String>(
            "select sec.spelled_out($1::text::tsquery, $2::text::text[])::text",
        );
        let spelled = spelled.bind(query).bind(endings);
        let spelled = spelled.fetch_one(&world.database.superuser).await;
        assert_eq!(spelled.expect("a query"), expected);
    }
    // Requests may not call the internal functions.
    let mut request = world.request(None, "list").await;
    let asked =
        "select sec.newest_events(null, '%', null, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 1)";
    assert!(attempt(&mut *request, asked).await.is_err());
}
