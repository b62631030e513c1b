//! `on end`: no row can begin to refer to a row that has ended, whichever of two concurrent transactions is first.

use super::{
    races::race,
    world::{World, attempt, new, world},
};
use crate::support::model;
use codegen::model::{Lifecycle, OnEnd};
use std::collections::BTreeSet;
use uuid::Uuid;

struct Case {
    /// Child and relation, with their names in the spec.
    name: &'static str,
    begin: String,
    end: String,
    /// A query for child rows that are still valid although their parent has ended.
    left: String,
    refused: &'static str,
}

async fn cases(world: &World) -> Vec<Case> {
    let pool = &world.database.superuser;
    let session = format!(
        "sessions (user_id, expires_at) values ('{}', now() + interval '1 day')",
        world.ana
    );
    let session: Uuid = new(pool, &session).await;
    let token = |session: &str| {
        format!(
            "insert into app.email_tokens (user_id, session_id, purpose, token_hash, email, issued_for, expires_at)
             values ('{}', {session}, 'change_email', repeat('h', 43), 'a@example.org', repeat('h', 43), now() + interval '1 day')",
            world.ana
        )
    };
    let suspend = format!(
        "update app.users set status = 'suspended' where id = '{}'",
        world.ana
    );
    let sign_out = format!("update app.sessions set revoked_at = now() where id = '{session}'");
    let of_session = |table: &str, good: &str| {
        format!("select count(*) from app.{table} where session_id = '{session}' and {good}")
    };
    let of_user = |table: &str, good: &str| {
        format!(
            "select count(*) from app.{table} where user_id = '{}' and {good}",
            world.ana
        )
    };
    vec![
        Case {
            name: "session.user",
            begin: format!(
                "insert into app.sessions (user_id, expires_at) values ('{}', now() + interval '1 day')",
                world.ana
            ),
            end: suspend.clone(),
            left: of_user("sessions", "revoked_at is null"),
            refused: "28000 account_suspended",
        },
        Case {
            name: "email_token.user",
            begin: token("null"),
            end: suspend.clone(),
            left: of_user("email_tokens", "used_at is null"),
            refused: "28000 account_suspended",
        },
        Case {
            name: "calendar_feed.user",
            begin: format!(
                "insert into app.calendar_feeds (user_id, secret_hash) values ('{}', repeat('h', 43))",
                world.ana
            ),
            end: suspend,
            left: of_user("calendar_feeds", "ended_at is null"),
            refused: "28000 account_suspended",
        },
        Case {
            name: "email_token.session",
            begin: token(&format!("'{session}'")),
            end: sign_out.clone(),
            left: of_session("email_tokens", "used_at is null"),
            refused: "28000 session_revoked",
        },
        Case {
            name: "device.session",
            begin: format!(
                "insert into app.devices (user_id, session_id, platform, push_token) values ('{}', '{session}', 'ios', 'a push token')",
                world.ana
            ),
            end: sign_out,
            left: of_session("devices", "status = 'active'"),
            refused: "28000 session_revoked",
        },
    ]
}

/// All relations of the specs with `on end` that end the child for good.
fn named() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for child in &model().entities {
        for relation in &child.belongs {
            let ends = match &relation.on_end {
                Some(OnEnd::Archive) => true,
                Some(OnEnd::Set(field)) => child.field(field).is_some_and(|f| f.optional),
                None => false,
            };
            if ends {
                found.insert(format!("{}.{}", child.name, relation.name));
            }
            let known = relation.targets.iter().all(|target| {
                model().sessions == Some(*target)
                    || model().entities[*target].lifecycle == Lifecycle::SoftDelete
            });
            assert!(!ends || known, "{}.{}", child.name, relation.name);
        }
    }
    found
}

#[tokio::test]
async fn nothing_begins_on_what_has_ended() {
    let listed: BTreeSet<String> = (cases(&world().await).await.iter())
        .map(|case| case.name.to_owned())
        .collect();
    assert_eq!(listed, named());
    for at in 0..listed.len() {
        // One after the other, the end first.
        let world_after = world().await;
        let case = &cases(&world_after).await[at];
        world_after.admin(&case.end).await.expect("ended");
        let begun = world_after.admin(&case.begin).await;
        assert_eq!(begun, Err(case.refused.to_owned()), "{}", case.name);
        // At the same time, the end first.
        let world_second = world().await;
        let case = &cases(&world_second).await[at];
        let (ended, begun) = race(&world_second, &case.end, &case.begin).await;
        assert_eq!(
            (ended, begun),
            (Ok(()), Err(case.refused.to_owned())),
            "{}",
            case.name
        );
        // At the same time, the beginning first.
        let world_first = world().await;
        let case = &cases(&world_first).await[at];
        let (begun, ended) = race(&world_first, &case.begin, &case.end).await;
        assert_eq!((begun, ended), (Ok(()), Ok(1)), "{}", case.name);
        assert_eq!(
            world_first.look::<i64>(&case.left).await,
            0,
            "{}",
            case.name
        );
    }
}

/// The negative control: without the trigger both succeed, and the child row remains valid.
#[tokio::test]
async fn without_the_lock_it_is_left() {
    let world = world().await;
    let cases = cases(&world).await;
    let case = cases.iter().find(|case| case.name == "device.session");
    let case = case.expect("a case");
    world
        .admin("alter table app.devices disable trigger devices_begin_on_session_id_insert")
        .await
        .expect("switched off");
    let mut one = world.database.superuser.begin().await.expect("begun");
    attempt(&mut *one, &case.begin).await.expect("begun");
    world.admin(&case.end).await.expect("ended meanwhile");
    one.commit().await.expect("committed");
    assert_eq!(world.look::<i64>(&case.left).await, 1);
}
