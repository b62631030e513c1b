//! The effects of refunds, captures and disputes on the books.

use crate::support::*;
use fake_stripe::Fake;

#[test]
fn refunds() {
    let fake = Fake::default();
    let intent = id(&pay(&fake, "1000", "pm_card_visa"));
    let refund = post(
        &fake,
        "/v1/refunds",
        &[("payment_intent", &intent), ("amount", "300")],
    );
    assert_eq!(refund["status"], "succeeded");
    let charge = text(&refund["charge"]);
    let (status, code) = refused(
        &fake,
        "/v1/refunds",
        &[("charge", &charge), ("amount", "701")],
    );
    assert_eq!((status, code.as_str()), (400, "amount_too_large"));
    post(&fake, "/v1/refunds", &[("charge", &charge)]);
    let again = refused(&fake, "/v1/refunds", &[("charge", &charge)]);
    assert_eq!(again, (400, "charge_already_refunded".to_owned()));
    let after = get(&fake, &format!("/v1/charges/{charge}"));
    assert_eq!(
        (
            after["amount_refunded"].as_i64(),
            after["refunded"].as_bool()
        ),
        (Some(1000), Some(true))
    );
    let books = &fake.books()["usd"];
    assert_eq!(
        (books.captured, books.refunded, books.accounts["platform"]),
        (1000, 1000, 0)
    );
    sound(&fake);
}

#[test]
fn pending_and_failing_refunds() {
    let fake = Fake::default();
    let pending = id(&pay(&fake, "1000", "pm_card_pendingRefund"));
    let failing = id(&pay(&fake, "500", "pm_card_refundFail"));
    let first = post(&fake, "/v1/refunds", &[("payment_intent", &pending)]);
    let second = post(&fake, "/v1/refunds", &[("payment_intent", &failing)]);
    assert_eq!(
        (text(&first["status"]), text(&second["status"])),
        ("pending".into(), "succeeded".into())
    );
    assert_eq!(fake.books()["usd"].refunds_pending, 1000);
    sound(&fake);
    fake.advance(60);
    let status = |refund: &serde_json::Value| {
        text(&get(&fake, &format!("/v1/refunds/{}", id(refund)))["status"])
    };
    assert_eq!(
        (status(&first), status(&second)),
        ("succeeded".into(), "failed".into())
    );
    let books = &fake.books()["usd"];
    assert_eq!(
        (
            books.refunds_pending,
            books.refunded,
            books.accounts["platform"]
        ),
        (0, 1000, 500)
    );
    for kind in ["refund.updated", "refund.failed"] {
        assert!(events(&fake).contains(&kind.to_owned()), "{kind}");
    }
    sound(&fake);
}

#[test]
fn authorized_first_and_captured_in_part() {
    let fake = Fake::default();
    let authorize = || {
        let fields = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("capture_method", "manual"),
        ];
        let intent = post(&fake, "/v1/payment_intents", &fields);
        assert_eq!(
            (&intent["status"], &intent["amount_capturable"]),
            (&"requires_capture".into(), &1000.into())
        );
        id(&intent)
    };
    let intent = authorize();
    assert!(fake.books().is_empty());
    let fields = [("amount_to_capture", "600")];
    let captured = post(
        &fake,
        &format!("/v1/payment_intents/{intent}/capture"),
        &fields,
    );
    assert_eq!(
        (&captured["status"], &captured["amount_received"]),
        (&"succeeded".into(), &600.into())
    );
    assert_eq!(fake.books()["usd"].captured, 600);
    let left = authorize();
    fake.advance(8 * 24 * 3600);
    assert_eq!(
        get(&fake, &format!("/v1/payment_intents/{left}"))["status"],
        "canceled"
    );
    sound(&fake);
}

#[test]
fn disputes() {
    for won in [true, false] {
        let fake = Fake::default();
        let intent = pay(&fake, "1000", "pm_card_createDispute");
        let dispute = get(
            &fake,
            &format!("/v1/disputes?payment_intent={}", id(&intent)),
        );
        let dispute = id(&dispute["data"][0]);
        let held = &fake.books()["usd"];
        assert_eq!(
            (held.disputed, held.disputes_held, held.accounts["platform"]),
            (1000, 1000, 0)
        );
        let refund = refused(&fake, "/v1/refunds", &[("payment_intent", &id(&intent))]);
        assert_eq!(refund, (400, "charge_disputed".to_owned()));
        let evidence = if won {
            "winning_evidence"
        } else {
            "losing_evidence"
        };
        let fields = [("evidence[uncategorized_text]", evidence)];
        let after = post(&fake, &format!("/v1/disputes/{dispute}"), &fields);
        assert_eq!(after["status"], if won { "won" } else { "lost" });
        let books = &fake.books()["usd"];
        let (lost, left) = if won { (0, 1000) } else { (1000, 0) };
        assert_eq!(
            (
                books.disputes_held,
                books.disputes_lost,
                books.accounts["platform"]
            ),
            (0, lost, left)
        );
        assert!(fake.close_dispute(&dispute, true).is_err());
        sound(&fake);
    }
}

#[test]
fn a_bank_that_asks_takes_nothing() {
    let fake = Fake::default();
    pay(&fake, "1000", "pm_card_createDisputeInquiry");
    assert_eq!(fake.books()["usd"].disputed, 0);
    let inquiry = &fake.all("disputes")[0];
    assert_eq!(inquiry["status"], "warning_needs_response");
    assert_eq!(
        fake.close_dispute(&id(inquiry), false).unwrap()["status"],
        "warning_closed"
    );
    sound(&fake);
}

#[test]
fn stripe_takes_its_fee() {
    let config = fake_stripe::Config {
        fee_bps: 290,
        fee_fixed: 30,
        ..fake_stripe::Config::default()
    };
    let fake = Fake::new(config);
    pay(&fake, "1999", "pm_card_visa");
    let books = &fake.books()["usd"];
    // 57.971 rounded, plus 30.
    assert_eq!((books.stripe_fees, books.accounts["platform"]), (88, 1911));
    let transactions = get(&fake, "/v1/balance_transactions");
    assert_eq!(
        (
            &transactions["data"][0]["fee"],
            &transactions["data"][0]["net"]
        ),
        (&88.into(), &1911.into())
    );
    sound(&fake);
}
