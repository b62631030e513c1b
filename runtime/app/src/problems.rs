//! Problem types of the product: why buying, paying or getting in can fail.
//!
//! Contains texts only. The engine's own problem types are in `kernel::problems`.

use kernel::problems::{self, Own};

kernel::problem_kinds! {
    CARD_DECLINED = 402, "card-declined", "The card was declined",
        "Nothing was charged. `detail` says what the bank said; try another card, or the same one after asking the bank. The order keeps its tickets until it expires.";
    INSUFFICIENT_CREDITS = 409, "insufficient-credits", "There are not enough credits",
        "The wallet has less than this takes, or part of it is set aside for another purchase. Nothing was taken.";
    WALLET_FROZEN = 409, "wallet-frozen", "The wallet is being checked",
        "Nothing can be taken from the account until the platform has looked at it. Credits are not lost.";
    SOLD_OUT = 409, "sold-out", "There are not enough tickets left",
        "`errors` names the ticket types and how many are left. Nothing was held back. Join the waiting list, or ask again: tickets of orders that expire come back.";
    NOT_ON_SALE = 409, "not-on-sale", "These tickets are not on sale",
        "The event is not published or has begun, or the ticket type is not on sale now.";
    LIMIT_REACHED = 409, "limit-reached", "More than one person may buy",
        "This, together with the tickets that the buyer has, is more than the limit of a ticket type or of the promo code.";
    PROMO_CODE = 409, "promo-code-refused", "The promo code does not count",
        "There is no such code for this event, its time is over, or it has been used as often as it may be.";
    ORDER_EXPIRED = 409, "order-expired", "The order has expired",
        "Its tickets went back on sale. Order again. If a payment arrives all the same, it buys the tickets that are left or goes back in full.";
    REFUND_EXCEEDS = 409, "refund-exceeds-payment", "There is less left to refund",
        "What was refunded before and this are more than was paid.";
    PAYMENT_REFUSED = 409, "payment-refused", "The payment provider refuses this",
        "Nothing was charged. The provider has refused the request itself, not the card: `detail` says what it said. The same request will be refused again.";
    HOST_UNPAYABLE = 409, "host-cannot-be-paid", "The host can't take payments yet",
        "The organisation or business that hosts this has no account at the payment provider that takes payments. Nothing was held back or charged. Tell the host.";
    PLAN_REQUIRED = 403, "plan-required", "The plan does not include this",
        "The business has no plan now, or one without this. `GET /plans` says what each of them includes.";
    GUESTS_ONLY = 403, "guests-only", "Reviews are for those who were there",
        "The platform takes reviews of guests alone: of whoever was let in to an event of the host or at the venue, or holds a ticket to one that has begun, or has accepted an offer of the business.";
    HOST_UNKNOWN = 409, "host-not-known-yet", "The host is too new to write to guests",
        "An organisation or business has to be approved by its city first; a community has to be verified, or two weeks old.";
    BROADCAST_LIMIT = 409, "too-many-broadcasts", "The guests have heard enough for a day",
        "Five broadcasts about one event go in a day of universal time. Choose another `send_at`, or call another one off.";
    PLACE_NOT_OFFERED = 409, "place-not-offered", "The city does not offer this place",
        "No featured place of this kind can be booked in the city now. `GET /featured-places` lists what there is.";
    PLACE_TAKEN = 409, "place-taken", "The featured place is taken",
        "As many as fit in are booked during some of the time. `POST /promotions/price` says how much room another time has.";
    STORAGE_FULL = 409, "storage-full", "There is no room for more pictures",
        "The caller's pictures, those announced included, would take more than one member may have. Delete some; what is deleted counts until its files are gone, some weeks later.";
    UPLOAD_MISSING = 409, "upload-missing", "The file has not come",
        "Nothing was sent to the address of the upload yet. Send the file, then complete the upload.";
    UPLOAD_OVER = 409, "upload-over", "The upload is over",
        "Its file was refused, or nobody has completed it within a day. Announce the picture anew.";
    PICTURE_REFUSED = 422, "picture-refused", "The file can't be shown",
        "`detail` says what is wrong with it. The file was deleted; announce another one.";
    STORE_AWAY = 503, "file-store-unavailable", "The store of files does not answer",
        "Nothing was changed. Ask again later.";
    PROVIDER_AWAY = 503, "payment-provider-unavailable", "The payment provider does not answer",
        "It is not known yet whether the payment was made. Look at the order, which is brought up to date by itself; do not pay anew.";
}

static OWN: Own = Own {
    kinds: ALL,
    codes: &[
        ("sold_out", "there are fewer tickets left"),
        ("limit", "it is more than one person may have"),
        ("not_on_sale", "it can't be bought now"),
        ("currency", "it is not in the currency of the rest"),
        ("not_a_guest", "the caller was not there"),
        ("promised", "buyers rely on what it is"),
    ],
};

/// Adds them to the engine's lists of problem types and error codes.
pub fn declare() {
    problems::declare(&OWN);
}
