//! Calls to the real service in its test mode, which check that the scripts and the fake answer as the real service
//! does.
//!
//! `STRIPE_SECRET_KEY=sk_test_… cargo test -p stripe-gateway smoke -- --nocapture`. Without a key the test says so and
//! does nothing. `STRIPE_URL` tests another server that stands in for Stripe.

use super::calls::aud;
use crate::{Settings, StripeGateway};
use gateway::*;
use url::Url;

fn service() -> Option<StripeGateway> {
    let key = std::env::var("STRIPE_SECRET_KEY").ok()?;
    assert!(
        key.starts_with("sk_test_") || key.starts_with("rk_test_"),
        "STRIPE_SECRET_KEY moves real money; this wants a key of the test mode"
    );
    let url = std::env::var("STRIPE_URL").unwrap_or_else(|_| Settings::BASE_URL.to_owned());
    let url = Url::parse(&url).expect("STRIPE_URL");
    Some(StripeGateway::new(Settings::new(key.into(), url)).expect("a client"))
}

/// A key that is the same for the same step of a run, and differs between runs.
fn key(run: i64, step: &str) -> Key {
    Key::new(format!("smoke:{run}:{step}")).expect("a key")
}

#[tokio::test]
async fn smoke_the_real_service_does_what_the_product_relies_on() {
    let Some(service) = service() else {
        eprintln!("SKIPPED: there is no STRIPE_SECRET_KEY");
        return;
    };
    let began = chrono::Utc::now();
    let run = began.timestamp_millis();
    let order = ("order_id".to_owned(), format!("smoke-{run}"));
    let customer = NewCustomer {
        metadata: Metadata::from([order.clone()]),
        ..NewCustomer::default()
    };
    let customer = service
        .create_customer(&key(run, "customer"), &customer)
        .await;
    let customer = customer.expect("a customer").id;

    let mut new = NewPayment::new(1500, aud());
    new.customer = Some(customer.clone());
    new.payment_method = Some("pm_card_visa".to_owned());
    new.confirm = true;
    new.return_url = Some("https://example.org/back".to_owned());
    new.metadata = Metadata::from([order.clone()]);
    let made = service.create_payment(&key(run, "payment"), &new).await;
    let made = made.expect("a payment");
    assert_eq!(made.status, PaymentStatus::Succeeded);
    assert!(!made.livemode);
    // The same key charges only once, and is bound to this request.
    let again = service.create_payment(&key(run, "payment"), &new).await;
    assert_eq!(again.expect("the same").id, made.id);
    let mut other = new.clone();
    other.amount = 1600;
    let refused = service.create_payment(&key(run, "payment"), &other).await;
    let refused = refused.expect_err("the key is used up");
    let refusal = refused.refusal().expect("refused");
    assert_eq!(refusal.kind, "idempotency_error");
    let query = FindPayments {
        metadata: order,
        customer: Some(customer.clone()),
        created_since: began - chrono::TimeDelta::minutes(5),
        created_until: None,
    };
    let found = service.find_payments(&query).await.expect("a list");
    assert_eq!(found.len(), 1);

    let refund = NewRefund {
        payment: made.id.clone(),
        amount: 500,
        reverse_transfer: false,
        refund_application_fee: false,
        metadata: Metadata::from([("refund_id".to_owned(), run.to_string())]),
    };
    let refunded = service.create_refund(&key(run, "refund"), &refund).await;
    assert_eq!(refunded.expect("a refund").amount, 500);
    let read = service.payment(&made.id).await.expect("the payment");
    assert_eq!(read.amount_refunded, Some(500));

    new.payment_method = Some("pm_card_chargeDeclined".to_owned());
    let declined = service.create_payment(&key(run, "declined"), &new).await;
    let declined = declined.expect_err("no money");
    let refusal = declined.refusal().expect("refused");
    assert_eq!(refusal.kind, "card_error");
    assert_eq!(refusal.decline_code.as_deref(), Some("generic_decline"));
}
