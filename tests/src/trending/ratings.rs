//! Ratings: one review of each member, and what is shown of them. More tests are in `http::ratings` and
//! `database::counters`.

use super::stage::{Stage, array, ids, run, walk};
use crate::support::locks::until_waiting;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

async fn shown(stage: &Stage) -> (Value, Value) {
    let one = stage
        .server
        .client
        .get(&format!("/organizations/{}", stage.host))
        .await
        .expect(200)
        .json;
    (one["rating_avg"].clone(), one["rating_count"].clone())
}

#[tokio::test]
async fn rt1_one_review_of_each_member_that_edits_change_and_never_add_to() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_rates").await;
    let body = json!({"entity_type": "organization", "entity_id": stage.host, "rating": 5});
    let review = mira
        .client
        .post("/reviews", body.clone())
        .await
        .expect(201)
        .id();
    mira.client.post("/reviews", body).await.expect(409);
    mira.client
        .patch(&format!("/reviews/{review}"), "*", json!({"rating": 2}))
        .await
        .expect(200);
    assert_eq!(shown(&stage).await, (json!(2.0), json!(1)));
}

/// `RT2_ROUNDS` sets a greater number of rounds for each of thirty-two clients: `script/soak` uses 3,125, which makes
/// 100,000 changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt2_what_is_shown_is_what_the_rows_say_after_a_storm() {
    let rounds = std::env::var("RT2_ROUNDS").ok();
    let rounds = rounds.map_or(30, |text| text.parse().expect("a number"));
    let stage = Stage::new().await;
    let people = stage.people(96).await;
    let storm = people.chunks(3).map(|some| {
        let (stage, some) = (&stage, some.to_vec());
        async move {
            let mut conn = stage.server.superuser().await;
            for round in 0..rounds {
                let (person, rating) = (some[round % 3], fastrand::i32(1..=5));
                let mine = format!("reviewer_id = '{person}' and status = 'active'");
                let text = match fastrand::u8(..3) {
                    0 => format!(
                        "insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
                         values ('{person}', 'organization', '{}', {rating}) on conflict do nothing",
                        stage.host
                    ),
                    1 => format!("update app.reviews set rating = {rating} where {mine}"),
                    _ => format!("update app.reviews set status = 'archived' where {mine}"),
                };
                run(&mut conn, text).await;
            }
        }
    });
    join_all(storm).await;
    let truth: String = stage
        .one("select coalesce(trunc(avg(rating) * 10 + 0.5) / 10, 0)::float8 || ' ' || count(*) from app.reviews where status = 'active'")
        .await;
    let (average, count) = shown(&stage).await;
    let average = average.as_f64().unwrap_or(0.0);
    assert_eq!(format!("{average} {count}"), truth);
    // The distribution over the stars.
    let path = format!("/organizations/{}/rating", stage.host);
    let rating = stage.server.client.get(&path).await.expect(200).json;
    let spread: Vec<i64> = stage
        .all("select count(r.id) from generate_series(1, 5) n left join app.reviews r on r.rating = n and r.status = 'active' group by n order by n")
        .await;
    assert_eq!(rating["stars"], json!(spread));
    // The negative control.
    stage
        .sql("alter table app.reviews disable trigger reviews_rate")
        .await;
    rate(&stage, stage.host, 1, 0).await;
    let rating = stage.server.client.get(&path).await.expect(200).json;
    assert_eq!(rating["stars"], json!(spread));
    assert_eq!(rating["count"], json!(spread.iter().sum::<i64>() + 1));
}

#[tokio::test]
async fn rt4_what_is_hidden_counts_no_more_in_the_same_transaction() {
    let stage = Stage::new().await;
    let people = stage.people(2).await;
    for (person, rating) in people.iter().zip([5, 1]) {
        stage
            .sql(format!(
                "insert into app.reviews (reviewer_id, entity_type, entity_id, rating) values ('{person}', 'organization', '{}', {rating})",
                stage.host
            ))
            .await;
    }
    assert_eq!(shown(&stage).await, (json!(3.0), json!(2)));
    let mut conn = stage.server.superuser().await;
    run(
        &mut conn,
        "begin; update app.reviews set status = 'suspended' where rating = 1".to_owned(),
    )
    .await;
    let inside: f64 =
        sqlx::query_scalar("select rating_avg::float8 from counters.organizations where id = $1")
            .bind(stage.host)
            .fetch_one(&mut conn)
            .await
            .expect("an average");
    assert_eq!(inside, 5.0);
    let score: f64 =
        sqlx::query_scalar("select score::float8 from app.ratings where target_id = $1")
            .bind(stage.host)
            .fetch_one(&mut conn)
            .await
            .expect("a score");
    assert!(
        (score - 35.0 / 11.0).abs() < 1e-6,
        "the sort key is updated too"
    );
    assert_eq!(
        shown(&stage).await,
        (json!(3.0), json!(2)),
        "an uncommitted review is not shown"
    );
    run(&mut conn, "commit".to_owned()).await;
    assert_eq!(shown(&stage).await, (json!(5.0), json!(1)));
    let hidden: Uuid = stage
        .one("select id from app.reviews where rating = 5")
        .await;
    stage
        .sql(format!(
            "update app.reviews set status = 'archived' where id = '{hidden}'"
        ))
        .await;
    assert_eq!(shown(&stage).await, (Value::Null, json!(0)));
}

/// Profiles of the city, best first, as an anonymous caller sees them.
async fn top(stage: &Stage, more: &str) -> Vec<Uuid> {
    let path = format!("/organizations/top-rated?city_id={}{more}", stage.city);
    ids(&stage.server.client.get(&path).await.expect(200).json)
}

/// Inserts this many reviews with five stars, and with four.
async fn rate(stage: &Stage, host: Uuid, fives: usize, fours: usize) {
    let people = array(&stage.people(fives + fours).await);
    stage
        .sql(format!(
            "insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
             select u, 'organization', '{host}', case when n <= {fives} then 5 else 4 end from unnest({people}) with ordinality x(u, n)"
        ))
        .await;
}

/// A review is committed while the scores are recomputed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt3_a_review_of_the_same_moment_is_not_lost() {
    let stage = Stage::new().await;
    let (one, other) = (stage.host("One").await, stage.host("Other").await);
    rate(&stage, one, 1, 2).await;
    rate(&stage, other, 2, 0).await;
    let (person, mut conn) = (stage.people(1).await[0], stage.server.superuser().await);
    run(&mut conn, "begin".to_owned()).await;
    run(&mut conn, format!(
        "insert into app.reviews (reviewer_id, entity_type, entity_id, rating) values ('{person}', 'organization', '{one}', 1)"
    ))
    .await;
    let ratings = stage.server.built.app.modules.ratings.clone();
    let refresh = tokio::spawn(async move { ratings.refresh().await.expect("refreshed") });
    until_waiting(stage.server.superuser().await.looking(), "app.ratings", 1).await;
    run(&mut conn, "commit".to_owned()).await;
    refresh.await.expect("ended");
    let wrong: i64 = stage
        .one("select count(*) from app.ratings r join app.rating_means m on m.city_id = r.city_id and m.target_type = r.target_type
              where abs(r.score - (10 * m.mean + r.stars) / (10 + r.votes)) > 0.000001")
        .await;
    assert_eq!(wrong, 0);
    let votes = format!("select votes from app.ratings where target_id = '{one}'");
    assert_eq!(stage.one::<i32>(votes).await, 4);
}

/// Profiles are measured by others of their kind in their city, and by nobody else.
#[tokio::test]
async fn rt3_each_kind_of_profile_has_its_own_average_in_each_city() {
    let stage = Stage::new().await;
    rate(&stage, stage.host, 3, 1).await;
    let elsewhere = stage.server.city("auckland").await;
    let people = array(&stage.people(2).await);
    for (table, kind, city, rating) in [
        ("organizations", "organization", elsewhere, 1),
        ("businesses", "business", stage.city, 2),
    ] {
        stage
            .sql(format!(
                "with made as (
                   insert into app.{table} (city_id, name, state) values ('{city}', 'Another', 'approved') returning id)
                 insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
                 select u, '{kind}', made.id, {rating} from made, unnest({people}) u"
            ))
            .await;
    }
    let ratings = &stage.server.built.app.modules.ratings;
    ratings.refresh().await.expect("refreshed");
    let means: Vec<String> = stage
        .all(format!(
            "select target_type || ' ' || (city_id = '{}') || ' ' || mean::float8 from app.rating_means order by 1",
            stage.city
        ))
        .await;
    assert_eq!(
        means,
        [
            "business true 2",
            "organization false 1",
            "organization true 4.75"
        ]
    );
    let scores: Vec<f64> = stage
        .all("select score::float8 from app.ratings order by target_type, stars".to_owned())
        .await;
    let expected = [(2.0, 4.0, 2.0), (1.0, 2.0, 2.0), (4.75, 19.0, 4.0)]
        .map(|(mean, stars, votes)| (10.0 * mean + stars) / (10.0 + votes));
    for (score, expected) in scores.iter().zip(expected) {
        assert!((score - expected).abs() < 1e-6, "{scores:?} {expected}");
    }
    assert_eq!(scores.len(), 3);
    // All reviews of the business are taken away: its kind has no average any more, and the next review counts as the
    // first of the city.
    stage
        .sql("update app.reviews set status = 'suspended' where entity_type = 'business'")
        .await;
    ratings.refresh().await.expect("refreshed");
    stage
        .sql(format!(
            "insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
             select '{}', 'business', b.id, 5 from app.businesses b where b.name = 'Another'",
            stage.people(1).await[0]
        ))
        .await;
    let score: f64 = stage
        .one("select score::float8 from app.ratings where target_type = 'business'".to_owned())
        .await;
    assert!((score - 35.0 / 11.0).abs() < 1e-6, "{score}");
}

#[tokio::test]
async fn rt3_one_review_of_five_stars_comes_after_two_hundred_of_four_point_seven() {
    let stage = Stage::new().await;
    let (few, many, none) = (
        stage.host("Few").await,
        stage.host("Many").await,
        stage.host("None").await,
    );
    rate(&stage, few, 1, 0).await;
    rate(&stage, many, 140, 60).await;
    assert_eq!(top(&stage, "").await, [many, few]);
    // The negative control: by the plain average the order would be reversed.
    let averages: Vec<f64> = stage
        .all(format!(
            "select rating_avg::float8 from counters.organizations where id in ('{few}', '{many}') order by id"
        ))
        .await;
    assert!(averages[0] > averages[1], "{averages:?}");
    // Scores use the city's average of last night; profiles with few reviews change most.
    let score = format!("select score::float8 from app.ratings where target_id = '{few}'");
    assert!((stage.one::<f64>(score.clone()).await - 35.0 / 11.0).abs() < 1e-6);
    let ratings = &stage.server.built.app.modules.ratings;
    assert_eq!(ratings.refresh().await.expect("refreshed"), 2);
    assert_eq!(ratings.refresh().await.expect("refreshed"), 0);
    let mean = 945.0 / 201.0;
    assert!((stage.one::<f64>(score).await - (10.0 * mean + 5.0) / 11.0).abs() < 1e-6);
    // Since all averages here are high by now, five stars from few members rank a little above 4.7 from two hundred.
    // The pages must agree.
    let path = format!("/organizations/top-rated?city_id={}&limit=1", stage.city);
    let pages = walk(&stage.server.client, &path, async || {}).await;
    assert_eq!(pages, top(&stage, "").await);
    assert!(!pages.contains(&none));
    let client = &stage.server.client;
    client.get("/organizations/top-rated").await.expect(422);
    // A profile that isn't visible is not listed, and neither are its reviews.
    stage
        .sql(format!(
            "update app.organizations set state = 'rejected' where id = '{many}'"
        ))
        .await;
    assert_eq!(top(&stage, "").await, [few]);
    client
        .get(&format!("/organizations/{many}/rating"))
        .await
        .expect(404);
    let rating = client
        .get(&format!("/organizations/{few}/rating"))
        .await
        .expect(200)
        .json;
    assert_eq!(
        rating,
        json!({"object": "rating", "average": 5.0, "count": 1, "stars": [0, 0, 0, 0, 1]})
    );
}
