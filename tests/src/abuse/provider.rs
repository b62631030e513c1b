//! Case 69: a payment service whose answers are too large, invalid, missing, or redirects.

use crate::{money::stage::Stage, support::stripe::Stripe};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fake_stripe::fault::{Fault, Kind};
use gateway::{Currency, Failure, Gateway, Key, NewPayment};
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use stripe_gateway::{Settings, StripeGateway};
use tokio::net::TcpListener;

/// More than the maximum size of an answer.
const TOO_MUCH: usize = 10 << 20;

const ATTEMPTS: u32 = 3;

/// The kinds of misbehaviour.
#[derive(Clone, Copy, Debug)]
enum Manner {
    TooMuch,
    Garbage,
    HalfJson,
    WrongShape,
    Error,
    Silence,
    Redirect(u16),
    /// A valid answer, for the negative control.
    Good,
}

#[derive(Clone)]
struct Service {
    manner: Manner,
    calls: Arc<AtomicU32>,
    keys: Arc<Mutex<Vec<String>>>,
    elsewhere: String,
}

async fn answer(State(service): State<Service>, headers: axum::http::HeaderMap) -> Response {
    service.calls.fetch_add(1, SeqCst);
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    service
        .keys
        .lock()
        .expect("keys")
        .push(key.unwrap_or_default().to_owned());
    let json = |text: String| ([(header::CONTENT_TYPE, "application/json")], text).into_response();
    match service.manner {
        Manner::TooMuch => json(format!("{{\"id\": \"{}\"}}", "x".repeat(TOO_MUCH))),
        Manner::Garbage => "<html>What?</html>".into_response(),
        Manner::HalfJson => json("{\"id\": \"pi_1\", \"obj".to_owned()),
        Manner::WrongShape => json("{\"id\": [], \"object\": \"teapot\"}".to_owned()),
        Manner::Error => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        Manner::Silence => std::future::pending().await,
        Manner::Redirect(status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [(header::LOCATION, service.elsewhere)]).into_response()
        }
        Manner::Good => json(
            "{\"object\": \"balance\", \"available\": [], \"pending\": [], \"livemode\": false}"
                .to_owned(),
        ),
    }
}

/// Starts such a service, which counts calls. Returns it with its base URL.
async fn serve(manner: Manner, elsewhere: String) -> (Service, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let service = Service {
        manner,
        calls: Arc::default(),
        keys: Arc::default(),
        elsewhere,
    };
    let router = Router::new().fallback(answer).with_state(service.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (service, base)
}

fn gateway(base: &str) -> StripeGateway {
    let mut settings = Settings::new(
        "sk_test_manners".to_owned().into(),
        base.parse().expect("a URL"),
    );
    settings.attempts = ATTEMPTS;
    settings.attempt_timeout = Duration::from_millis(400);
    settings.total_timeout = Duration::from_secs(20);
    (settings.first_pause, settings.longest_pause) =
        (Duration::from_millis(1), Duration::from_millis(5));
    StripeGateway::new(settings).expect("a client")
}

#[tokio::test]
async fn abuse_69_answers_of_bad_manners_are_bounded_and_never_taken_for_one() {
    let (elsewhere, other) = serve(Manner::Good, String::new()).await;
    let manners = [
        Manner::TooMuch,
        Manner::Garbage,
        Manner::HalfJson,
        Manner::WrongShape,
        Manner::Error,
        Manner::Silence,
        Manner::Redirect(301),
        Manner::Redirect(302),
        Manner::Redirect(307),
        Manner::Redirect(308),
    ];
    for manner in manners {
        let (service, base) = serve(manner, format!("{other}/v1/payment_intents")).await;
        let key = Key::new("of-one-payment").expect("a key");
        let new = NewPayment::new(4_500, Currency::new("aud").expect("a currency"));
        let begun = Instant::now();
        let failure = gateway(&base)
            .create_payment(&key, &new)
            .await
            .expect_err("no payment");
        // It is unknown whether the payment was made; the gateway must not conclude that it was refused.
        assert!(
            !matches!(failure, Failure::Definite(_)),
            "{manner:?}: {failure:?}"
        );
        // A generous bound, which only notices hanging.
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{manner:?} hangs"
        );
        let calls = service.calls.load(SeqCst);
        assert!((1..=ATTEMPTS).contains(&calls), "{manner:?}: {calls} calls");
        let keys = service.keys.lock().expect("keys").clone();
        assert!(keys.iter().all(|key| key == "of-one-payment"), "{keys:?}");
    }
    assert_eq!(
        elsewhere.calls.load(SeqCst),
        0,
        "a redirect was followed, with the secret key"
    );
    // The negative control: the same client accepts a valid answer.
    gateway(&other).balance(None).await.expect("a balance");
}

/// Buyers are told that the result is unknown, the order stays pending, and everything else works.
#[tokio::test]
async fn abuse_69_a_service_of_bad_manners_holds_nobody_up() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    for manner in [Kind::Malformed, Kind::Stall { seconds: 30 }, Kind::Away] {
        stage.stripe.fake.add_fault(Fault::new(manner));
        let body = json!({"payment_method_id": card});
        // More concurrent requests than there are database connections.
        let all = (0..8).map(|_| stage.pay(&stage.mira, &order, body.clone()));
        let path = format!("/orders/{order}");
        let (answers, shown) = tokio::join!(
            futures_util::future::join_all(all),
            stage.mira.client.get(&path),
        );
        shown.expect(200);
        for answer in answers {
            assert_eq!(answer.status, 503, "{manner:?}: {}", answer.text);
            assert_eq!(answer.problem(), "payment-provider-unavailable");
            assert!(answer.header("retry-after").is_some());
        }
        assert_eq!(stage.state(&order).await, "pending");
        stage.stripe.fake.clear_faults();
    }
    let before = stage.stripe.fake.all("charges").len();
    stage.stripe.deliver(&stage.server).await;
    stage
        .payments()
        .reconcile_all(uuid::Uuid::now_v7())
        .await
        .expect("a run");
    if stage.state(&order).await == "pending" {
        let body = json!({"payment_method_id": card});
        stage.pay(&stage.mira, &order, body).await.expect(200);
    }
    assert_eq!(stage.state(&order).await, "paid");
    assert!(stage.stripe.fake.all("charges").len() <= before + 1);
    assert_eq!(
        stage
            .number("select count(*) from app.transactions where status = 'succeeded'")
            .await,
        1
    );
    stage.stripe.deliver(&stage.server).await;
    stage.books_agree().await;
}

/// While the service is unreachable, payments are refused at once without calling it; everything else works.
#[tokio::test]
async fn abuse_69_a_service_that_is_away_is_left_alone_for_a_while() {
    let stripe = Stripe::new(7);
    let gateway = stripe.gateway_that_refuses_after(6);
    let stage = Stage::at(stripe, true, |parts| {
        parts.provider.as_mut().expect("a provider").gateway = gateway;
    })
    .await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let placed = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = placed.expect(201).id();
    // The service would answer the seventh attempt.
    let away = Fault {
        times: Some(6),
        ..Fault::new(Kind::Away)
    };
    stage.stripe.fake.add_fault(away);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let answer = stage.pay(&stage.mira, &order, json!({})).await;
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert_eq!(answer.problem(), "payment-provider-unavailable");
        waits.push(answer.header("retry-after").expect("when").to_owned());
        let path = format!("/orders/{order}");
        stage.mira.client.get(&path).await.expect(200);
    }
    assert!(stage.stripe.fake.all("payment_intents").is_empty());
    // The `Retry-After` is as long as calls are refused: more than the few seconds after a single failure.
    let longest = waits
        .iter()
        .filter_map(|wait| wait.parse::<u64>().ok())
        .max();
    assert!(longest > Some(5), "{waits:?}");
    assert_eq!(stage.state(&order).await, "pending");
    stage.sound().await;
}
