//! How an attempt is classified, when there is another attempt, and that all attempts with the same key have one
//! effect.

use super::{
    objects,
    script::{Script, Step, error, key, ok, reply, settings},
};
use crate::{Exchange, Settings, StripeGateway, TransportFailure};
use gateway::{Ambiguity, Currency, Failure, Gateway, NewPayment, Payment};
use std::{sync::Arc, time::Duration};
use stripe_client_core::{RequestStrategy, StripeRequest};
use stripe_core::payment_intent::CreatePaymentIntent;
use tokio::time::Instant;

fn new_payment() -> NewPayment {
    NewPayment::new(2500, Currency::new("AUD").unwrap())
}

async fn create(script: &Arc<Script>, with: &str) -> Result<Payment, Failure> {
    script
        .gateway()
        .create_payment(&key(with), &new_payment())
        .await
}

/// A client with a single attempt, so that each failure's class is visible.
async fn class(step: Step) -> Result<Payment, Failure> {
    let script = Script::new([step]);
    let settings = Settings {
        attempts: 1,
        ..settings()
    };
    let gateway = StripeGateway::over(settings, script.clone());
    gateway.create_payment(&key("k"), &new_payment()).await
}

fn ambiguous(why: Ambiguity) -> Failure {
    Failure::Ambiguous {
        why,
        replayed: false,
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_has_its_class() {
    for status in [400, 401, 402, 403, 404] {
        let failure = class(error(status, "invalid_request_error", "nope"))
            .await
            .unwrap_err();
        let refusal = failure.refusal().expect("definite");
        assert_eq!(refusal.http_status, Some(status));
        assert_eq!(refusal.code.as_deref(), Some("nope"));
        assert_eq!(refusal.request_id.as_deref(), Some("req_1"));
    }
    let other_body = class(error(400, "idempotency_error", ""))
        .await
        .unwrap_err();
    assert_eq!(
        other_body.refusal().expect("definite").kind,
        "idempotency_error"
    );

    for status in [409, 429] {
        let failure = class(error(status, "idempotency_error", "in_use")).await;
        assert_eq!(failure, Err(Failure::Retryable { after: None }), "{status}");
    }
    let refused = class(Step::Fail(TransportFailure::Refused)).await;
    assert_eq!(refused, Err(Failure::Retryable { after: None }));

    for (step, why) in [
        (error(500, "api_error", ""), Ambiguity::ServerError(500)),
        (error(503, "api_error", ""), Ambiguity::ServerError(503)),
        (error(424, "api_error", ""), Ambiguity::ServerError(424)),
        (Step::Fail(TransportFailure::TimedOut), Ambiguity::TimedOut),
        (Step::Fail(TransportFailure::Broken), Ambiguity::Broken),
        (Step::Stall(Duration::from_secs(31)), Ambiguity::TimedOut),
        (
            Step::Reply(reply(200, r#"{"id":"pi_1","obj"#, &[])),
            Ambiguity::Undecodable,
        ),
        (
            Step::Reply(reply(200, "<html>", &[])),
            Ambiguity::Undecodable,
        ),
        (Step::Reply(reply(200, "{}", &[])), Ambiguity::Undecodable),
        (Step::Reply(reply(302, "", &[])), Ambiguity::Undecodable),
        // A proxy's answer, not Stripe's.
        (
            Step::Reply(reply(404, "not found", &[])),
            Ambiguity::Undecodable,
        ),
    ] {
        assert_eq!(class(step).await, Err(ambiguous(why)), "{why:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_got_by_the_same_key() {
    for lost in [
        Step::Fail(TransportFailure::Broken),
        Step::Fail(TransportFailure::TimedOut),
        Step::Stall(Duration::from_secs(60)),
        Step::Reply(reply(200, "{", &[])),
        error(502, "api_error", ""),
    ] {
        let script = Script::new([Step::DoneBut(Box::new(lost)), Step::Work]);
        let payment = create(&script, "pi:o1:1").await.unwrap();
        assert_eq!((payment.id.as_str(), script.created()), ("pi_1", 1));
        let seen = script.seen();
        assert_eq!(seen[0], seen[1], "the same key and the same bytes");
        assert_eq!(seen[0].header("idempotency-key"), Some("pi:o1:1"));
    }

    // Control: a caller who generates a new key after the lost answer pays twice.
    let lost = Step::DoneBut(Box::new(Step::Fail(TransportFailure::Broken)));
    let script = Script::new([lost, Step::Work]);
    let gateway = StripeGateway::over(
        Settings {
            attempts: 1,
            ..settings()
        },
        script.clone(),
    );
    let first = gateway
        .create_payment(&key("random-1"), &new_payment())
        .await;
    assert_eq!(first, Err(ambiguous(Ambiguity::Broken)));
    gateway
        .create_payment(&key("random-2"), &new_payment())
        .await
        .unwrap();
    assert_eq!(script.created(), 2);
}

#[tokio::test]
async fn nothing_is_changed_without_a_key_of_the_callers() {
    let script = Script::new([]);
    let client = script.client();
    let request = CreatePaymentIntent::new(1_i64, stripe_types::Currency::AUD);
    let failure = client.read(request.clone()).await.unwrap_err();
    let code = |failure: &Failure| failure.refusal().and_then(|refusal| refusal.code.clone());
    assert_eq!(code(&failure).as_deref(), Some("missing_idempotency_key"));

    // The library's other strategies generate a key, or send none.
    for strategy in [
        RequestStrategy::Once,
        RequestStrategy::Retry(3),
        RequestStrategy::ExponentialBackoff(3),
    ] {
        let sent = request
            .customize()
            .request_strategy(strategy)
            .send(&client)
            .await;
        let failure = sent.unwrap_err().0;
        assert_eq!(code(&failure).as_deref(), Some("missing_idempotency_key"));
    }
    let cancel = stripe_billing::subscription::CancelSubscription::new("sub_1");
    assert!(client.read(cancel).await.is_err());
    assert_eq!(script.seen().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_is_not_removed_by_what_comes_after() {
    let broken = || Step::Fail(TransportFailure::Broken);
    // Neither "too many requests" nor "unauthorized" tells the result of the first attempt.
    for later in [
        [
            error(429, "invalid_request_error", ""),
            error(429, "", ""),
            error(429, "", ""),
        ],
        [
            Step::Fail(TransportFailure::Refused),
            error(409, "", ""),
            Step::Fail(TransportFailure::Refused),
        ],
        [
            error(429, "", ""),
            error(429, "", ""),
            error(401, "invalid_request_error", ""),
        ],
    ] {
        let script = Script::new([broken()].into_iter().chain(later));
        assert_eq!(
            create(&script, "k").await,
            Err(ambiguous(Ambiguity::Broken))
        );
    }
    // A refusal by the endpoint does tell it: with the same key it is the stored answer of the first attempt.
    let script = Script::new([broken(), error(402, "card_error", "card_declined")]);
    let failure = create(&script, "k").await.unwrap_err();
    assert_eq!(
        failure.refusal().unwrap().code.as_deref(),
        Some("card_declined")
    );

    // Not for a DELETE, which has no stored answer: the object is missing because the first attempt succeeded.
    let script = Script::new([
        broken(),
        error(404, "invalid_request_error", "resource_missing"),
    ]);
    let failure = script
        .gateway()
        .cancel_subscription_now(&key("k"), "sub_1")
        .await;
    assert_eq!(failure, Err(ambiguous(Ambiguity::Broken)));
    let script = Script::new([error(404, "invalid_request_error", "resource_missing")]);
    let failure = script
        .gateway()
        .cancel_subscription_now(&key("k"), "sub_1")
        .await;
    assert!(failure.unwrap_err().is_missing());
}

#[tokio::test(start_paused = true)]
async fn a_stored_error_is_not_asked_for_again() {
    let body = r#"{"error":{"type":"api_error"}}"#;
    let replayed = reply(500, body, &[("Idempotent-Replayed", "true")]);
    let script = Script::new([error(500, "api_error", ""), Step::Reply(replayed)]);
    let failure = create(&script, "k").await.unwrap_err();
    let why = Ambiguity::ServerError(500);
    assert_eq!(
        failure,
        Failure::Ambiguous {
            why,
            replayed: true
        }
    );
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_time_are_bounded() {
    let script = Script::new((0..9).map(|_| error(500, "api_error", "")));
    assert!(create(&script, "k").await.is_err());
    assert_eq!(script.seen().len(), 4);

    let begin = Instant::now();
    let script = Script::new((0..9).map(|_| Step::Stall(Duration::from_secs(3600))));
    assert_eq!(
        create(&script, "k").await,
        Err(ambiguous(Ambiguity::TimedOut))
    );
    assert_eq!(script.seen().len(), 3);
    assert!(begin.elapsed() <= settings().total_timeout);

    // The requested pause is longer than the remaining time.
    let later = reply(429, "{}", &[("Retry-After", "600")]);
    let script = Script::new([Step::Reply(later)]);
    let after = Some(Duration::from_secs(600));
    assert_eq!(
        create(&script, "k").await,
        Err(Failure::Retryable { after })
    );

    let begin = Instant::now();
    let soon = reply(429, "{}", &[("Retry-After", "20")]);
    let script = Script::new([Step::Reply(soon), Step::Work]);
    assert!(create(&script, "k").await.is_ok());
    assert!(begin.elapsed() >= Duration::from_secs(20));

    let never = reply(500, "{}", &[("Stripe-Should-Retry", "false")]);
    let script = Script::new([Step::Reply(never)]);
    assert_eq!(
        create(&script, "k").await,
        Err(ambiguous(Ambiguity::ServerError(500)))
    );
}

#[tokio::test]
async fn a_request_says_who_and_which_version() {
    let script = Script::new([Step::Reply(ok(&objects::payment("pi_1")))]);
    script.gateway().payment("pi_1").await.unwrap();
    let request = &script.seen()[0];
    assert_eq!(
        request.header("authorization"),
        Some("Bearer sk_test_secret")
    );
    assert_eq!(request.header("stripe-version"), Some("2026-09-30.endive"));
    assert_eq!(request.header("idempotency-key"), None);
    assert_eq!(request.path(), "/v1/payment_intents/pi_1");
    for shown in [format!("{request:?}"), format!("{:?}", settings())] {
        assert!(!shown.contains("sk_test"), "{shown}");
    }
}

#[tokio::test]
async fn an_id_can_not_reach_another_path() {
    let script = Script::new([]);
    for id in [
        "",
        "../accounts",
        "pi_1/cancel",
        "pi_1?x=1",
        "pi_1%2fcancel",
        "pi 1",
    ] {
        let failure = script.gateway().payment(id).await.unwrap_err();
        assert_eq!(
            failure.refusal().unwrap().code.as_deref(),
            Some("malformed_id"),
            "{id}"
        );
    }
    let header = script.gateway().balance(Some("acct_1\r\nx: y")).await;
    assert!(header.is_err());
    assert_eq!(script.seen().len(), 0);
}

#[tokio::test]
async fn a_secret_key_with_a_line_end_is_said_and_not_sent() {
    for secret in ["", "sk_test_1\n"] {
        let script = Script::new([]);
        let settings = Settings {
            secret_key: secret.to_owned().into(),
            ..settings()
        };
        let gateway = StripeGateway::over(settings, script);
        let failure = gateway.payment("pi_1").await.unwrap_err();
        let code = failure.refusal().unwrap().code.as_deref();
        assert_eq!(code, Some("malformed_secret_key"));
    }
}

#[tokio::test]
#[should_panic(expected = "a database transaction is open")]
async fn no_transaction_is_open_during_a_call() {
    let script: Arc<dyn Exchange> = Script::new([Step::Work]);
    let settings = Settings {
        in_transaction: || true,
        ..settings()
    };
    let _ = StripeGateway::over(settings, script).payment("pi_1").await;
}
