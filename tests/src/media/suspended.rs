//! Pictures that a moderator has suspended, and their owners who put them up again.

use super::Stage;
use crate::support::pictures::{announce, announcement, complete, jpeg, send, uploaded};
use server::seed::demo::PEOPLE;

/// The file of a picture that was suspended is not taken for the same target once more, also not by an upload that was
/// announced before. The controls: another file and another target are taken, and so is the file once the suspension is
/// lifted; without its trigger the database takes it.
#[tokio::test]
async fn md8_a_suspended_picture_is_not_put_up_again() {
    let stage = Stage::new().await;
    let owner = &stage.owner.client;
    let bytes = jpeg(60, 40, 1);
    let before = announce(owner, "event", &stage.event, &bytes).await;
    send(&stage.server, &before, &bytes).await.expect(204);
    let picture = uploaded(&stage.server, &stage.owner, "event", &stage.event, &bytes).await;
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let suspend = format!("{path}/suspend");
    carlo.client.act(&suspend).await.expect(200);

    let again = announcement("event", &stage.event, "image/jpeg", &bytes);
    let refused = owner.post("/media/uploads", again.clone()).await;
    assert!(refused.expect(409).text.contains("/unsuspend"));
    let refused = complete(owner, &before).await.expect(409);
    assert!(refused.text.contains("/unsuspend"), "{}", refused.text);
    uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 2),
    )
    .await;
    let me = stage.owner.id.to_string();
    uploaded(&stage.server, &stage.owner, "user", &me, &bytes).await;

    let off = "alter table app.media disable trigger media_suspended_before";
    let on = "alter table app.media enable trigger media_suspended_before";
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(off).execute(&mut conn).await.expect("off");
    complete(owner, &before).await.expect(200);
    sqlx::raw_sql(on).execute(&mut conn).await.expect("on");
    let unsuspend = format!("{path}/unsuspend");
    carlo.client.act(&unsuspend).await.expect(200);
    owner.post("/media/uploads", again).await.expect(201);
}

/// Who moderates the city's events may add pictures to them, and doesn't decide about these: a suspension by the platform
/// stays. The control: pictures of others are theirs to decide about.
#[tokio::test]
async fn abuse_43_nobody_decides_about_a_picture_of_their_own() {
    let stage = Stage::new().await;
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let paula = stage.server.sign_in(PEOPLE[0].id).await;
    for (by, bytes, decided) in [
        (&carlo, jpeg(60, 40, 3), 403),
        (&stage.owner, jpeg(60, 40, 4), 200),
    ] {
        let picture = uploaded(&stage.server, by, "event", &stage.event, &bytes).await;
        let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
        let suspended = paula.client.act(&format!("{path}/suspend")).await;
        suspended.expect(200);
        let shown = carlo.client.get(&path).await.expect(200).json;
        let actions = shown["allowed_actions"].as_array().expect("a list");
        let offered = actions.iter().any(|action| action == "unsuspend");
        assert_eq!(offered, decided == 200);
        let undone = carlo.client.act(&format!("{path}/unsuspend")).await;
        assert_eq!(undone.status.as_u16(), decided);
        if decided == 200 {
            let suspend = carlo.client.act(&format!("{path}/suspend")).await;
            suspend.expect(200);
        }
    }
}
