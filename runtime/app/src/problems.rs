//! Problem types of the product: why buying, paying or getting in can fail.
//!
//! Contains texts only. The engine's own problem types are in `kernel::problems`.

use kernel::problems::{self, Own};

kernel::problem_kinds! {
    CARD_DECLINED = 402, "card-declined", "The card was declined",
        "Nothing was charged. `detail` says what the bank said; try another card, or the same one after asking the bank. The order keeps its tickets until it expires.";
    INSUFFICIENT_CREDITS = 409, "insufficient-credits", "Not enough credits",
        "The wallet contains less than the amount, or part of it is reserved for another purchase. Nothing was charged.";
    WALLET_FROZEN = 409, "wallet-frozen", "The wallet is frozen",
        "The platform is checking the account; until then nothing can be paid from it. No credits are lost.";
    SOLD_OUT = 409, "sold-out", "Not enough tickets are left",
        "`errors` names the ticket types and how many tickets are left. Nothing was reserved. Join the waiting list, or try again later: tickets of expired orders become available again.";
    NOT_ON_SALE = 409, "not-on-sale", "These tickets are not on sale",
        "The event is not published or is over, or the ticket type is not on sale now.";
    LIMIT_REACHED = 409, "limit-reached", "More tickets than one person may buy",
        "Together with the tickets that the buyer has, the order exceeds the limit of a ticket type or of the promo code.";
    PROMO_CODE = 409, "promo-code-refused", "The promo code is not valid",
        "The event has no such code, the code has expired, or it has been used as often as allowed.";
    ORDER_EXPIRED = 409, "order-expired", "The order has expired",
        "Its tickets are on sale again. Place a new order. If a payment still arrives, it buys the tickets if they are left, or is refunded in full.";
    REFUND_EXCEEDS = 409, "refund-exceeds-payment", "The refund is more than what is left",
        "Together with earlier refunds, the amount is more than was paid.";
    PAYMENT_REFUSED = 409, "payment-refused", "The payment provider refuses this",
        "Nothing was charged. The provider has refused the request itself, not the card; `detail` contains its answer. The same request will be refused again.";
    HOST_UNPAYABLE = 409, "host-cannot-be-paid", "The host can't take payments yet",
        "The organisation or business has no account at the payment provider that can take payments. Nothing was reserved or charged. Contact the host.";
    UNSELLABLE = 409, "tickets-cannot-be-sold", "Nobody could order these tickets",
        "Buyers would be refused online, whatever they order: the platform has no commission rule for the currency, or a card can't be charged what they cost. `detail` says why for each ticket type, and what to do. Nothing was changed.";
    PLAN_REQUIRED = 403, "plan-required", "The plan does not include this",
        "The business has no plan at present, or one without this feature. `GET /plans` lists what each plan includes.";
    GUESTS_ONLY = 403, "guests-only", "Only guests may write reviews",
        "The platform accepts reviews only from members who were admitted to an event of the host or at the venue, hold a ticket to one that has begun, or have accepted an offer of the business.";
    HOST_UNKNOWN = 409, "host-not-known-yet", "The host is too new to write to guests",
        "An organisation or business must be approved by its city first; a community must be verified or two weeks old.";
    BROADCAST_LIMIT = 409, "too-many-broadcasts", "Too many broadcasts on one day",
        "At most five broadcasts about one event can be sent on one day (UTC). Choose another `send_at`, or cancel another broadcast.";
    PLACE_NOT_OFFERED = 409, "place-not-offered", "The city does not offer this place",
        "No featured place of this kind can be booked in the city at present. `GET /featured-places` lists the places that can.";
    PLACE_TAKEN = 409, "place-taken", "The featured place is taken",
        "The place is fully booked during part of the time. `POST /promotions/price` shows how many bookings are possible at another time.";
    STORAGE_FULL = 409, "storage-full", "The storage for pictures is full",
        "The caller's pictures, including announced ones, would exceed the limit for one member. Delete some. Deleted pictures count until their files are removed, some weeks later.";
    UPLOAD_MISSING = 409, "upload-missing", "The file was not received",
        "No file has been sent to the address of the upload yet. Send the file, then complete the upload.";
    UPLOAD_OVER = 409, "upload-over", "The upload has ended",
        "Its file was refused, or the upload was not completed within a day. Announce the picture again.";
    PICTURE_REFUSED = 422, "picture-refused", "The file is not a picture that can be shown",
        "`detail` says what is wrong with it. The file was deleted; announce the picture again and send another file.";
    STORE_AWAY = 503, "file-store-unavailable", "The file store does not respond",
        "Nothing was changed. Try again later.";
    PROVIDER_AWAY = 503, "payment-provider-unavailable", "The payment provider does not answer",
        "Whether the request took effect there is not known yet. What it is about is updated automatically: read it, or send the same request again later. Nothing is charged or done twice.";
}

static OWN: Own = Own {
    kinds: ALL,
    codes: &[
        ("sold_out", "not enough tickets left"),
        ("limit", "more than one person may have"),
        ("not_on_sale", "not on sale now"),
        (
            "currency",
            "not in the currency of the other items, or of any ticket type of the event",
        ),
        ("not_a_guest", "the caller did not attend"),
        ("promised", "can't change because buyers rely on it"),
    ],
};

/// Adds them to the engine's lists of problem types and error codes.
pub fn declare() {
    problems::declare(&OWN);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handbook_lists_every_problem_type_of_the_product() {
        let page = include_str!("../../../docs/api-design.md");
        let (_, table) = page
            .split_once("| status | name | title |")
            .expect("a table");
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        let list = ALL
            .iter()
            .map(|kind| format!("| {} | `{}` | {} |", kind.status, kind.slug, kind.title));
        assert_eq!(rows.collect::<Vec<_>>(), list.collect::<Vec<_>>());
    }
}
