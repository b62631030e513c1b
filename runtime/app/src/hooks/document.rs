//! What the hooks refuse, for the API document: the spec has no text about it.

use serde_json::{Value, json};

/// Path, methods, and the text that is appended to the description. A test checks that every hook is listed.
const REFUSED: &[(&str, &[&str], &str)] = &[
    (
        "/promotions",
        &["post"],
        "409 if the city does not offer this place, if it is fully booked during part of the time, or if the host is \
         suspended or was rejected. The price is that of `POST /promotions/price` and has to be paid until `pay_by`.",
    ),
    (
        "/events/{id}/publish",
        &["post"],
        "409 if the event has no `venue_id`, `location` or `online_url`, or if it has tickets that cost something, \
         are not `door_only`, and the host has no account that takes payments (`host-cannot-be-paid`) or nobody could order \
         them: without a commission rule for their currency, or at a price that no card can be charged \
         (`tickets-cannot-be-sold`).",
    ),
    (
        "/events/{id}",
        &["patch", "put"],
        "409 if `capacity` is less than the number of tickets that are reserved or sold, or if the event has tickets and a \
         new `starts_at` or `ends_at` is in the past.",
    ),
    (
        "/ticket-types",
        &["post"],
        "409 (`host-cannot-be-paid`) if the event is published, the tickets cost something and are not `door_only`, \
         and the host has no account that takes payments; or (`tickets-cannot-be-sold`) if nobody could order them: without \
         a commission rule for their currency, or at a price that no card can be charged. 422 for a `price_cents` that is finer than the smallest step of \
         its currency, for a currency that people don't pay in, and, unless `door_only`, for one that cards can't be \
         charged in and for a price above what they can be charged.",
    ),
    (
        "/ticket-types/{id}",
        &["patch", "put"],
        "409 (`host-cannot-be-paid`) if tickets of a published event would cost something online and the host has no \
         account that takes payments, or (`tickets-cannot-be-sold`) if nobody could order them. 409 for another `currency` after tickets were ordered, for a `capacity` below the \
         number of tickets that are reserved or sold, and for moving a `refundable_until` that has not passed to an earlier \
         time while there are any. 422 for a price or currency that `POST /ticket-types` refuses.",
    ),
    (
        "/events/{id}",
        &["delete"],
        "409 if the event has valid tickets: cancel it first (`POST /events/{id}/cancel`), which refunds them.",
    ),
    (
        "/ticket-types/{id}",
        &["delete"],
        "409 if tickets of this type are reserved or sold: set `sales_end` to sell no more.",
    ),
    (
        "/events/{id}/restore",
        &["post"],
        "409 if the event is published and not over, and tickets that come back with it cost something, are not \
         `door_only`, and could not be put on sale now: the host has no account that takes payments \
         (`host-cannot-be-paid`), or nobody could order them (`tickets-cannot-be-sold`).",
    ),
    (
        "/ticket-types/{id}/restore",
        &["post"],
        "409 if the event is published and not over, the tickets cost something and are not `door_only`, and the host has \
         no account that takes payments (`host-cannot-be-paid`) or nobody could order them (`tickets-cannot-be-sold`).",
    ),
    (
        "/broadcasts/{id}/schedule",
        &["post"],
        "409 if the host is too new, if five broadcasts about the event are sent on that day already, or if a ticket \
         type in `ticket_type_ids` is not one of the event.",
    ),
    (
        "/broadcasts",
        &["post"],
        "422 if a ticket type in `ticket_type_ids` is not one of the event.",
    ),
    (
        "/broadcasts/{id}",
        &["patch", "put"],
        "422 if a ticket type in `ticket_type_ids` is not one of the event.",
    ),
    (
        "/plans",
        &["post"],
        "422 for a `price_cents` that can't be charged to a card.",
    ),
    (
        "/plans/{id}",
        &["patch", "put"],
        "422 for a `price_cents` that can't be charged to a card.",
    ),
    (
        "/featured-places",
        &["post"],
        "422 for a `day_price_cents` that can't be charged to a card.",
    ),
    (
        "/featured-places/{id}",
        &["patch", "put"],
        "422 for a `day_price_cents` that can't be charged to a card.",
    ),
    (
        "/promo-codes",
        &["post"],
        "422 for an `amount_cents` that is finer than the smallest step of its currency, or in a currency in which the event \
         has no ticket type. 409 if the host is suspended or was rejected.",
    ),
    (
        "/promo-codes/{id}",
        &["patch", "put"],
        "422 for an `amount_cents` that is finer than the smallest step of its currency, or in a currency in which the event \
         has no ticket type.",
    ),
    (
        "/commission-rules",
        &["post"],
        "422 for amounts that are finer than the smallest step of the currency, and for a `fixed_cents` or `min_cents` that is \
         more than a card can be charged.",
    ),
    (
        "/commission-rules/{id}",
        &["patch", "put"],
        "422 for amounts that are finer than the smallest step of the currency, and for a `fixed_cents` or `min_cents` that is \
         more than a card can be charged.",
    ),
    (
        "/commission-proposals",
        &["post"],
        "422 for amounts that are finer than the smallest step of the currency, and for a `fixed_cents` or `min_cents` that is \
         more than a card can be charged.",
    ),
    (
        "/reviews",
        &["post"],
        "403 (`guests-only`) if the platform accepts reviews from guests only and the caller was none.",
    ),
    (
        "/quotes/{id}/accept",
        &["post"],
        "the lead is won, the other leads of the request are lost, their quotes are declined, and the request is \
         settled. 409 if another quote of the request was accepted at the same time, or if the request is closed or over.",
    ),
    (
        "/quotes",
        &["post"],
        "409 if the business or the host that asks is suspended or was rejected, or if the request is closed, settled or \
         over (`needed_at`).",
    ),
    (
        "/quotes/{id}",
        &["patch", "put"],
        "409 if the request is closed, settled or over (`needed_at`).",
    ),
    (
        "/quotes/{id}/send",
        &["post"],
        "409 if the business or the host that asks is suspended or was rejected, if the request is closed, settled or over \
         (`needed_at`), or if the platform charges its fee in other currencies.",
    ),
    (
        "/leads",
        &["post"],
        "409 if the business or the host that asks is suspended or was rejected, if the host still waits for approval, \
         or if the business gets no more requests this month: its plan says how many.",
    ),
    (
        "/leads/{id}",
        &["patch", "put"],
        "409 while a quote stands.",
    ),
    (
        "/leads/{id}/win",
        &["post"],
        "409 if a quote was sent: accept it.",
    ),
    (
        "/service-requests/{id}",
        &["patch", "put"],
        "409 while a quote stands.",
    ),
    (
        "/service-requests/{id}/settle",
        &["post"],
        "409 while a quote stands.",
    ),
    (
        "/service-requests/{id}/reopen",
        &["post"],
        "409 if the host is suspended or was rejected.",
    ),
    (
        "/community-members/{id}/join",
        &["post"],
        "409 if whoever has invited the caller does not look after the community any more, or while the community is \
         suspended.",
    ),
    (
        "/community-members/{id}/approve",
        &["post"],
        "409 while the community is suspended.",
    ),
    (
        "/role-assignments/{id}/accept",
        &["post"],
        "409 while what the role is for is suspended.",
    ),
    (
        "/waitlist-entries",
        &["post"],
        "409 if the event has begun or was cancelled, or if it is a community's own and the caller is no member.",
    ),
    (
        "/commission-proposals/{id}/accept",
        &["post"],
        "the rule applies to the city from now on, or from `valid_from` if that is later, and the previous rule ends \
         then. 409 if another rule of the city for the same charge and currency begins later and would overlap.",
    ),
];

/// Adds these texts to the descriptions in the API document.
pub fn amend(document: &mut Value) {
    for (path, methods, text) in REFUSED {
        for method in *methods {
            let operation = document["paths"].get_mut(path);
            let operation = operation.and_then(|item| item.get_mut(method));
            if let Some(description) = operation.and_then(|one| one.get_mut("description")) {
                let before = description.as_str().unwrap_or_default();
                *description = json!(format!("{before}\n\n**Also**: {text}"));
            }
        }
    }
}
