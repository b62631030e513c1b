//! `GET /notifications/settings`: what a member is told by which channel, as the messages are then sent.

use super::stage::Guests;
use crate::support::Member;
use generated::messages::TYPES;
use reqwest::Method;
use serde_json::{Value, json};

async fn settings(member: &Member) -> Vec<Value> {
    let answer = member.client.get("/notifications/settings").await;
    let shown = answer.expect(200).json["data"].clone();
    shown.as_array().expect("settings").clone()
}

/// One channel of one type.
fn of(settings: &[Value], ty: &str, channel: &str) -> Value {
    let one = settings.iter().find(|one| one["type"] == ty);
    let channels = one.expect("the type")["channels"].as_array().cloned();
    let all = channels.expect("channels").into_iter();
    let mut found = all.filter(|one| one["channel"] == channel);
    found.next().expect("the channel")
}

#[tokio::test]
async fn no2_the_settings_show_the_defaults_of_every_type() {
    let guests = Guests::new().await;
    let member = guests.server.member("nell_reads_settings").await;
    let shown = settings(&member).await;
    let names: Vec<&str> = shown
        .iter()
        .map(|one| one["type"].as_str().expect("a type"))
        .collect();
    let known: Vec<&str> = TYPES.iter().map(|ty| ty.name).collect();
    assert_eq!(names, known);
    for (one, ty) in shown.iter().zip(TYPES) {
        assert_eq!(one["object"], "notification_setting");
        assert_eq!(
            (&one["description"], &one["is_urgent"]),
            (&json!(ty.doc), &json!(ty.urgent))
        );
        let channels = one["channels"].as_array().expect("channels");
        assert_eq!(channels.len(), 3);
        for channel in channels {
            let is_among = |some: &[kernel::messages::Channel]| {
                some.iter().any(|one| channel["channel"] == one.name())
            };
            let expected = json!({
                "channel": channel["channel"],
                "is_on": is_among(ty.channels) || is_among(ty.always),
                "is_on_by_default": is_among(ty.channels),
                "is_fixed": is_among(ty.always),
                "quiet_hours": null,
                "preference_id": null,
            });
            assert_eq!(*channel, expected, "{}", ty.name);
        }
    }
    let client = &guests.server.client;
    client.get("/notifications/settings").await.expect(401);
}

/// Preferences take precedence as they do when something is sent; another member's have no effect.
#[tokio::test]
async fn no2_the_settings_show_what_counts() {
    let guests = Guests::new().await;
    let member = guests.server.member("nico_sets_much").await;
    let other = guests.server.member("nan_sets_nothing").await;
    let night = json!({"starts": "22:00", "ends": "07:00"});
    let set = async |channel: &str, ty: &str, enabled: bool, quiet_hours: &Value| {
        let body =
            json!({"channel": channel, "type": ty, "enabled": enabled, "quiet_hours": quiet_hours});
        let made = member.client.post("/notification-preferences", body).await;
        made.expect(201).id()
    };
    set("all", "all", false, &night).await;
    let quotes = set("email", "quote", true, &json!(null)).await;
    set("all", "order", false, &json!(null)).await;
    let shown = settings(&member).await;
    for (ty, channel, is_on, preference, quiet_hours) in [
        // Off by the preference about everything, whose quiet hours still count.
        ("lead", "push", false, json!(null), &night),
        ("lead", "in_app", false, json!(null), &json!(null)),
        // Named exactly.
        ("quote", "email", true, json!(quotes), &night),
        ("quote", "push", false, json!(null), &night),
        // Can't be switched off; urgent messages do not wait.
        ("order", "email", true, json!(null), &json!(null)),
        ("order", "push", false, json!(null), &json!(null)),
    ] {
        let one = of(&shown, ty, channel);
        let found = (&one["is_on"], &one["preference_id"], &one["quiet_hours"]);
        assert_eq!(
            found,
            (&json!(is_on), &preference, quiet_hours),
            "{ty} {channel}"
        );
    }
    // What is shown for the type and channel is changed by the preference that it names.
    let path = format!("/notification-preferences/{quotes}");
    let off = json!({"enabled": false});
    let changed = member.client.patch(&path, "*", off).await;
    changed.expect(200);
    let shown = settings(&member).await;
    assert_eq!(of(&shown, "quote", "email")["is_on"], false);
    let gone = member.client.send(Method::DELETE, &path, None, &[]).await;
    gone.expect(204);
    let shown = settings(&member).await;
    let one = of(&shown, "quote", "email");
    assert_eq!(
        (&one["is_on"], &one["preference_id"]),
        (&json!(false), &json!(null))
    );
    let untouched = settings(&other).await;
    let one = of(&untouched, "lead", "push");
    assert_eq!(
        (&one["is_on"], &one["quiet_hours"]),
        (&json!(true), &json!(null))
    );
}
