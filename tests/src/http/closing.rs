//! Since when an account is closed: what its erasure counts from.

use crate::{support::TestServer, support::database::Content, trending::stage::run};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// A closed account changes when its home city is archived: that neither puts the erasure off, nor makes it take what the
/// next owner of the address has asked for since.
#[tokio::test]
async fn the_wait_for_an_erasure_counts_from_the_closing() {
    let server = TestServer::start_with(Content::Sample, |_| {}).await;
    let mut conn = server.superuser().await;
    let member = server.member("cleo_leaves").await;
    run(
        &mut conn,
        format!(
            "with city as (
               insert into app.cities (country_id, name, slug, timezone, location)
               select c.country_id, 'Leftville', 'leftville', c.timezone, c.location from app.cities c order by c.id limit 1 returning id
             )
             update app.users set home_city_id = (select id from city) where id = '{}'",
            member.id
        ),
    )
    .await;
    member.client.delete("/me").await.expect(204);
    server.settled().await;
    run(
        &mut conn,
        format!(
            "set session_replication_role = replica;
             update app.users set closed_at = now() - interval '31 days', updated_at = now() - interval '31 days' where id = '{}';
             insert into app.sign_ups (token_hash, email, handle, display_name, expires_at, created_at)
             values (repeat('n', 43), 'cleo_leaves@example.org', 'cleo_comes', 'Cleo', now() + interval '1 day', now() - interval '1 hour');
             set session_replication_role = origin;
             update app.cities set status = 'archived' where slug = 'leftville'",
            member.id
        ),
    )
    .await;
    server.settled().await;
    // The control: by the time of its last change it would wait for another month.
    let changed: (bool, bool, bool) = sqlx::query_as(
        "select home_city_id is null, updated_at > now() - interval '1 hour', closed_at < now() - interval '30 days' from app.users where id = $1",
    )
    .bind(member.id)
    .fetch_one(&mut conn)
    .await
    .expect("the member");
    assert_eq!(changed, (true, true, true));
    let privacy = &server.built.app.modules.privacy;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    let asked: i64 =
        sqlx::query_scalar("select count(*) from app.sign_ups where handle = 'cleo_comes'")
            .fetch_one(&mut conn)
            .await
            .expect("a count");
    assert_eq!(asked, 1);
    // An account that was opened again has never been closed.
    let other = server.member("cora_returns").await;
    other.client.delete("/me").await.expect(204);
    server.settled().await;
    let closed =
        |id: Uuid| format!("select closed_at is not null from app.users where id = '{id}'");
    let mut is_closed = async || -> bool {
        sqlx::query_scalar(AssertSqlSafe(closed(other.id)))
            .fetch_one(&mut conn)
            .await
            .expect("the member")
    };
    assert!(is_closed().await);
    let paula = server.member("paula_opens").await;
    server.grant(&paula, "platformAdmin", None).await;
    let restore = format!("/users/{}/restore", other.id);
    paula.client.act(&restore).await.expect(200);
    assert!(!is_closed().await);
}
