//! MD6: pictures are decoded on threads apart from those that answer requests, with a limit on how many at once, of
//! which one member takes half.

use super::Stage;
use crate::support::{
    TestServer,
    database::Content,
    pictures::{announce, complete, jpeg, send},
};
use futures_util::future::join_all;

const PICTURES: usize = 6;

/// The greatest number of pictures decoded at the same time, and the number of other requests that were answered
/// completely while that limit was reached. The pictures are those of two members, or of one.
async fn looked_at(at_once: u16, members: usize) -> (usize, usize) {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.modules.media.media_checks_at_once = at_once;
    })
    .await;
    let stage = Stage::of(server).await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let other = server.member("other").await;
    let (me, her) = (other.id.to_string(), &other.client);
    let places = [(client, "event", &stage.event), (her, "user", &me)];
    let bytes = jpeg(3000, 2000, 1);
    let mut uploads = Vec::with_capacity(PICTURES);
    for (client, entity, id) in places.into_iter().take(members).cycle().take(PICTURES) {
        let upload = announce(client, entity, id, &bytes).await;
        send(server, &upload, &bytes).await.expect(204);
        uploads.push((client, upload));
    }
    let media = &server.built.app.modules.media;
    let all = async {
        let done = join_all(
            uploads
                .iter()
                .map(|(client, upload)| complete(client, upload)),
        )
        .await;
        for answer in done {
            answer.expect(200);
        }
    };
    let mut answered = 0;
    let others = async {
        let event = format!("/events/{}", stage.event);
        loop {
            let (before, _) = media.load();
            client.get(&event).await.expect(200);
            let (after, _) = media.load();
            let full = usize::from(at_once);
            answered += usize::from(before == full && after == full);
        }
    };
    tokio::select! {
        () = all => {}
        () = others => {}
    }
    (media.load().1, answered)
}

/// The server of this test has one thread: if pictures were decoded on it, no other request would be answered
/// meanwhile.
#[tokio::test]
async fn md6_pictures_keep_nobody_waiting_and_few_are_looked_at_at_once() {
    let (most, answered) = looked_at(2, 2).await;
    assert_eq!(most, 2);
    assert!(answered > 0, "nobody was answered meanwhile");
    // The control: the setting is what limits them.
    let (most, _) = looked_at(4, 2).await;
    assert!((3..=4).contains(&most), "{most}");
}

/// Whoever completes all uploads at once, or one of them many times, takes half of the places at most.
#[tokio::test]
async fn md6_pictures_of_one_member_leave_room_for_those_of_others() {
    let (most, _) = looked_at(4, 1).await;
    assert_eq!(most, 2);
}
