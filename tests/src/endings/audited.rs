//! A4: every hand-written operation that changes an object leaves an entry in the audit log that names its request, as
//! generated ones do (`http/audited.rs`).

use super::{
    named::{Book, GROUPS, is_done},
    operations,
    scene::{Hall, Scene},
};
use std::collections::BTreeSet;

/// Operations that change no object, or change it later, with the reason.
const UNLOGGED: &[(&str, &str)] = &[
    (
        "announcePicture",
        "becomes an object once its file is there",
    ),
    (
        "onboardOrganization",
        "of an account that exists, it makes a link",
    ),
    (
        "preferPaymentMethod",
        "the card is the preferred one already",
    ),
    ("priceCommissionProposal", "computes"),
    ("priceOrder", "computes"),
    ("pricePromotion", "computes"),
    ("readNotification", "notifications are not in the log"),
    ("shareEvent", "notes for the ranks are not in the log"),
    ("unreadNotification", "notifications are not in the log"),
    ("viewEvent", "notes for the ranks are not in the log"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_every_hand_written_change_is_in_the_audit_log() {
    let hall = Hall::new().await;
    let book = Book::of(crate::support::documented::document());
    let (mut logged, mut unlogged) = (BTreeSet::new(), BTreeSet::new());
    for group in GROUPS {
        let mut scene = Scene::new(&hall, group).await;
        let mutations = operations::GOODS
            .iter()
            .filter(|good| good.group == group && !book.is_read(good));
        for good in mutations {
            let answer = book.send(good, &scene).await;
            assert!(is_done(&answer), "{}: {}", good.operation, answer.text);
            let request = answer.header("x-request-id").expect("a request id");
            let entries: i64 = sqlx::query_scalar(
                "select count(*) from audit.audit_logs where request_id = $1::text::uuid",
            )
            .bind(request)
            .fetch_one(&mut *scene.conn)
            .await
            .expect("the log");
            match entries {
                0 => unlogged.insert(good.operation),
                _ => logged.insert(good.operation),
            };
            scene = Scene::new(&hall, group).await;
        }
    }
    let known: BTreeSet<&str> = UNLOGGED.iter().map(|(operation, _)| *operation).collect();
    let unlogged: BTreeSet<&str> = unlogged.difference(&logged).copied().collect();
    assert_eq!(unlogged, known, "without an entry in the log");
    assert!(logged.len() > 30, "{logged:?}");
}
