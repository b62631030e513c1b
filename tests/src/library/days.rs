//! `now()` where it meets a date: the day in universal time, whatever the time zone of the session is. And `future`,
//! for a date in another application.

use super::world::Library;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// At each moment, the day is another one than in universal time in at least one of these zones.
const ZONES: [&str; 4] = [
    "UTC",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Australia/Sydney",
];

const TODAY: &str = "(now() at time zone 'UTC')::date";

/// A reservation that is ready to be collected.
async fn ready(library: &Library) -> Uuid {
    let rosa = library.member("Rosa", None).await;
    let book = library.book("Momo").await;
    let body = json!({"book_id": book});
    let asked = rosa.client.post("/reservations", body).await.expect(201);
    let path = format!("/reservations/{}/make-ready", asked.id());
    library.librarian.act(&path).await.expect(200);
    asked.id().parse().expect("an id")
}

/// Runs a transition as a request, in a session of this time zone, and rolls it back. Returns the first column of
/// `returning`, or the SQLSTATE.
async fn collect(
    conn: &mut PgConnection,
    [zone, set, returning]: [&str; 3],
    [librarian, row]: [Uuid; 2],
) -> Result<bool, String> {
    let begin = format!(
        "begin; set local timezone = '{zone}'; set local role library_app;
         select sec.enter('{librarian}', '{}', 'collect', '{}')",
        Uuid::now_v7(),
        Uuid::now_v7(),
    );
    sqlx::raw_sql(AssertSqlSafe(begin))
        .execute(&mut *conn)
        .await
        .expect("entered");
    let text = format!("{set} returning {returning}");
    let done = sqlx::query_scalar(AssertSqlSafe(text))
        .bind(row)
        .bind(None::<Vec<i64>>)
        .fetch_one(&mut *conn)
        .await;
    sqlx::raw_sql("rollback")
        .execute(&mut *conn)
        .await
        .expect("back");
    done.map_err(|error| {
        let code = error.as_database_error().and_then(|error| error.code());
        code.map_or_else(|| error.to_string(), |code| code.into_owned())
    })
}

#[tokio::test]
async fn a_transition_sets_the_day_of_universal_time_in_every_zone() {
    let library = Library::open().await;
    let lena = library.member("Leonie", Some("librarian")).await;
    let row = ready(&library).await;
    let mut conn = library.database.connect().await;
    let mut transitions = library::reservation::RESERVATION.transitions.iter();
    let transition = transitions
        .find(|transition| transition.name == "collect")
        .expect("a transition");
    let (statement, _) = transition
        .sql
        .split_once(" returning ")
        .expect("a statement");
    let right = format!("collected_on = {TODAY} and collected_at = now()");
    let mut others = 0;
    for zone in ZONES {
        let stored = collect(&mut conn, [zone, statement, &right], [lena.id, row]).await;
        assert_eq!(stored, Ok(true), "{zone}");
        // The control: the day of the session is refused where it is another one.
        let local = statement.replace(TODAY, "now()::date");
        assert_ne!(local, statement, "the statement writes the day");
        let is_other: bool = sqlx::query_scalar(AssertSqlSafe(format!(
            "select (now() at time zone '{zone}')::date <> {TODAY}"
        )))
        .fetch_one(&mut conn)
        .await
        .expect("an answer");
        let found = collect(&mut conn, [zone, &local, "true"], [lena.id, row]).await;
        match is_other {
            true => assert_eq!(found, Err("42501".to_owned()), "{zone}"),
            false => assert_eq!(found, Ok(true), "{zone}"),
        }
        others += usize::from(is_other);
    }
    assert!(others > 0, "no zone has another day");
    let yesterday = statement.replace(TODAY, &format!("{TODAY} - 1"));
    let found = collect(&mut conn, ["UTC", &yesterday, "true"], [lena.id, row]).await;
    assert_eq!(found, Err("42501".to_owned()));
}

#[tokio::test]
async fn a_transition_over_http_sets_the_day_and_the_time() {
    let library = Library::open().await;
    let row = ready(&library).await;
    let mut conn = library.database.connect().await;
    let path = format!("/reservations/{row}/collect");
    let shown = library.librarian.act(&path).await.expect(200).json;
    let (day, time, asked): (String, bool, String) = sqlx::query_as(
        "select collected_on::text, collected_at between now() - interval '1 minute' and now(), asked_on::text
         from app.reservations where id = $1",
    )
    .bind(row)
    .fetch_one(&mut conn)
    .await
    .expect("a row");
    assert_eq!(shown["collected_on"], json!(day));
    assert_eq!(
        shown["collected_at"].as_str().map(|at| &at[..10]),
        Some(&*day)
    );
    assert_eq!(asked, day);
    assert!(time);
    assert_eq!(shown["lapsed"], json!(false));
}

/// The last day of a wish is refused if it is today or past, by the pointer of the field.
#[tokio::test]
async fn a_date_in_the_future_is_after_today() {
    let library = Library::open().await;
    let rosa = library.member("Rosa", None).await;
    let book = library.book("Momo").await;
    let mut conn = library.database.connect().await;
    let days: (String, String, String) = sqlx::query_as(AssertSqlSafe(format!(
        "select ({TODAY} - 1)::text, {TODAY}::text, ({TODAY} + 1)::text"
    )))
    .fetch_one(&mut conn)
    .await
    .expect("days");
    let wish = |day: &str| json!({"book_id": book, "wanted_until": day});
    for day in [&days.0, &days.1] {
        let refused = rosa
            .client
            .post("/reservations", wish(day))
            .await
            .expect(422);
        let error = &refused.json["errors"][0];
        assert_eq!(error["pointer"], "/wanted_until", "{}", refused.text);
        assert_eq!(error["code"], "range");
    }
    let made = rosa
        .client
        .post("/reservations", wish(&days.2))
        .await
        .expect(201);
    let path = format!("/reservations/{}", made.id());
    let change = json!({"wanted_until": days.1});
    rosa.client
        .patch(&path, "*", change.clone())
        .await
        .expect(422);
    // The day has come meanwhile: the same day may be sent again, in a PUT, too. It lapses when the day is over.
    for (past, lapsed) in [(&days.1, false), (&days.0, true)] {
        sqlx::raw_sql(AssertSqlSafe(format!(
            "set session_replication_role = replica;
             update app.reservations set wanted_until = '{past}' where id = '{}'",
            made.id()
        )))
        .execute(&mut conn)
        .await
        .expect("passed");
        let body = json!({"wanted_until": past});
        let same = rosa
            .client
            .patch(&path, "*", body.clone())
            .await
            .expect(200);
        assert_eq!(same.json["lapsed"], json!(lapsed), "{past}");
        rosa.client.put(&path, "*", body).await.expect(200);
    }
    rosa.client.patch(&path, "*", change).await.expect(422);
}
