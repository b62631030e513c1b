//! `GET /notifications/settings`: what a member is told by which channel, and why, so that an app can show it on one
//! page without repeating the rules by which preferences take precedence.

use super::Notifications;
use crate::module::{Module, uncached};
use axum::{extract::State, response::Response};
use generated::messages::TYPES;
use kernel::{
    Member, Result,
    messages::{Channel, Type},
    openapi::Objects,
};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use std::collections::HashMap;
use utoipa::{
    ToSchema,
    openapi::{Ref, RefOr, Schema},
};
use uuid::Uuid;

const CHANNELS: [Channel; 3] = [Channel::InApp, Channel::Push, Channel::Email];

pub(super) static OBJECTS: Objects = Objects(&[("NotificationSetting", "notification_setting")]);

/// All types of notifications.
#[derive(Serialize, ToSchema)]
pub(super) struct NotificationSettings {
    data: Vec<NotificationSetting>,
}

/// Which channels a type of notification uses for the caller.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "notification_setting")]
struct NotificationSetting {
    #[schema(schema_with = a_type)]
    r#type: &'static str,
    /// What it is about, in English.
    description: &'static str,
    /// Whether it does not wait for the end of quiet hours.
    is_urgent: bool,
    /// `in_app`, `push` and `email`, in this order.
    channels: Vec<ChannelSetting>,
}

/// Whether a type of notification is sent by a channel.
#[derive(Serialize, ToSchema)]
struct ChannelSetting {
    /// `in_app`, `push` or `email`
    channel: &'static str,
    /// What counts now.
    is_on: bool,
    /// What counts without a preference.
    is_on_by_default: bool,
    /// Whether it is on whatever the member prefers.
    is_fixed: bool,
    /// The caller's quiet hours for it; null if there are none or they do not apply.
    quiet_hours: Option<QuietPeriod>,
    /// The caller's preference for exactly this type and channel. Null: one has to be created to change it.
    preference_id: Option<Uuid>,
}

/// A daily period in the member's time zone. It may span midnight.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
struct QuietPeriod {
    /// Such as `22:00`
    starts: String,
    ends: String,
}

/// What the caller's preferences say about a type and a channel.
struct Chosen {
    enabled: bool,
    quiet_hours: Option<QuietPeriod>,
    preference: Option<Uuid>,
}

/// Get the notification settings
///
/// What the caller is told by which channel: for each type the defaults, what can't be switched off, and what counts
/// with the caller's preferences (`GET /notification-preferences`).
#[utoipa::path(get, path = "/notifications/settings", operation_id = "getNotificationSettings", tag = "Notifications",
    security(("bearer" = [])),
    responses((status = 200, description = "The settings", body = NotificationSettings)))]
pub(super) async fn settings(
    State(notifications): State<Notifications>,
    caller: Member,
) -> Result<Response> {
    let (chosen, is_stopped) = chosen(&notifications, &caller).await?;
    let shown = TYPES.iter().map(|ty| NotificationSetting {
        r#type: ty.name,
        description: ty.doc,
        is_urgent: ty.urgent,
        channels: CHANNELS
            .map(|channel| {
                let mut setting = setting(ty, channel, chosen.get(&(ty.name, channel.name())));
                // As `app.delivery_obstacles` decides it: only mail about the account itself is sent.
                setting.is_on &=
                    !(is_stopped && channel == Channel::Email && ty.name != "security");
                setting
            })
            .into(),
    });
    Ok(uncached(NotificationSettings {
        data: shown.collect(),
    }))
}

fn a_type() -> RefOr<Schema> {
    Ref::from_schema_name("NotificationType").into()
}

/// As `app.notify` decides it.
fn setting(ty: &Type, channel: Channel, chosen: Option<&Chosen>) -> ChannelSetting {
    let is_on_by_default = ty.channels.contains(&channel);
    let is_fixed = ty.always.contains(&channel);
    let quiet_hours = chosen.and_then(|chosen| chosen.quiet_hours.clone());
    ChannelSetting {
        channel: channel.name(),
        is_on: is_fixed || chosen.map_or(is_on_by_default, |chosen| chosen.enabled),
        is_on_by_default,
        is_fixed,
        quiet_hours: quiet_hours.filter(|_| !ty.urgent && channel != Channel::InApp),
        preference_id: chosen.and_then(|chosen| chosen.preference),
    }
}

/// By type and channel; those about which the caller has said nothing are missing. Also whether mail to the caller's address
/// is stopped, because it came back or was reported as spam.
async fn chosen(
    notifications: &Notifications,
    caller: &Member,
) -> Result<(HashMap<(&'static str, &'static str), Chosen>, bool)> {
    type Row = (
        String,
        String,
        bool,
        Option<Json<QuietPeriod>>,
        Option<Uuid>,
    );
    let (me, request) = (caller.id(), caller.request_id);
    let look = notifications.db.run(Notifications::NAME, Some(caller), request, move |cx| {
        Box::pin(async move {
            let names: Vec<&str> = TYPES.iter().map(|ty| ty.name).collect();
            let rows: Vec<Row> = sqlx::query_as(
                "select t.name, c.channel, c.enabled, c.quiet_hours, p.id
                 from unnest($2::text[]) t(name)
                 cross join lateral app.choices(array[$1::uuid], t.name) c
                 left join app.notification_preferences p
                   on p.user_id = $1 and p.type = t.name and p.channel = c.channel and p.status = 'active'",
            )
            .bind(me)
            .bind(names)
            .fetch_all(cx.conn())
            .await?;
            let is_stopped: bool = sqlx::query_scalar(
                "select exists (select from app.mail_suppressions s join app.users u on u.email = s.email where u.id = $1)",
            )
            .bind(me)
            .fetch_one(cx.conn())
            .await?;
            Ok((rows, is_stopped))
        })
    });
    let (rows, is_stopped) = look.await?;
    let known = |(name, channel, enabled, quiet_hours, preference): Row| {
        let ty = TYPES.iter().find(|ty| ty.name == name)?;
        let channel = CHANNELS.iter().find(|known| known.name() == channel)?;
        let chosen = Chosen {
            enabled,
            quiet_hours: quiet_hours.map(|Json(hours)| hours),
            preference,
        };
        Some(((ty.name, channel.name()), chosen))
    };
    Ok((rows.into_iter().filter_map(known).collect(), is_stopped))
}
