//! HTTP routes for orders, codes and the door.

use super::{
    Tickets,
    bodies::{
        AskedRefund, Cart, GiveBack, PlacedOrder, Price, PriceLine, Scan, ScanResult, TicketKey,
        TicketKeyList,
    },
    cart::{self, Sale},
    orders, qr, settle,
    staff::seller,
};
use crate::module::{Module, id, idempotency_key};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use generated::{order::ORDER, ticket::TICKET};
use kernel::{
    Error, Member, Result,
    http::Sent,
    idempotency::{Answer, Claimed, Keyed, required},
    openapi::Objects,
    problem::Item,
    problems,
};
use utoipa::{OpenApi, openapi};
use uuid::Uuid;

pub fn router(tickets: Tickets) -> Router {
    let keyed = from_fn_with_state(tickets.keyed.clone(), required);
    // No daily quota: staff sell many tickets in a row, and the stock is limit enough.
    let at_door = Keyed {
        per_day: None,
        ..tickets.keyed.clone()
    };
    let at_door = from_fn_with_state(at_door, required);
    // The layer is on the method's route, so that other methods of the path are still refused as such.
    Router::new()
        .route("/orders/price", post(price))
        .route("/orders", post(order).route_layer(keyed.clone()))
        .route(
            "/orders/{id}/cancel",
            post(cancel).route_layer(keyed.clone()),
        )
        .route("/orders/{id}/refunds", post(give_back).route_layer(keyed))
        .route("/door-sales", post(sell_at_door).route_layer(at_door))
        .route("/check-ins", post(scan))
        .route("/ticket-keys", get(keys))
        .route("/tickets/{id}/qr.svg", get(svg))
        .route("/tickets/{id}/qr.png", get(png))
        .with_state(tickets)
}

static OBJECTS: Objects = Objects(&[
    ("Price", "price"),
    ("PlacedOrder", "placed_order"),
    ("AskedRefund", "asked_refund"),
    ("ScanResult", "scan_result"),
]);

#[derive(OpenApi)]
#[openapi(
    paths(price, order, cancel, give_back, sell_at_door, scan, keys, svg, png),
    modifiers(&OBJECTS)
)]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Price an order
///
/// Reserves nothing. `POST /orders` with the same body, sent now, orders at this price.
#[utoipa::path(post, path = "/orders/price", operation_id = "priceOrder", tag = "Orders", security(("bearer" = [])),
    request_body = Cart,
    responses(
        (status = 200, description = "The price", body = Price),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "The tickets can't be bought now: not on sale, too few left, limit per person, promo code, or the host can't take payments"),
        (status = 422, description = "A value is wrong"),
        (status = 429, description = "Too many wrong promo codes in a day")))]
async fn price(
    State(tickets): State<Tickets>,
    caller: Member,
    Sent(cart): Sent<Cart>,
) -> Result<Json<Price>> {
    tickets.few_enough(&cart)?;
    let (buyer, cart) = (&caller, &cart);
    let run = tickets
        .db
        .run(Tickets::NAME, Some(buyer), buyer.request_id, move |cx| {
            Box::pin(async move { Ok(cart::load(cx, buyer, cart, Sale::Online).await?.quote) })
        });
    let quote = tickets.with_code(buyer, cart, run).await?;
    let line = |line: &money::QuotedLine| PriceLine {
        ticket_type_id: line.line.ticket_type,
        quantity: line.line.quantity,
        unit_price_cents: line.line.unit_price.amount(),
        discount_cents: line.discount.amount(),
        total_cents: line.total.amount(),
    };
    Ok(Json(Price {
        currency: quote.total.currency().code().to_owned(),
        lines: quote.lines.iter().map(line).collect(),
        subtotal_cents: quote.subtotal.amount(),
        discount_cents: quote.discount.amount(),
        fee_cents: quote.total.amount() - quote.gross.amount(),
        amount_cents: quote.total.amount(),
        wallet_cents: quote.funds.wallet.amount(),
        card_cents: quote.funds.card.amount(),
    }))
}

/// Order tickets
///
/// Reserves the tickets until `expires_at`. If an amount is left to pay by card, pay it with
/// `POST /orders/{id}/payments`; otherwise the order is paid at once and has its tickets.
#[utoipa::path(post, path = "/orders", operation_id = "createOrder", tag = "Orders", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The same key buys once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = Cart,
    responses(
        (status = 201, description = "The order", body = PlacedOrder,
            headers(("Location" = String, description = "Path of the new object."))),
        (status = 400, description = "The key is missing"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "The tickets can't be bought now: sold out, not on sale, limit per person, promo code, \
            too few credits, the host can't take payments, or the same request is being worked on"),
        (status = 422, description = "A value is wrong, or the key belongs to another request"),
        (status = 429, description = "Too many wrong promo codes, or requests that move money, in a day")))]
async fn order(
    State(tickets): State<Tickets>,
    caller: Member,
    headers: HeaderMap,
    Sent(cart): Sent<Cart>,
) -> Result<Response> {
    let key = idempotency_key(&headers)?;
    let place = tickets.place(&caller, cart.clone(), key, Sale::Online);
    let placed = tickets.with_code(&caller, &cart, place).await?;
    Ok(created(placed))
}

fn created(placed: PlacedOrder) -> Response {
    let location = [(header::LOCATION, format!("/orders/{}", placed.id))];
    (StatusCode::CREATED, location, Json(placed)).into_response()
}

/// Cancel an order
///
/// Cancels a pending order and releases its tickets and credits. Only its buyer may do this. A payment that was begun
/// is cancelled as well; if its money arrives anyway, it is refunded in full.
#[utoipa::path(post, path = "/orders/{id}/cancel", operation_id = "cancelOrder", tag = "Orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the order"),
        ("Idempotency-Key" = String, Header, description = "The same key cancels once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    responses(
        (status = 200, description = "The order", body = PlacedOrder),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is not the buyer"),
        (status = 404, description = "There is no such order, or the caller may not see it"),
        (status = 409, description = "The order is no longer pending, or the same request is being worked on"),
        (status = 422, description = "The key belongs to another request")))]
async fn cancel(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
) -> Result<Answer> {
    let (order, claimed) = (id(&path)?, &claimed);
    let run = tickets
        .db
        .run(Tickets::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(async move {
                cx.require(&ORDER, "read", order).await?;
                if !cx.holds(&ORDER, "buyer", order).await? {
                    return Err(Error::forbidden());
                }
                if !settle::cancel(cx, order).await? {
                    return Err(Error::new(&problems::STATE)
                        .detail("Only a pending order can be cancelled."));
                }
                let answer = Answer::json(StatusCode::OK, &orders::shown(cx, order).await?)?;
                claimed.keep(cx, &answer).await?;
                Ok(answer)
            })
        });
    run.await
}

/// Refund tickets
///
/// Buyers may return unused tickets that they hold until the ticket type's `refundable_until`; staff of the event may
/// refund tickets at any time. The tickets are invalid at once and go back on sale. Credits are returned at once, a
/// card refund takes some days. For tickets that cost nothing no refund is recorded: `id` is null.
#[utoipa::path(post, path = "/orders/{id}/refunds", operation_id = "refundOrder", tag = "Orders", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the order"),
        ("Idempotency-Key" = String, Header, description = "The same key refunds once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = GiveBack,
    responses(
        (status = 201, description = "The refund", body = AskedRefund),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller is neither the buyer nor staff of the event"),
        (status = 404, description = "There is no such order, or the caller may not see it"),
        (status = 409, description = "Too late, tickets used or transferred, nothing left to refund, a disputed payment, or the same request is being worked on"),
        (status = 422, description = "A value is wrong, or the key belongs to another request")))]
async fn give_back(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
    claimed: Claimed,
    Sent(body): Sent<GiveBack>,
) -> Result<Answer> {
    tickets.give_back(&caller, id(&path)?, body, claimed).await
}

/// Sell tickets at the door
///
/// Records a cash sale, for administrators of the host: the order is paid at once. Limits per person and sales periods don't
/// apply. Credits can't be used: `use_credits` is false or left out, `credits_max_cents` is left out.
#[utoipa::path(post, path = "/door-sales", operation_id = "sellAtDoor", tag = "Orders", security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "The same key sells once", min_length = 16, max_length = 255, pattern = "^[!-~]+$")),
    request_body = Cart,
    responses(
        (status = 201, description = "The order, with its tickets", body = PlacedOrder,
            headers(("Location" = String, description = "Path of the new object."))),
        (status = 400, description = "The key is missing"),
        (status = 403, description = "The caller does not administer the host"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "Sold out, promo code refused, event not published, or the same request is being worked on"),
        (status = 422, description = "A value is wrong, or the key belongs to another request")))]
async fn sell_at_door(
    State(tickets): State<Tickets>,
    caller: Member,
    headers: HeaderMap,
    Sent(cart): Sent<Cart>,
) -> Result<Response> {
    cash_only(&cart)?;
    let event = cart.event_id;
    let run = tickets
        .db
        .run(Tickets::NAME, Some(&caller), caller.request_id, move |cx| {
            Box::pin(seller(cx, event))
        });
    run.await?;
    Ok(created(
        tickets
            .place(&caller, cart, idempotency_key(&headers)?, Sale::AtDoor)
            .await?,
    ))
}

/// Refuses a cart at the door that is to be paid with credits. The caller is the staff, and the guest's wallet is not known.
fn cash_only(cart: &Cart) -> Result<()> {
    let asked = [
        ("/use_credits", cart.use_credits == Some(true)),
        ("/credits_max_cents", cart.credits_max_cents.is_some()),
    ];
    let wrong: Vec<Item> = asked
        .into_iter()
        .filter(|(_, is_asked)| *is_asked)
        .map(|(pointer, _)| {
            Item::body(
                pointer,
                "forbidden",
                "must be left out: only cash is taken at the door",
            )
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let error = Error::new(&problems::INVALID);
    Err(wrong.into_iter().fold(error, Error::item))
}

/// Scan a ticket
///
/// Checks a ticket at the door or at a checkpoint, for staff of the event. `result` says whether to admit the holder,
/// or why not; every scan is recorded. Send `at` for a scan made offline. A repeated `nonce` returns the same result.
#[utoipa::path(post, path = "/check-ins", operation_id = "scanTicket", tag = "Check ins", security(("bearer" = [])),
    request_body = Scan,
    responses(
        (status = 200, description = "The result of the scan", body = ScanResult),
        (status = 403, description = "The caller does not run the event"),
        (status = 404, description = "There is no such event, or the caller may not see it"),
        (status = 409, description = "Another scan with this nonce is being worked on"),
        (status = 422, description = "A value is wrong")))]
async fn scan(
    State(tickets): State<Tickets>,
    caller: Member,
    Sent(scan): Sent<Scan>,
) -> Result<Json<ScanResult>> {
    tickets.scan(&caller, scan).await.map(Json)
}

/// List ticket keys
///
/// Public keys for offline scanners: a code is genuine if one of these keys has signed it. The layout of a code is in
/// the documentation.
#[utoipa::path(get, path = "/ticket-keys", operation_id = "listTicketKeys", tag = "Tickets", security(()),
    responses((status = 200, description = "The keys", body = TicketKeyList)))]
async fn keys(State(tickets): State<Tickets>) -> Json<TicketKeyList> {
    let key = |key: &super::code::PublicKey| TicketKey {
        kid: key.id.iter().map(|byte| format!("{byte:02x}")).collect(),
        public_key: URL_SAFE_NO_PAD.encode(&key.bytes),
    };
    Json(TicketKeyList {
        data: tickets.keys.believed().iter().map(key).collect(),
    })
}

/// Get the QR code of a ticket as SVG
///
/// Only for the ticket's holder.
#[utoipa::path(get, path = "/tickets/{id}/qr.svg", operation_id = "getTicketQrSvg", tag = "Tickets", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the ticket")),
    responses(
        (status = 200, description = "The QR code", content_type = "image/svg+xml", body = String),
        (status = 404, description = "There is no such ticket, or the caller does not hold it")))]
async fn svg(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let picture = qr::svg(&tickets.code(&caller, id(&path)?).await?)?;
    Ok((picture_headers("image/svg+xml"), picture).into_response())
}

/// Get the QR code of a ticket as PNG
///
/// Only for the ticket's holder.
#[utoipa::path(get, path = "/tickets/{id}/qr.png", operation_id = "getTicketQrPng", tag = "Tickets", security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "Of the ticket")),
    responses(
        (status = 200, description = "The QR code", content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "There is no such ticket, or the caller does not hold it")))]
async fn png(
    State(tickets): State<Tickets>,
    caller: Member,
    Path(path): Path<String>,
) -> Result<Response> {
    let picture = qr::png(&tickets.code(&caller, id(&path)?).await?)?;
    Ok((picture_headers("image/png"), picture).into_response())
}

fn picture_headers(kind: &'static str) -> [(header::HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ]
}

impl Tickets {
    /// The code of a ticket that the caller holds, or of one sold at the door of an event that the caller runs.
    async fn code(&self, caller: &Member, ticket: Uuid) -> Result<String> {
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    if !cx.holds(&TICKET, "bearer", ticket).await? {
                        return Err(Error::not_found());
                    }
                    let code = sqlx::query_scalar("select code from app.tickets where id = $1")
                        .bind(ticket);
                    Ok(code.fetch_one(cx.conn()).await?)
                })
            });
        run.await
    }
}
