//! `allowed_actions` against what operations written by hand then answer, after each way in which the object can end: what
//! it offers is not refused, and what it does not offer does not succeed.

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

/// Whether the object that the request is about offers the operation to its caller. `None`: no word offers the operation,
/// or the caller can't see the object.
pub async fn is_offered(scene: &Scene<'_>, good: &Good) -> Option<bool> {
    let row = scene.row(of(good));
    let mut offers = app::modules::offers().into_iter().flatten();
    let offer =
        offers.find(|offer| offer.operation == good.operation && offer.entity == row.kind())?;
    let path = format!("/{}/{}", resources()[row.kind()].path, row.id);
    let shown = scene.client(good.by).get(&path).await;
    let actions = shown.json["allowed_actions"].as_array()?;
    Some(actions.iter().any(|action| action == offer.word))
}

/// What is wrong if the request then succeeds, or not. Only endings of the object itself are compared: a request can
/// still be refused for reasons in other rows, such as a host that is suspended.
pub fn fault(good: &Good, label: &str, is_offered: Option<bool>, is_done: bool) -> Option<String> {
    if label != of(good) {
        return None;
    }
    match (is_offered?, is_done) {
        (true, false) => Some("it is offered, and refused".to_owned()),
        (false, true) if !is_offered_twice(good) => {
            Some("it is not offered, and succeeds".to_owned())
        }
        _ => None,
    }
}

/// Whether another object offers the same operation, perhaps to other callers.
pub fn is_offered_twice(good: &Good) -> bool {
    let all = app::modules::offers().into_iter().flatten();
    let same = all.filter(|offer| offer.operation == good.operation);
    same.count() > 1
}

/// The label of the object that the request is about; without one in the path, the event in the body.
fn of(good: &Good) -> &'static str {
    match good.of {
        "" => "event",
        of => of,
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
    let ending = ("unpaid order".to_owned(), How::Past("expires_at"));
    let seen = play(&hall, &book, good.group, ending, vec![good]).await;
    assert_eq!(seen.faults.len(), 1, "{:?}", seen.faults);
    assert!(
        seen.faults[0].contains("offered, and refused"),
        "{:?}",
        seen.faults
    );
}
