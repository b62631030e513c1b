//! T4: the server is killed while people buy, at random moments and at the most critical ones. In the end, every cent
//! and every ticket must be where it belongs.

use super::{
    buyers::{Crowd, Told},
    shop::Shop,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Places between two steps that belong together, see `kernel::failpoint`: after a command is stored, before and after
/// its call, before the answer is stored, before the buyer is answered, in jobs and in sweepers.
const PLACES: [&str; 12] = [
    "payment.begun",
    "payment.calling",
    "payment.called",
    "payment.confirmed",
    "payment.recorded",
    "event.kept",
    "event.followed",
    "job.claimed",
    "refund.sent",
    "transfer.sent",
    "orders.expiring",
    "payment.cancelled",
];

/// The number of kills: a few at varying places in `script/test`, as many as given in `script/soak`.
fn kills() -> usize {
    let given = std::env::var("SOAK_KILLS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// Kills the program when it reaches its failpoint, or otherwise after a random time.
async fn die(shop: &Shop, failpoint: Option<&str>, random: &mut fastrand::Rng) {
    let armed = failpoint.map(|place| format!("{place}:{}", random.u8(1..4)));
    let mut program = shop.start(armed.as_deref()).await;
    let Some(armed) = armed else {
        if program.is_ready().await {
            tokio::time::sleep(Duration::from_millis(random.u64(100..2_000))).await;
        }
        program.signal("KILL");
        program.ended().await;
        return;
    };
    let until = Instant::now() + Duration::from_secs(60);
    while program.status().is_none() {
        // Sweepers run every fifteen seconds; this gives them something to do earlier.
        if failpoint == Some("orders.expiring") || failpoint == Some("payment.cancelled") {
            shop.sweep().await;
        }
        assert!(
            Instant::now() < until,
            "the failpoint {armed} was not reached"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Shop {
    async fn sweep(&self) {
        self.run(
            "update app.orders set expires_at = now() where state = 'pending' and created_at < now() - interval '1 second'
               and expires_at > now();
             select jobs.put(name, '{}', now(), 'sweep', 'keep', null, null, 0, null)
             from unnest(array['tickets.expire', 'payments.cancel']) name",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_server_that_is_killed_loses_nothing() {
    killed(Arc::new(Shop::new().await), kills()).await;
}

/// Kills the server this many times while people buy.
pub async fn killed(shop: Arc<Shop>, kills: usize) {
    let seed = super::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let crowd = Crowd::enter(&shop, seed);
    let mut places: Vec<Option<&str>> = PLACES.iter().copied().map(Some).collect();
    // A server with a wrong clock takes no events in.
    if shop.clock_offset_seconds != 0 {
        places.retain(|place| !place.is_some_and(|place| place.starts_with("event.")));
    }
    // As many random kills as at four of the places.
    places.extend([None; 3]);
    random.shuffle(&mut places);
    for n in 0..kills {
        let place = places[n % places.len()];
        die(&shop, place, &mut random).await;
        shop.claims_end(0).await;
        let faults = shop.faults().await;
        assert_eq!(faults, Vec::<String>::new(), "after kill {n} at {place:?}");
    }
    let program = shop.serve().await;
    // On slow machines less happens between two kills, so the crowd stays until enough of them have paid.
    let until = Instant::now() + Duration::from_secs(120);
    while crowd.paid() <= 3 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let told = crowd.leave().await;
    shop.quiet().await;
    println!(
        "{kills} kills: {} orders, {} told to be paid, {} refunds, {} requests without an answer",
        told.placed.len(),
        told.paid.len(),
        told.refunds.len(),
        told.unanswered
    );
    assert_eq!(shop.audit(&told).await, Vec::<String>::new());
    assert!(
        told.paid.len() > 3,
        "only {} buyers were told that they have paid",
        told.paid.len()
    );
    drop(program);
}

/// The negative control: each of these changes must be noticed: a ticket removed, a cent added to the host, a promise
/// forgotten, a double charge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_the_auditor_notices_what_is_wrong_in_either_book() {
    let shop = Arc::new(Shop::new().await);
    let program = shop.serve().await;
    let crowd = Crowd::enter(&shop, 7);
    while crowd.paid() < 4 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut told = crowd.leave().await;
    shop.quiet().await;
    drop(program);
    assert_eq!(shop.audit(&told).await, Vec::<String>::new());

    let notices = async |told: &Told, what: &str| {
        let wrong = shop.audit(told).await;
        assert!(
            wrong.iter().any(|wrong| wrong.contains(what)),
            "{what}: {wrong:#?}"
        );
    };
    let fake = &shop.stripe.fake;
    fake.move_money(Some(&shop.account), "aud", 1)
        .expect("a cent");
    notices(&told, "the host's").await;
    fake.move_money(Some(&shop.account), "aud", -1)
        .expect("back");

    let state = format!(
        "update app.tickets set state = 'STATE' where order_id = (
           select id from app.orders where state = 'paid' and event_id = '{}' order by id limit 1)",
        shop.event
    );
    shop.run(state.replace("STATE", "void")).await;
    notices(&told, "good tickets of").await;
    shop.run(state.replace("STATE", "valid")).await;

    told.placed.insert("an order".to_owned());
    notices(&told, "is not there").await;
    told.placed.remove("an order");

    let paid = told.paid.first().expect("an order").clone();
    charge_again(&shop, &paid).await;
    notices(&told, "is paid by").await;
}

/// Charges like a server that has forgotten its earlier charge.
async fn charge_again(shop: &Shop, order: &str) {
    let gateway = shop.stripe.gateway();
    let currency = gateway::Currency::new("AUD").expect("a currency");
    let mut new = gateway::NewPayment::new(4_500, currency);
    new.metadata = gateway::Metadata::from([("order_id".to_owned(), order.to_owned())]);
    let key = gateway::Key::new("once-more").expect("a key");
    let made = gateway.create_payment(&key, &new).await.expect("a payment");
    let fake = &shop.stripe.fake;
    fake.pay_as_buyer(fake_stripe::Intent::Payment, &made.id, "4242424242424242")
        .expect("paid");
}
