//! What the API document says of the hooks. Contains texts only.

use serde_json::{Value, json};

/// What the hooks refuse, by path and method. A test checks that every hook is listed.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "/promotions",
        "post",
        "409 where the city offers no such place, or as many as fit in are booked during some of the time. The price is that of \
         `POST /promotions/price`; it is to be paid until `pay_by`.",
    ),
    (
        "/events/{id}/publish",
        "post",
        "409 also while nobody can know where it is: an event needs a `venue_id`, a `location` or an `online_url`; and while \
         tickets cost something that are not `door_only`, and the host has no account that takes payments (`host-cannot-be-paid`).",
    ),
    (
        "/events/{id}",
        "patch",
        "422 for a `capacity` below the tickets that are held or sold. 409 where it has tickets, for another `starts_at` or \
         `ends_at` that is over.",
    ),
    (
        "/events/{id}",
        "put",
        "422 for a `capacity` below the tickets that are held or sold. 409 where it has tickets, for another `starts_at` or \
         `ends_at` that is over.",
    ),
    (
        "/ticket-types",
        "post",
        "409 (`host-cannot-be-paid`) where the event is published, the tickets cost something and are not `door_only`, and the \
         host has no account that takes payments.",
    ),
    (
        "/ticket-types/{id}",
        "patch",
        "409 (`host-cannot-be-paid`) where tickets of a published event would begin to cost something online, and the host has no \
         account that takes payments; for another `currency` once tickets were ordered; and for an \
         earlier `refundable_until` while it is ahead and tickets are held or sold.",
    ),
    (
        "/ticket-types/{id}",
        "put",
        "409 (`host-cannot-be-paid`) where tickets of a published event would begin to cost something online, and the host has no \
         account that takes payments; for another `currency` once tickets were ordered; and for an \
         earlier `refundable_until` while it is ahead and tickets are held or sold.",
    ),
    (
        "/broadcasts/{id}/schedule",
        "post",
        "409 while the host is too new, for more than five in a day about one event, and where `ticket_type_ids` are not all \
         ticket types of the event.",
    ),
    (
        "/broadcasts",
        "post",
        "422 where `ticket_type_ids` are not all ticket types of the event, and for a `send_at` in the past.",
    ),
    (
        "/broadcasts/{id}",
        "patch",
        "422 where `ticket_type_ids` are not all ticket types of the event, and for a new `send_at` in the past.",
    ),
    (
        "/broadcasts/{id}",
        "put",
        "422 where `ticket_type_ids` are not all ticket types of the event, and for a new `send_at` in the past.",
    ),
    (
        "/plans",
        "post",
        "422 for a `price_cents` that no card can be charged.",
    ),
    (
        "/plans/{id}",
        "patch",
        "422 for a `price_cents` that no card can be charged.",
    ),
    (
        "/plans/{id}",
        "put",
        "422 for a `price_cents` that no card can be charged.",
    ),
    (
        "/featured-places",
        "post",
        "422 for a `day_price_cents` that no card can be charged.",
    ),
    (
        "/featured-places/{id}",
        "patch",
        "422 for a `day_price_cents` that no card can be charged.",
    ),
    (
        "/featured-places/{id}",
        "put",
        "422 for a `day_price_cents` that no card can be charged.",
    ),
    ("/promo-codes", "post", "422 for a `valid_to` in the past."),
    (
        "/commission-proposals",
        "post",
        "422 for a `valid_to` in the past.",
    ),
    (
        "/service-requests",
        "post",
        "422 for a `needed_at` in the past.",
    ),
    (
        "/service-requests/{id}",
        "patch",
        "422 for a new `needed_at` in the past.",
    ),
    (
        "/service-requests/{id}",
        "put",
        "422 for a new `needed_at` in the past.",
    ),
    ("/leads", "post", "422 for a `needed_at` in the past."),
    ("/quotes", "post", "422 for a `valid_until` in the past."),
    (
        "/quotes/{id}",
        "patch",
        "422 for a new `valid_until` in the past.",
    ),
    (
        "/quotes/{id}",
        "put",
        "422 for a new `valid_until` in the past.",
    ),
    (
        "/reviews",
        "post",
        "403 (`guests-only`) for members who were not there, where the platform takes reviews of guests alone.",
    ),
    (
        "/quotes/{id}/accept",
        "post",
        "the lead has won, other leads of the request are lost, their quotes declined, and the request is settled. 409 also where \
         another quote of the request has been accepted at the same moment.",
    ),
    (
        "/commission-proposals/{id}/accept",
        "post",
        "the city has the rule from then on, or from `valid_from` if that is later, and its rule of before ends there. 409 where \
         a rule of the city for this kind of charge and currency begins later and would hold at the same time.",
    ),
];

/// Adds these texts to the descriptions in the API document.
pub fn amend(document: &mut Value) {
    for (path, method, text) in REFUSED {
        let item = document["paths"].get_mut(path);
        let operation = item.and_then(|item| item.get_mut(method));
        if let Some(description) = operation.and_then(|one| one.get_mut("description")) {
            let before = description.as_str().unwrap_or_default();
            *description = json!(format!("{before}\n\n**Also**: {text}"));
        }
    }
}
