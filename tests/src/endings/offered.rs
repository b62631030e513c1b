//! `allowed_actions` against what operations written by hand then answer: what an object offers is not refused, and what it
//! does not offer does not succeed.

use super::{
    named::{Book, play},
    operations::{self, Good},
    scene::{Hall, Scene},
    ways::How,
};
use crate::{
    support::{documented::document, model, resources},
    trending::stage::run,
};
use std::collections::BTreeSet;

/// A pair of operation and word for which offer and answer may differ after some endings.
struct But {
    operation: &'static str,
    rows: &'static [&'static str],
    because: &'static str,
}

/// Offered, and refused nevertheless: the reason is in rows that no condition of the spec reaches.
const REFUSED: &[But] = &[];

/// Not offered, and successful nevertheless.
const SUCCEEDS: &[But] = &[];

/// Whether the object that the request is about offers the operation to its caller. `None`: no word offers the operation,
/// or the caller can't see the object.
pub async fn is_offered(scene: &Scene<'_>, good: &Good) -> Option<bool> {
    // Operations with the event in the body.
    let of = if good.of.is_empty() { "event" } else { good.of };
    let row = scene.row(of);
    let mut offers = app::modules::offers().into_iter().flatten();
    let offer =
        offers.find(|offer| offer.operation == good.operation && offer.entity == row.kind())?;
    let path = format!("/{}/{}", resources()[row.kind()].path, row.id);
    let shown = scene.client(good.by).get(&path).await;
    let actions = shown.json["allowed_actions"].as_array()?;
    Some(actions.iter().any(|action| action == offer.word))
}

/// What is wrong if the request then succeeds, or not.
pub fn fault(good: &Good, label: &str, is_offered: Option<bool>, is_done: bool) -> Option<String> {
    let is_excepted = |list: &[But]| {
        let mut all = list.iter();
        all.any(|but| {
            debug_assert!(!but.because.is_empty());
            but.operation == good.operation && but.rows.contains(&label)
        })
    };
    match (is_offered?, is_done) {
        (true, false) if !is_excepted(REFUSED) => Some("it is offered, and refused".to_owned()),
        (false, true) if !is_excepted(SUCCEEDS) => {
            Some("it is not offered, and succeeds".to_owned())
        }
        _ => None,
    }
}

/// The words under `offers:` are those that modules explain, and each of them is an operation of the document.
#[test]
fn each_word_that_is_offered_is_an_operation() {
    let offers = app::modules::offers();
    let told: BTreeSet<(&str, &str)> = (offers.iter().copied().flatten())
        .map(|offer| (offer.entity, offer.word))
        .collect();
    let said: BTreeSet<(&str, &str)> = (model().entities.iter())
        .flat_map(|entity| entity.offers.iter().map(move |o| (&*entity.name, &*o.name)))
        .collect();
    assert_eq!(told, said);
    let paths = document()["paths"].as_object().expect("paths");
    for offer in offers.iter().copied().flatten() {
        let mut operations = paths.values().filter_map(|item| item.as_object()).flatten();
        let (_, operation) = operations
            .find(|(_, operation)| operation["operationId"] == offer.operation)
            .unwrap_or_else(|| panic!("there is no operation {}", offer.operation));
        let told = operation["description"].as_str().expect("a description");
        assert!(
            told.contains(&format!("**Offered** as `{}`", offer.word)),
            "{told}"
        );
    }
}

/// The negative control: an operation that the database refuses is found, although the object offers it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_is_refused_is_found() {
    let hall = Hall::new().await;
    let refusal = "create function tests.refuse() returns trigger language plpgsql as $$
         begin raise exception 'no' using errcode = '23514', table = 'hosts', constraint = 'hosts_live'; end $$;
         create trigger a_refusal before update on app.orders for each row when (new.state = 'cancelled')
         execute function tests.refuse()";
    run(&mut *hall.server.superuser().await, refusal.to_owned()).await;
    let book = Book::of(document());
    let mut goods = operations::GOODS.iter();
    let good = goods
        .find(|good| good.operation == "cancelOrder")
        .expect("a good request");
    let ending = ("friend".to_owned(), How::Suspended);
    let seen = play(&hall, &book, good.group, ending, vec![good]).await;
    assert_eq!(seen.faults.len(), 1, "{:?}", seen.faults);
    assert!(
        seen.faults[0].contains("offered, and refused"),
        "{:?}",
        seen.faults
    );
}
