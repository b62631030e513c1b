//! Every fault at every mutating call, with a client that retries with the same key, and with one that does not.

use crate::support::*;
use fake_stripe::{
    Fake, Outcome, Reply, Request,
    fault::{Fault, Kind},
};

/// How long the client waits for an answer, in seconds.
const PATIENCE: u32 = 10;

/// What a client can conclude from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Done,
    /// Refused for good; retries are useless.
    Definite,
    /// The call did not begin; it can be retried.
    Retryable,
    /// Unknown whether the call was run.
    Ambiguous,
}

fn class(outcome: Outcome) -> (Class, Option<Reply>) {
    let Some(reply) = outcome.within(PATIENCE) else {
        return (Class::Ambiguous, None);
    };
    let class = match reply.status {
        _ if reply.json().is_none() => Class::Ambiguous,
        200 => Class::Done,
        409 | 429 => Class::Retryable,
        500.. => Class::Ambiguous,
        _ => Class::Definite,
    };
    (class, Some(reply))
}

struct Scene {
    fake: Fake,
    requests: Vec<(&'static str, Request)>,
}

/// All mutating calls in the life of a payment, each ready to be made.
fn scene() -> Scene {
    let fake = Fake::default();
    fake.move_money(None, "usd", 100_000).unwrap();
    let (customer, account) = (customer(&fake), account(&fake));
    let open = |extra: &[(&str, &str)]| {
        let mut fields = vec![("amount", "1000"), ("currency", "usd")];
        fields.extend(extra);
        id(&post(&fake, "/v1/payment_intents", &fields))
    };
    let with_card = [("payment_method", "pm_card_visa")];
    let (confirmable, cancelable) = (open(&with_card), open(&with_card));
    let manual = [
        ("payment_method", "pm_card_visa"),
        ("capture_method", "manual"),
        ("confirm", "true"),
    ];
    let capturable = open(&manual);
    let paid = id(&pay(&fake, "1000", "pm_card_visa"));
    let fields = [
        ("amount", "500"),
        ("currency", "usd"),
        ("destination", account.as_str()),
    ];
    let transferred = id(&post(&fake, "/v1/transfers", &fields));
    let attach = "/v1/payment_methods/pm_card_visa/attach";
    let kept = id(&post(&fake, attach, &[("customer", &customer)]));
    let post = |path: String, fields: &[(&str, &str)]| Request::new("POST", &path).form(fields);
    let charge = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    let setup = [
        ("customer", customer.as_str()),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
    ];
    let requests = vec![
        (
            "create a customer",
            post("/v1/customers".into(), &[("email", "b@example.org")]),
        ),
        ("attach", post(attach.into(), &[("customer", &customer)])),
        (
            "detach",
            post(format!("/v1/payment_methods/{kept}/detach"), &[]),
        ),
        ("set up", post("/v1/setup_intents".into(), &setup)),
        ("pay", post("/v1/payment_intents".into(), &charge)),
        (
            "confirm",
            post(format!("/v1/payment_intents/{confirmable}/confirm"), &[]),
        ),
        (
            "capture",
            post(format!("/v1/payment_intents/{capturable}/capture"), &[]),
        ),
        (
            "cancel",
            post(format!("/v1/payment_intents/{cancelable}/cancel"), &[]),
        ),
        (
            "refund",
            post(
                "/v1/refunds".into(),
                &[("payment_intent", &paid), ("amount", "400")],
            ),
        ),
        (
            "open an account",
            post("/v1/accounts".into(), &[("type", "express")]),
        ),
        ("transfer", post("/v1/transfers".into(), &fields)),
        (
            "reverse",
            post(
                format!("/v1/transfers/{transferred}/reversals"),
                &[("amount", "100")],
            ),
        ),
    ];
    Scene { fake, requests }
}

const WATCHED: [&str; 7] = [
    "customers",
    "charges",
    "refunds",
    "accounts",
    "transfers",
    "transfer_reversals",
    "payment_intents",
];

fn counts(fake: &Fake) -> [usize; 7] {
    WATCHED.map(|list| fake.all(list).len())
}

/// A client retries with the same key while the outcome is unclear: the call has at most one effect, and the client
/// never draws a wrong conclusion.
#[test]
fn one_key_is_one_effect_under_every_fault() {
    let calls = scene().requests.len();
    for kind in Kind::ALL {
        for at in 0..calls {
            // First without the fault, for comparison.
            let Scene { fake, requests } = scene();
            let (name, request) = &requests[at];
            let plain = send(&fake, &request.clone().header("Idempotency-Key", "a-key"));
            assert_eq!(plain.status, 200, "{name}: {:?}", plain.json());
            let (wanted, books) = (counts(&fake), fake.books());

            let Scene { fake, requests } = scene();
            let before = (counts(&fake), fake.books());
            let keyed = requests[at].1.clone().header("Idempotency-Key", "a-key");
            fake.add_fault(Fault::once(kind));
            let mut seen = class(fake.handle(&keyed));
            for _ in 0..5 {
                if matches!(seen.0, Class::Done | Class::Definite) {
                    break;
                }
                fake.advance(30);
                seen = class(fake.handle(&keyed));
            }
            match kind {
                // A stored 500 stays the answer of every retry: the client must read the object instead.
                Kind::ErrorBefore | Kind::ErrorAfter => {
                    assert_eq!(seen.0, Class::Ambiguous, "{kind:?} {name}");
                    let replayed = seen
                        .1
                        .as_ref()
                        .and_then(|reply| reply.header("Idempotent-Replayed"));
                    assert_eq!(replayed, Some("true"), "{kind:?} {name}");
                }
                _ => assert_eq!(seen.0, Class::Done, "{kind:?} {name}"),
            }
            match kind {
                Kind::ErrorBefore => {
                    assert_eq!((counts(&fake), fake.books()), before, "{kind:?} {name}")
                }
                _ => assert_eq!(
                    (counts(&fake), fake.books()),
                    (wanted, books),
                    "{kind:?} {name}"
                ),
            }
            sound(&fake);
        }
    }
}

/// The negative control: with a new key for each attempt, the buyer is charged twice if an answer is lost.
#[test]
fn a_random_key_after_a_dropped_answer_makes_two_payments() {
    let pay_until_done = |key: &dyn Fn(u32) -> String| {
        let fake = Fake::default();
        fake.add_fault(Fault::once(Kind::DropAfter).on("POST", "/v1/payment_intents"));
        let fields = [
            ("amount", "1000"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
        ];
        let mut attempt = 0;
        loop {
            let request = Request::new("POST", "/v1/payment_intents").form(&fields);
            let keyed = request.header("Idempotency-Key", &key(attempt));
            if class(fake.handle(&keyed)).0 == Class::Done {
                sound(&fake);
                return fake.books()["usd"].captured;
            }
            attempt += 1;
        }
    };
    assert_eq!(pay_until_done(&|_| "pi:order-1:1".to_owned()), 1000);
    assert_eq!(pay_until_done(&|attempt| format!("random-{attempt}")), 2000);
}

#[test]
fn what_a_client_can_conclude() {
    let table = [
        (Kind::DropBefore, Class::Ambiguous),
        (Kind::DropAfter, Class::Ambiguous),
        (Kind::Stall { seconds: 30 }, Class::Ambiguous),
        (Kind::Stall { seconds: 5 }, Class::Done),
        (Kind::ErrorBefore, Class::Ambiguous),
        (Kind::ErrorAfter, Class::Ambiguous),
        (Kind::RateLimited, Class::Retryable),
        (Kind::Conflict, Class::Retryable),
        (Kind::Malformed, Class::Ambiguous),
        (Kind::Away, Class::Ambiguous),
    ];
    for (kind, wanted) in table {
        let fake = Fake::default();
        fake.add_fault(Fault::once(kind));
        let request = Request::new("POST", "/v1/customers").header("Idempotency-Key", "a-key");
        assert_eq!(class(fake.handle(&request)).0, wanted, "{kind:?}");
    }
}

#[test]
fn away_for_an_hour() {
    let fake = Fake::default();
    let until = Some(fake.now() + 3600);
    fake.add_fault(Fault {
        until,
        ..Fault::new(Kind::Away)
    });
    let request = Request::new("POST", "/v1/customers");
    for _ in 0..6 {
        assert_eq!(fake.handle(&request), Outcome::DroppedBefore);
        fake.advance(600);
    }
    assert_eq!(send(&fake, &request).status, 200);
    assert_eq!(fake.all("customers").len(), 1);
}

#[test]
fn chances_are_of_the_seed() {
    let run = |seed: u64| {
        let fake = Fake::new(fake_stripe::Config {
            seed,
            ..fake_stripe::Config::default()
        });
        fake.add_fault(Fault {
            per_mille: Some(300),
            ..Fault::new(Kind::DropAfter)
        });
        let request = Request::new("POST", "/v1/customers");
        let lost = (0..200).map(|_| fake.handle(&request) == Outcome::DroppedAfter);
        lost.collect::<Vec<bool>>()
    };
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let lost = one.iter().filter(|lost| **lost).count();
    assert!((30..90).contains(&lost), "{lost}");
}
