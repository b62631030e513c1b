//! Whether slugs and unique values reveal rows that the reader may not see.

use crate::support::{Database, TestServer, database::Content, is_new, model};
use codegen::{
    emit::schema::{insertable, unique_sets},
    model::{Entity, Ty, implied},
};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// Slugs that the database generates: entity, slug, and the field from which it is derived.
fn made() -> impl Iterator<Item = (&'static Entity, &'static str, &'static str)> {
    model().entities.iter().flat_map(|entity| {
        entity
            .fields
            .iter()
            .filter_map(move |field| match &field.ty {
                Ty::Slug { from: Some(from) } => Some((entity, field.name.as_str(), from.as_str())),
                _ => None,
            })
    })
}

/// A slug depends on its row only: it consists of the same words and the end of the id, however many other rows there
/// are.
#[tokio::test]
async fn abuse_08_a_slug_tells_nothing_of_other_rows() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let mut tried = 0;
    for (entity, slug, from) in made() {
        let table = &entity.plural;
        let columns: Vec<String> = insertable(entity)
            .into_iter()
            .filter(|c| c != slug)
            .collect();
        let columns = columns.join(", ");
        // Copies of a row have the same values in all columns, so other unique indexes are dropped.
        let apart = format!(
            "do $$ declare other regclass; begin
               for other in select i.indexrelid::regclass from pg_index i
                 join pg_attribute a on a.attrelid = i.indrelid and a.attname = '{slug}'
                 where i.indrelid = 'app.{table}'::regclass and i.indisunique and a.attnum <> all (i.indkey)
                   and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
               loop execute format('drop index %s', other); end loop;
             end $$"
        );
        sqlx::raw_sql(AssertSqlSafe(apart))
            .execute(&mut conn)
            .await
            .expect("no other unique index");
        // The first copy may be the only row with its words, the others are not.
        for _ in 0..3 {
            let text = format!(
                "insert into app.{table} ({columns}) select {columns} from app.{table} where status = 'active' order by id limit 1
                 returning {slug} = coalesce(nullif(sec.slugify({from}), ''), '{}') || '-' || right(id::text, 8)",
                entity.name.replace('_', "-")
            );
            let own: bool = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_one(&mut conn)
                .await
                .expect("a copy");
            assert!(own, "{table}.{slug}");
            tried += 1;
        }
    }
    assert!(tried >= 15, "{tried}");
}

#[tokio::test]
async fn abuse_08_a_strangers_slug_is_like_any_other_and_six_at_once_are_six() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (owner, stranger) = (
        server.member("owner").await,
        server.member("stranger").await,
    );
    let body = json!({"city_id": city, "name": "Secret Choir", "visibility": "private"});
    owner.client.post("/communities", body).await.expect(201);
    let mut creating = Vec::new();
    for _ in 0..6 {
        let client = stranger.client.clone();
        let body = json!({"city_id": city, "name": "Secret Choir"});
        creating.push(tokio::spawn(async move {
            client.post("/communities", body).await
        }));
    }
    let mut slugs = BTreeSet::new();
    for one in creating {
        let answer = one.await.expect("an answer").expect(201);
        let slug = answer.json["slug"].as_str().expect("a slug").to_owned();
        let end = slug.strip_prefix("secret-choir-").expect("its words");
        assert!(
            end.len() == 8 && end.bytes().all(|b| b.is_ascii_hexdigit()),
            "{slug}"
        );
        slugs.insert(slug);
    }
    assert_eq!(slugs.len(), 6);
    // A slug chosen by the owner is a public address; if nobody has it, it is available.
    let body = json!({"city_id": city, "name": "Mine", "slug": "secret-choir"});
    stranger.client.post("/communities", body).await.expect(201);
}

/// The slug of a name; empty if most of the name would be lost and the rest would be misleading.
#[tokio::test]
async fn slugs_keep_latin_letters_or_fall_back() {
    let database = Database::new(Content::Reference).await;
    let mut conn = database.superuser().await;
    let cases = [
        ("Đà Nẵng", "da-nang"),
        ("Đa\u{300} Na\u{306}\u{303}ng", "da-nang"),
        ("Işık Şöleni İstanbul", "isik-soleni-istanbul"),
        ("Œuvre & cœur", "oeuvre-coeur"),
        ("Þórshöfn á Langanesi, Ðað", "thorshofn-a-langanesi-dad"),
        ("Straße in Łódź", "strasse-in-lodz"),
        ("Ærø Ŋgaŋa Ħamrun Gəncə", "aero-ngana-hamrun-gence"),
        (
            "Ǿresund, Ɔkɔmfo Ɛyɛ, Ɖɔ ƒe ɣe",
            "oresund-okomfo-eye-do-fe-ge",
        ),
        ("Hawaiʻi – ʻŌlelo", "hawaii-olelo"),
        ("L’été à l'Opéra", "l-ete-a-l-opera"),
        ("ﬁnale ２０２６ Ｊａｚｚ", "finale-2026-jazz"),
        ("“Jazz” – 👨‍👩‍👧‍👦 fun!", "jazz-fun"),
        ("東京 Jazz Night", "jazz-night"),
        ("東京ジャズナイトへようこそ 2026", ""),
        ("Фестиваль JAZZ", ""),
        ("Αθήνα", ""),
        ("!!!", ""),
    ];
    for (name, slug) in cases {
        let made: String = sqlx::query_scalar("select sec.slugify($1)")
            .bind(name)
            .fetch_one(&mut conn)
            .await
            .expect("a slug");
        assert_eq!(made, slug, "{name}");
    }
    // All letters of the Latin alphabets of Europe, Vietnam and Turkey are converted.
    let lost: Vec<String> = sqlx::query_scalar(
        "select chr(n) from generate_series(192, 383) n
         where chr(n) ~ '[[:alpha:]]' and sec.slugify(chr(n) || 'a') !~ '^[a-z-]{2,}$'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("letters");
    assert_eq!(lost, Vec::<String>::new());
}

/// Front ends use slugs in URLs: every list of an entity with a slug can filter by it, and uses an index. (That the
/// filter finds the right rows is tested in `lists::filters`, for every filter.)
#[tokio::test]
async fn every_list_finds_by_slug() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let mut tried = 0;
    for entity in model().entities.iter().filter(|e| !e.internal) {
        for field in &entity.fields {
            if !matches!(field.ty, Ty::Slug { .. }) {
                continue;
            }
            assert!(field.filter, "{}.{}", entity.name, field.name);
            let leads: bool = sqlx::query_scalar(
                "select exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                 where i.indrelid = to_regclass('app.' || $1) and a.attname = $2)",
            )
            .bind(&entity.plural)
            .bind(&field.name)
            .fetch_one(&mut conn)
            .await
            .expect("an answer");
            assert!(
                leads,
                "no index of {} begins with {}",
                entity.name, field.name
            );
            tried += 1;
        }
    }
    assert!(tried >= 7, "{tried}");
}

/// Whether it is the address of a row, which is public by nature.
fn is_address(entity: &Entity, set: &[String]) -> bool {
    let mut fields = set.iter().filter_map(|name| entity.field(name));
    fields.any(|field| matches!(field.ty, Ty::Slug { .. }))
}

/// All unique values and ranges by which hidden rows can be detected; each was allowed deliberately. Addresses of new
/// entities are like those of the others.
#[test]
fn abuse_08_where_a_taken_value_shows_is_known() {
    let mut found = Vec::new();
    for (id, entity) in model().entities.iter().enumerate() {
        for exclude in &entity.exclude {
            let tried = entity.writable() && implied::is_chosen(entity, &exclude.tried());
            if tried && !implied::writer_reads_overlaps(model(), id, exclude) {
                let named = exclude.named().join(", ");
                found.push(format!("{}: {named}..{}", entity.name, exclude.to));
            }
        }
        for set in unique_sets(entity) {
            // A value with `moves` is taken over from its holder, who is not revealed.
            let moves = |name: &String| entity.field(name).is_some_and(|field| field.moves);
            let tried =
                entity.writable() && implied::is_chosen(entity, &set) && !set.iter().any(moves);
            let is_allowed = is_new(entity) && is_address(entity, &set);
            if tried && !is_allowed && !implied::writer_reads_equals(model(), id, &set) {
                found.push(format!("{}: {}", entity.name, set.join(", ")));
            }
        }
    }
    let slugs = |entity: &str| format!("{entity}: city_id, slug");
    let addresses = [
        "business",
        "community",
        "event",
        "institution",
        "organization",
        "venue",
    ];
    let mut known: Vec<String> = addresses.map(slugs).into();
    known.push("city: country_id, slug".into());
    // A caller who may set one is staff of the checkpoint's event, and may read all rows of that checkpoint.
    known.push("checkpoint_ticket_type: checkpoint_id, ticket_type_id".into());
    // A suspended promotion keeps its place, though its administrators no longer read it: whoever books the same place for
    // the same target learns that it is taken.
    known.push("promotion: target_type, target_id, slot, starts_at..ends_at".into());
    known.sort();
    found.sort();
    assert_eq!(found, known);
}
