//! A good request for every hand-written operation that names a row, and for every other one the reason why it has
//! none. Each good request succeeds on a fresh scene, which is tested, so that a refusal after an ending is due to the
//! ending.

use super::scene::{Group, Scene};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request that succeeds on a fresh scene.
#[derive(Clone, Copy)]
pub struct Good {
    pub operation: &'static str,
    /// The label of the caller.
    pub by: &'static str,
    /// The label of the row whose id the path has; empty if it has none.
    pub of: &'static str,
    pub body: fn(&Scene<'_>) -> Value,
    pub group: Group,
}

const fn good(operation: &'static str, by: &'static str, of: &'static str) -> Good {
    with(operation, by, of, |_| Value::Null)
}

const fn with(
    operation: &'static str,
    by: &'static str,
    of: &'static str,
    body: fn(&Scene<'_>) -> Value,
) -> Good {
    Good {
        operation,
        by,
        of,
        body,
        group: Group::Plain,
    }
}

const fn among(group: Group, good: Good) -> Good {
    Good { group, ..good }
}

const MONEY: Group = Group::Money;

fn pages(_: &Scene<'_>) -> Value {
    json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"})
}

fn note(_: &Scene<'_>) -> Value {
    json!({"note": "Looked at it"})
}

fn empty(_: &Scene<'_>) -> Value {
    json!({})
}

fn cart(scene: &Scene<'_>) -> Value {
    scene.cart("event", "seat")
}

fn free(scene: &Scene<'_>) -> Value {
    scene.cart("event", "free")
}

fn chair(scene: &Scene<'_>) -> Value {
    scene.cart("gathering", "chair")
}

fn scan(scene: &Scene<'_>) -> Value {
    json!({"event_id": scene.id("event"), "code": scene.code, "nonce": Uuid::new_v4()})
}

fn scan_inside(scene: &Scene<'_>) -> Value {
    let mut body = scan(scene);
    body["checkpoint_id"] = json!(scene.id("checkpoint"));
    body
}

fn scans(scene: &Scene<'_>) -> Value {
    let scan = json!({"code": scene.code, "nonce": Uuid::new_v4(), "at": chrono::Utc::now()});
    json!({"event_id": scene.id("event"), "scans": [scan]})
}

fn picture(entity: &str, id: Uuid) -> Value {
    json!({"entity_type": entity, "entity_id": id, "content_type": "image/png", "bytes": 1000, "sha256": "0".repeat(64)})
}

fn place(scene: &Scene<'_>) -> Value {
    json!({"target_type": "event", "target_id": scene.id("event"), "city_id": scene.id("city"), "slot": "home",
        "starts_at": chrono::Utc::now() + chrono::TimeDelta::days(9), "ends_at": chrono::Utc::now() + chrono::TimeDelta::days(12)})
}

pub const GOODS: &[Good] = &[
    with(
        "copyEvent",
        "host",
        "event",
        |_| json!({"starts_at": "2040-05-01T18:00:00Z"}),
    ),
    // Buying and what was bought.
    with("priceOrder", "stranger", "", cart),
    with("createOrder", "stranger", "", cart),
    with("createOrder", "stranger", "", free),
    // Who has a ticket sees the event whatever becomes of its host.
    with("priceOrder", "buyer", "", cart),
    with("createOrder", "buyer", "", cart),
    with("priceOrder", "buyer", "", chair),
    with("createOrder", "buyer", "", chair),
    good("cancelOrder", "buyer", "unpaid order"),
    with("refundOrder", "buyer", "order", empty),
    with("refundOrder", "host", "order", empty),
    with(
        "offerTicket",
        "buyer",
        "ticket",
        |scene| json!({"to_id": scene.id("friend")}),
    ),
    good("acceptTicket", "friend", "offer"),
    good("declineTicket", "friend", "offer"),
    good("withdrawTicket", "buyer", "offer"),
    good("getTicketQrPng", "buyer", "ticket"),
    good("getTicketQrSvg", "buyer", "ticket"),
    good("getPlaceInLine", "friend", "entry"),
    // The door.
    with("scanTicket", "host", "", scan),
    with("scanTicket", "host", "", scan_inside),
    with("scanTickets", "host", "", scans),
    with("sellAtDoor", "host", "", free),
    with("sellAtDoor", "host", "", cart),
    good("listAdmissions", "host", "event"),
    good("listRevokedCodes", "host", "event"),
    good("listCheckpointFigures", "host", "event"),
    good("listAttendees", "host", "event"),
    good("exportAttendees", "host", "event"),
    good("getSales", "host", "event"),
    good("getCancellation", "host", "called off"),
    // What is seen of events, profiles and cities.
    good("getEventDashboard", "host", "event"),
    good("getOrganizationDashboard", "host", "organization"),
    good("getCommunityDashboard", "host", "community"),
    good("getInstitutionDashboard", "host", "institution"),
    good("getBusinessDashboard", "provider", "business"),
    good("getCityDashboard", "city_admin", "city"),
    good("getEventCalendar", "stranger", "event"),
    good("getEventCalendar", "buyer", "gathering"),
    good("getOrganizationCalendar", "stranger", "organization"),
    good("getCommunityCalendar", "stranger", "community"),
    good("getBusinessCalendar", "stranger", "business"),
    good("getInstitutionCalendar", "stranger", "institution"),
    good("getVenueCalendar", "stranger", "venue"),
    good("getCityCalendar", "stranger", "city"),
    good("getOrganizationRating", "stranger", "organization"),
    good("getBusinessRating", "stranger", "business"),
    good("getVenueRating", "stranger", "venue"),
    good("getCommunityRating", "stranger", "community"),
    good("previewBroadcast", "host", "broadcast"),
    good("getBroadcastReport", "host", "broadcast"),
    // What members do with them.
    good("likeEvent", "stranger", "event"),
    good("likeEvent", "buyer", "gathering"),
    good("unlikeEvent", "friend", "event"),
    good("viewEvent", "stranger", "event"),
    good("viewEvent", "buyer", "gathering"),
    good("shareEvent", "stranger", "event"),
    good("followUser", "buyer", "stranger"),
    good("unfollowUser", "friend", "stranger"),
    good("followCommunity", "stranger", "community"),
    good("unfollowCommunity", "friend", "community"),
    good("followOrganization", "stranger", "organization"),
    good("unfollowOrganization", "friend", "organization"),
    good("followBusiness", "stranger", "business"),
    good("unfollowBusiness", "friend", "business"),
    good("followVenue", "stranger", "venue"),
    good("unfollowVenue", "friend", "venue"),
    good("followInstitution", "stranger", "institution"),
    good("unfollowInstitution", "friend", "institution"),
    good("readNotification", "buyer", "notification"),
    good("unreadNotification", "buyer", "notification"),
    // Pictures.
    with("announcePicture", "host", "", |scene| {
        picture("event", scene.id("event"))
    }),
    with("announcePicture", "host", "", |scene| {
        picture("venue", scene.id("venue"))
    }),
    with("announcePicture", "stranger", "", |scene| {
        picture("user", scene.id("stranger"))
    }),
    among(Group::Pictures, good("completePicture", "host", "sent")),
    // Trade.
    with("pricePromotion", "host", "", place),
    with(
        "priceCommissionProposal",
        "city_admin",
        "proposal",
        |_| json!({"price_cents": 4500, "quantity": 2}),
    ),
    good("getQuoteFee", "provider", "quote"),
    good("getBusinessReport", "platform", "business"),
    // Money.
    with("onboardBusiness", "provider", "business", pages),
    among(
        MONEY,
        with("onboardOrganization", "host", "organization", pages),
    ),
    with("onboardCity", "city_admin", "city", pages),
    among(MONEY, with("payOrder", "buyer", "unpaid order", empty)),
    among(MONEY, with("payPromotion", "host", "promotion", empty)),
    among(MONEY, with("payQuoteFee", "provider", "quote", empty)),
    among(
        MONEY,
        with("refundQuoteFee", "platform", "paid quote", empty),
    ),
    among(MONEY, good("preferPaymentMethod", "buyer", "card")),
    among(MONEY, good("removePaymentMethod", "buyer", "card")),
    among(
        MONEY,
        good("cancelSubscription", "provider", "subscription"),
    ),
    among(
        MONEY,
        with(
            "changeSubscriptionPlan",
            "provider",
            "subscription",
            |scene| json!({"plan_id": scene.id("other plan")}),
        ),
    ),
    among(
        MONEY,
        with(
            "changeSubscriptionCard",
            "provider",
            "subscription",
            |scene| json!({"payment_method_id": scene.id("provider's card")}),
        ),
    ),
    among(
        Group::Cancelled,
        good("keepSubscription", "provider", "subscription"),
    ),
    among(
        Group::Unsubscribed,
        with(
            "subscribeBusiness",
            "provider",
            "business",
            |scene| json!({"plan_id": scene.id("plan"), "payment_method_id": scene.id("provider's card")}),
        ),
    ),
    // The platform.
    with("confirmFraud", "platform", "flag", note),
    with("dismissFraud", "platform", "flag", note),
    with(
        "giveCredits",
        "platform",
        "",
        |scene| json!({"user_id": scene.id("stranger"), "kind": "event_credit", "amount_cents": 100, "currency": "AUD", "reference": "A test"}),
    ),
    with(
        "reverseJournal",
        "platform",
        "journal",
        |_| json!({"reason": "Booked by mistake"}),
    ),
    good("retryTransfer", "platform", "transfer"),
    good("retryStripeEvent", "platform", "stripe event"),
    with(
        "dismissStripeEvent",
        "platform",
        "stripe event",
        |_| json!({"reason": "Nothing is left of it"}),
    ),
];

/// Operations about the caller's own account, or for administrators of the platform about no row of an entity. They
/// end with the account.
pub const OWN: &[&str] = &[
    "changeEmail",
    "changePassword",
    "countUnreadNotifications",
    "discardDeadJob",
    "endMySession",
    "exportMe",
    "fundBudget",
    "getCalendarFeed",
    "getFeed",
    "getMyCalendar",
    "getMyHome",
    "getMyRequests",
    "getMyWallet",
    "getNotificationSettings",
    "getPlatformDashboard",
    "listAuditLogs",
    "listDeadJobs",
    "listMyIdentities",
    "listMySessions",
    "readAllNotifications",
    "renewCalendarFeed",
    "retryDeadJob",
    "revokeCalendarFeed",
    "savePaymentMethod",
    "signOut",
    "signOutEverywhere",
    "stepUp",
    "streamNotifications",
    "unlinkMyIdentity",
];

/// Lists for everybody; what they show is tested by `shown.rs`.
pub const LISTS: &[&str] = &[
    "getMap",
    "listFeaturedEvents",
    "listTopRatedBusinesses",
    "listTopRatedCommunities",
    "listTopRatedOrganizations",
    "listTopRatedVenues",
    "listTrendingEvents",
    "listUpcomingEvents",
    "search",
];

/// Operations that reach no row of an entity.
pub const NOTHING: &[&str] = &[
    "getDocument",
    "getHome",
    "getLiveness",
    "getPartOfDocument",
    "getProblem",
    "listProblems",
    "listTicketKeys",
];

/// Operations whose caller has a secret instead of a token, and the test (file and name) of what it is worth once its
/// subject has ended.
pub const SECRETS: &[(&str, &str, &str)] = &[
    (
        "confirmEmail",
        "abuse/mailboxes.rs",
        "abuse_18_a_link_for_another_account_makes_nobody",
    ),
    (
        "forgotPassword",
        "abuse/sign_in.rs",
        "abuse_18_members_and_strangers_get_the_same_answers",
    ),
    (
        "getPictureFile",
        "media/kept.rs",
        "md8_pictures_of_what_is_suspended_are_not_served",
    ),
    (
        "leaveWaitlist",
        "notifications/leave.rs",
        "od4_leave_by_link_is_not_offered_where_nothing_is_left_to_leave",
    ),
    (
        "readCalendarFeed",
        "calendars/feed.rs",
        "se5_an_address_ends_with_the_next_one_and_with_the_account",
    ),
    (
        "refresh",
        "abuse/sessions.rs",
        "abuse_16_a_suspended_or_leaving_member_is_out_with_the_next_request",
    ),
    (
        "resetPassword",
        "database/endings.rs",
        "nothing_begins_on_what_has_ended",
    ),
    (
        "sendPicture",
        "media/disk.rs",
        "md3_an_address_counts_for_a_quarter_of_an_hour",
    ),
    (
        "showLeavingWaitlist",
        "notifications/leave.rs",
        "od4_leave_by_link_is_not_offered_where_nothing_is_left_to_leave",
    ),
    (
        "showUnsubscribing",
        "notifications/ended.rs",
        "no4_one_click_of_a_closed_account_writes_nothing",
    ),
    (
        "signIn",
        "abuse/sign_in.rs",
        "abuse_18_members_and_strangers_get_the_same_answers",
    ),
    (
        "signUp",
        "abuse/mailboxes.rs",
        "abuse_18_a_link_for_another_account_makes_nobody",
    ),
    (
        "takeResendEvent",
        "notifications/feedback.rs",
        "no11_order_and_repetition_of_events_change_nothing",
    ),
    (
        "takeSendgridEvents",
        "notifications/feedback.rs",
        "no11_order_and_repetition_of_events_change_nothing",
    ),
    (
        "takeStripeConnectEvent",
        "money/inbox.rs",
        "h7_events_that_are_done_go_after_their_time_and_what_waits_stays",
    ),
    (
        "takeStripeEvent",
        "money/inbox.rs",
        "h7_events_that_are_done_go_after_their_time_and_what_waits_stays",
    ),
    (
        "unsubscribe",
        "notifications/ended.rs",
        "no4_one_click_of_a_closed_account_writes_nothing",
    ),
    (
        "verifyEmail",
        "abuse/mailboxes.rs",
        "abuse_18_a_link_for_another_account_makes_nobody",
    ),
];
