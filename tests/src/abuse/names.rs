//! What names tell of rows that their reader may not see.

use crate::support::{Database, TestServer, database::Content, model};
use codegen::{
    emit::schema::{insertable, unique_sets},
    model::{Entity, Ty, implied},
};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;

/// Slugs that the database makes: entity, slug, the field it is made of.
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

/// It is made of the row alone: the same words and the end of the id, how many others there are or not.
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
        // The first is the only one of its words, the others are not.
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
    // What the owner calls it by hand is an address, and addresses are public: it is free.
    let body = json!({"city_id": city, "name": "Mine", "slug": "secret-choir"});
    stranger.client.post("/communities", body).await.expect(201);
}

/// Every unique rule of which trying tells something, by name: whoever adds one decides whether that is meant.
#[test]
fn abuse_08_where_a_taken_value_shows_is_known() {
    let mut found = Vec::new();
    for (id, entity) in model().entities.iter().enumerate() {
        for set in unique_sets(entity) {
            let tried = entity.writable() && implied::is_chosen(entity, &set);
            if tried && !implied::writer_reads_equals(model(), id, &set) {
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
    known.push("device: push_token".into());
    known.sort();
    found.sort();
    assert_eq!(found, known);
}
