//! NO4: every mail has a way to get no more of its kind, unless its kind can't be turned off.

use super::world::World;
use generated::messages::TYPES;
use kernel::messages::Channel;
use sqlx::Row;
use std::collections::BTreeSet;

/// Sends what the cases have left, and looks at every mail that any of them has caused.
pub async fn hold(world: &World) {
    let server = &world.stage.server;
    let mut conn = server.superuser().await;
    let due = "update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and channel = 'email'";
    sqlx::raw_sql(due).execute(&mut conn).await.expect("due");
    let module = &server.built.app.modules.notifications;
    while module.dispatch(Channel::Email).await.expect("sent") > 0 {}
    server.settled().await;
    let (mut with, mut without) = (BTreeSet::new(), BTreeSet::new());
    for mail in server.mailer.all() {
        // A digest contains what it carries.
        let items = sqlx::query(
            "select distinct n.type from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
             where d.id = $1 or d.carrier_id = $1 and d.state = 'sent'",
        )
        .bind(mail.id)
        .fetch_all(&mut conn)
        .await
        .expect("messages");
        let types: Vec<String> = items.iter().map(|item| item.get(0)).collect();
        if types.is_empty() {
            // A mail about the account, or one whose case has taken it away.
            continue;
        }
        let is_optional = types.iter().any(|ty| !must_come(ty));
        assert_eq!(
            mail.unsubscribe.is_some(),
            is_optional,
            "{types:?}: {}",
            mail.subject
        );
        match is_optional {
            true => with.extend(types),
            false => without.extend(types),
        }
    }
    println!("with a way out: {with:?}; without: {without:?}");
    assert!(!with.is_empty());
}

/// Whether mail of this type is sent whatever its member prefers.
fn must_come(ty: &str) -> bool {
    let found = TYPES.iter().find(|one| one.name == ty);
    found.expect("a type").always.contains(&Channel::Email)
}
