//! "4.6 (128 reviews)": the rating that every reviewable profile shows, and when it changes.

use crate::support::{Client, Member, TestServer, model, resources};
use codegen::model::Entity;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// The entities that show an average.
fn rated() -> impl Iterator<Item = &'static Entity> {
    let shows = |entity: &&Entity| entity.derived.iter().any(|one| one.name == "rating_avg");
    model().entities.iter().filter(shows)
}

/// A public profile, whose reviews are removed.
async fn unreviewed(conn: &mut PgConnection, client: &Client, entity: &Entity) -> Uuid {
    let path = resources()[entity.name.as_str()].path;
    let list = client.get(&format!("/{path}?limit=1")).await.expect(200);
    let id = list.json["data"][0]["id"].as_str().expect("one");
    let id: Uuid = id.parse().expect("an id");
    sqlx::query("update app.reviews set status = 'archived' where entity_id = $1")
        .bind(id)
        .execute(conn)
        .await
        .expect("no reviews");
    id
}

async fn shown(client: &Client, entity: &Entity, id: Uuid) -> (Value, Value) {
    let path = resources()[entity.name.as_str()].path;
    let one = client.get(&format!("/{path}/{id}")).await.expect(200).json;
    (one["rating_avg"].clone(), one["rating_count"].clone())
}

#[tokio::test]
async fn a_profile_shows_the_average_to_one_decimal_and_how_many_rated() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let mut people: Vec<Member> = Vec::new();
    for n in 0..3 {
        people.push(server.member(&format!("rater_{n}")).await);
    }
    let mut covered = Vec::new();
    for entity in rated() {
        let id = unreviewed(&mut conn, &server.client, entity).await;
        let now = async || shown(&server.client, entity, id).await;
        assert_eq!(now().await, (Value::Null, json!(0)), "{}", entity.name);
        let mut reviews = Vec::new();
        for (person, (rating, average)) in people.iter().zip([(5, 5.0), (4, 4.5), (4, 4.3)]) {
            let body = json!({"entity_type": entity.name, "entity_id": id, "rating": rating});
            let review = person.client.post("/reviews", body).await.expect(201).id();
            reviews.push(format!("/reviews/{review}"));
            let count = reviews.len();
            assert_eq!(
                now().await,
                (json!(average), json!(count)),
                "{}",
                entity.name
            );
        }
        // The sum is 5 + 4 + 1 = 10 of three; then 9 of two; then all three again; then without the first, which is
        // suspended.
        let last = &people[2].client;
        last.patch(&reviews[2], "*", json!({"rating": 1}))
            .await
            .expect(200);
        assert_eq!(now().await, (json!(3.3), json!(3)));
        last.delete(&reviews[2]).await.expect(204);
        assert_eq!(now().await, (json!(4.5), json!(2)));
        set_status(&mut conn, &reviews[2], "active").await;
        assert_eq!(now().await, (json!(3.3), json!(3)));
        set_status(&mut conn, &reviews[0], "suspended").await;
        assert_eq!(now().await, (json!(2.5), json!(2)));
        for review in &reviews {
            set_status(&mut conn, review, "archived").await;
        }
        assert_eq!(now().await, (Value::Null, json!(0)), "{}", entity.name);
        covered.push(entity.name.as_str());
    }
    covered.sort_unstable();
    assert_eq!(covered, ["business", "community", "organization", "venue"]);
}

async fn set_status(conn: &mut PgConnection, review: &str, status: &str) {
    let id = review.rsplit('/').next().expect("an id");
    let text = format!("update app.reviews set status = '{status}' where id = '{id}'");
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(conn)
        .await
        .expect("a status");
}

/// The example of the requirements; and halves are rounded up.
#[tokio::test]
async fn four_point_six_of_128_reviews() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    sqlx::raw_sql(
        "insert into app.users (handle, display_name, email)
         select 'critic_' || n, 'Critic', 'critic_' || n || '@example.org' from generate_series(1, 128) n",
    )
    .execute(&mut conn)
    .await
    .expect("critics");
    for entity in rated() {
        let id = unreviewed(&mut conn, &server.client, entity).await;
        for (critics, fives, average) in [(128, 77, 4.6), (20, 13, 4.7), (20, 12, 4.6)] {
            let text = format!(
                "update app.reviews set status = 'archived' where entity_id = '{id}';
                 insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
                 select u.id, '{}', '{id}', case when row_number() over (order by u.id) <= {fives} then 5 else 4 end
                 from app.users u where u.handle like 'critic_%' order by u.id limit {critics}",
                entity.name
            );
            sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut conn)
                .await
                .expect("reviews");
            let expected = (json!(average), json!(critics));
            assert_eq!(
                shown(&server.client, entity, id).await,
                expected,
                "{}",
                entity.name
            );
        }
    }
}
