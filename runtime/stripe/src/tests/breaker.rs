//! While Stripe does not answer, calls are refused at once, and a single call at a time checks whether it answers
//! again.

use super::script::{Script, Step, error, key, reply, settings};
use crate::{Settings, StripeGateway, TransportFailure};
use gateway::{Currency, Failure, Gateway, NewPayment, Payment};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

const REFUSING: Duration = Duration::from_secs(15);

/// A client with one attempt a call, whose breaker opens after three consecutive attempts without an answer.
fn gateway(steps: impl IntoIterator<Item = Step>) -> (Arc<Script>, Arc<StripeGateway>) {
    let script = Script::new(steps);
    let settings = Settings {
        attempts: 1,
        failures_in_a_row: 3,
        refusing: REFUSING,
        ..settings()
    };
    let gateway = StripeGateway::over(settings, script.clone());
    (script, Arc::new(gateway))
}

async fn create(gateway: &StripeGateway, with: &str) -> Result<Payment, Failure> {
    let new = NewPayment::new(2500, Currency::new("AUD").unwrap());
    gateway.create_payment(&key(with), &new).await
}

fn silent() -> Step {
    Step::Fail(TransportFailure::TimedOut)
}

#[tokio::test(start_paused = true)]
async fn abuse_69_a_service_that_is_away_is_not_waited_for_by_everybody() {
    let steps = [
        silent(),
        Step::Fail(TransportFailure::Refused),
        silent(),
        Step::Stall(Duration::from_secs(1)),
        Step::Work,
    ];
    let (script, gateway) = gateway(steps);
    for n in 0..3 {
        let failure = create(&gateway, &format!("away_{n}")).await.unwrap_err();
        assert!(!matches!(failure, Failure::Definite(_)), "{failure:?}");
    }
    // Nothing is sent, the call does not wait, and the failure tells how long to wait.
    let begin = Instant::now();
    for n in 0..1_000 {
        let refused = create(&gateway, &format!("refused_{n}")).await;
        let Err(Failure::Retryable { after: Some(after) }) = refused else {
            panic!("{refused:?}");
        };
        assert!(after <= REFUSING && after > Duration::ZERO);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(script.seen().len(), 3);

    // Of the concurrent calls that follow only one is let through; its answer lets all later calls through.
    tokio::time::advance(REFUSING).await;
    let mut crowd = JoinSet::new();
    for n in 0..50 {
        let gateway = Arc::clone(&gateway);
        crowd.spawn(async move { create(&gateway, &format!("crowd_{n}")).await.is_ok() });
    }
    let answered = crowd.join_all().await.into_iter();
    assert_eq!(answered.filter(|answered| *answered).count(), 1);
    assert_eq!(script.seen().len(), 4);
    create(&gateway, "after").await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn abuse_69_the_one_that_is_let_through_may_fail_or_be_forgotten() {
    let steps = [
        silent(),
        silent(),
        silent(),
        silent(),
        Step::Stall(Duration::from_secs(3600)),
        Step::Work,
        Step::Work,
    ];
    let (script, gateway) = gateway(steps);
    for n in 0..3 {
        create(&gateway, &format!("away_{n}")).await.unwrap_err();
    }
    // This call is not answered either.
    tokio::time::advance(REFUSING).await;
    create(&gateway, "probe").await.unwrap_err();
    create(&gateway, "refused").await.unwrap_err();
    assert_eq!(script.seen().len(), 4);
    // The caller drops the call before there is an answer; other calls are refused meanwhile.
    tokio::time::advance(REFUSING).await;
    let begun = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { create(&gateway, "forgotten").await })
    };
    while script.seen().len() < 5 {
        tokio::task::yield_now().await;
    }
    begun.abort();
    create(&gateway, "refused").await.unwrap_err();
    assert_eq!(script.seen().len(), 5);
    // The next call is let through after a pause of the same length.
    tokio::time::advance(REFUSING).await;
    create(&gateway, "next").await.expect("answered");
    create(&gateway, "after").await.expect("answered");
}

/// Refusals, too many requests and a stored 500 are answers: Stripe is reachable.
#[tokio::test(start_paused = true)]
async fn abuse_69_answers_that_nobody_likes_are_answers() {
    let kept = || reply(500, "{}", &[("Idempotent-Replayed", "true")]);
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.push(Step::Reply(kept()));
        steps.push(error(402, "card_error", "card_declined"));
        steps.push(error(429, "rate_limit", "rate_limit"));
        // At most two consecutive attempts without an answer.
        steps.extend([silent(), silent(), Step::Work]);
    }
    let count = steps.len();
    let (script, gateway) = gateway(steps);
    for n in 0..count {
        let _ = create(&gateway, &format!("call_{n}")).await;
    }
    assert_eq!(script.seen().len(), count);
}
