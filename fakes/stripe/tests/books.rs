//! Random sequences of calls: whatever the order, the books sum to zero and agree with the objects.

use crate::support::*;
use fake_stripe::{
    Config, Fake, Request,
    control::Intent,
    fault::{Fault, Kind},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Pay {
        amount: i64,
        card: usize,
        currency: usize,
        to: Option<(usize, i64)>,
        manual: bool,
    },
    Authenticate(usize, bool),
    Capture(usize, i64),
    Cancel(usize),
    Refund {
        of: usize,
        amount: Option<i64>,
        reverse: bool,
        fee: bool,
    },
    Dispute(usize),
    Close(usize, bool),
    Transfer(usize, i64),
    Reverse(usize, i64),
    RefundFee(usize, i64),
    TopUp(i64),
    PayOut(usize, i64),
    Advance(u32),
    Fail(usize),
}

const CARDS: [&str; 9] = [
    "pm_card_visa",
    "pm_card_mastercard",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
    "pm_card_createDispute",
    "pm_card_createDisputeInquiry",
    "pm_card_refundFail",
    "pm_card_pendingRefund",
];

const CURRENCIES: [&str; 3] = ["usd", "jpy", "kwd"];

fn step() -> impl Strategy<Value = Step> {
    let amount = (5i64..2000).prop_map(|amount| amount * 10);
    let at = 0usize..64;
    prop_oneof![
        6 => (amount.clone(), 0..CARDS.len(), 0..CURRENCIES.len(), prop::option::of((at.clone(), 0i64..200)), any::<bool>())
            .prop_map(|(amount, card, currency, to, manual)| Step::Pay { amount, card, currency, to, manual }),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, yes)| Step::Authenticate(at, yes)),
        2 => (at.clone(), amount.clone()).prop_map(|(at, amount)| Step::Capture(at, amount)),
        1 => at.clone().prop_map(Step::Cancel),
        5 => (at.clone(), prop::option::of(1i64..9000), any::<bool>(), any::<bool>())
            .prop_map(|(of, amount, reverse, fee)| Step::Refund { of, amount, reverse, fee }),
        1 => at.clone().prop_map(Step::Dispute),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, won)| Step::Close(at, won)),
        2 => (at.clone(), 1i64..9000).prop_map(|(to, amount)| Step::Transfer(to, amount)),
        2 => (at.clone(), 1i64..9000).prop_map(|(at, amount)| Step::Reverse(at, amount)),
        1 => (at.clone(), 1i64..200).prop_map(|(at, amount)| Step::RefundFee(at, amount)),
        1 => (1i64..50_000).prop_map(Step::TopUp),
        1 => (at.clone(), 1i64..9000).prop_map(|(at, amount)| Step::PayOut(at, amount)),
        2 => (1u32..700_000).prop_map(Step::Advance),
        1 => (0..Kind::ALL.len()).prop_map(Step::Fail),
    ]
}

fn one_of(fake: &Fake, list: &str, at: usize) -> Option<String> {
    let all = fake.all(list);
    let at = at.checked_rem(all.len())?;
    Some(id(&all[at]))
}

/// Makes a call and ignores whether it is refused or its answer is lost.
fn ask(fake: &Fake, path: &str, fields: &[(&str, String)]) {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    fake.handle(&Request::new("POST", path).form(&fields));
}

fn take(fake: &Fake, accounts: &[String], step: &Step) {
    let text = |amount: &i64| amount.to_string();
    match step {
        Step::Pay {
            amount,
            card,
            currency,
            to,
            manual,
        } => {
            let mut fields = vec![
                ("amount", text(amount)),
                ("currency", CURRENCIES[*currency].to_owned()),
                ("payment_method", CARDS[*card].to_owned()),
                ("confirm", "true".to_owned()),
                (
                    "capture_method",
                    if *manual { "manual" } else { "automatic" }.to_owned(),
                ),
            ];
            if let Some((account, fee)) = to {
                let account = accounts[account % accounts.len()].clone();
                fields.push(("transfer_data[destination]", account));
                fields.push(("application_fee_amount", (fee.min(amount)).to_string()));
            }
            ask(fake, "/v1/payment_intents", &fields);
        }
        Step::Authenticate(at, yes) => {
            if let Some(id) = one_of(fake, "payment_intents", *at) {
                let _ = fake.authenticate(Intent::Payment, &id, *yes);
            }
        }
        Step::Capture(at, amount) => {
            if let Some(id) = one_of(fake, "payment_intents", *at) {
                let fields = [("amount_to_capture", text(amount))];
                ask(fake, &format!("/v1/payment_intents/{id}/capture"), &fields);
            }
        }
        Step::Cancel(at) => {
            if let Some(id) = one_of(fake, "payment_intents", *at) {
                ask(fake, &format!("/v1/payment_intents/{id}/cancel"), &[]);
            }
        }
        Step::Refund {
            of,
            amount,
            reverse,
            fee,
        } => {
            let Some(id) = one_of(fake, "charges", *of) else {
                return;
            };
            let mut fields = vec![
                ("charge", id),
                ("reverse_transfer", reverse.to_string()),
                ("refund_application_fee", fee.to_string()),
            ];
            fields.extend(amount.as_ref().map(|amount| ("amount", text(amount))));
            ask(fake, "/v1/refunds", &fields);
        }
        Step::Dispute(at) => {
            if let Some(id) = one_of(fake, "charges", *at) {
                let _ = fake.dispute(&id, "fraudulent", false);
            }
        }
        Step::Close(at, won) => {
            if let Some(id) = one_of(fake, "disputes", *at) {
                let _ = fake.close_dispute(&id, *won);
            }
        }
        Step::Transfer(to, amount) => {
            let fields = [
                ("amount", text(amount)),
                ("currency", "usd".to_owned()),
                ("destination", accounts[to % accounts.len()].clone()),
            ];
            ask(fake, "/v1/transfers", &fields);
        }
        Step::Reverse(at, amount) => {
            if let Some(id) = one_of(fake, "transfers", *at) {
                ask(
                    fake,
                    &format!("/v1/transfers/{id}/reversals"),
                    &[("amount", text(amount))],
                );
            }
        }
        Step::RefundFee(at, amount) => {
            if let Some(id) = one_of(fake, "application_fees", *at) {
                ask(
                    fake,
                    &format!("/v1/application_fees/{id}/refunds"),
                    &[("amount", text(amount))],
                );
            }
        }
        Step::TopUp(amount) => fake.move_money(None, "usd", *amount).unwrap(),
        Step::PayOut(at, amount) => {
            fake.move_money(Some(&accounts[at % accounts.len()]), "usd", -amount)
                .unwrap();
        }
        Step::Advance(seconds) => fake.advance(*seconds),
        Step::Fail(at) => fake.add_fault(Fault::once(Kind::ALL[*at])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn sum_to_zero_and_agree_with_the_objects(steps in prop::collection::vec(step(), 1..60), fee_bps in 0i64..400) {
        let fake = Fake::new(Config { fee_bps, fee_fixed: fee_bps / 10, ..Config::default() });
        let accounts = [account(&fake), account(&fake)];
        for step in &steps {
            take(&fake, &accounts, step);
            let wrong = fake.audit();
            prop_assert!(wrong.is_empty(), "after {step:?}: {wrong:?}");
        }
        // The same after a restart.
        let again = Fake::load(&fake.save().unwrap(), Config::default()).unwrap();
        prop_assert_eq!(fake.books(), again.books());
        prop_assert!(again.audit().is_empty());
    }
}

/// The negative control of the audit: it notices a capture that the object does not show.
#[test]
fn a_wrong_book_is_noticed() {
    let fake = Fake::default();
    pay(&fake, "1000", "pm_card_visa");
    let saved = String::from_utf8(fake.save().unwrap()).unwrap();
    let doctored = saved.replace("\"amount_captured\":1000", "\"amount_captured\":999");
    assert_ne!(saved, doctored);
    let fake = Fake::load(doctored.as_bytes(), Config::default()).unwrap();
    assert_eq!(
        fake.audit(),
        ["usd captured: 999 by the objects, 1000 by the ledger"]
    );
}
