//! Compares two views of the same money: the ledger's entries, and the objects that clients see.

use crate::{json::Fields, ledger::Books, world::World};
use serde_json::Value;
use std::collections::BTreeSet;

pub fn run(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if !world.ledger.is_consistent() {
        wrong.push("the running balances are not those of the entries".to_owned());
    }
    for (currency, books) in world.ledger.books() {
        compare(world, &currency, &books, &mut wrong);
    }
    each_charge(world, &mut wrong);
    each_intent(world, &mut wrong);
    wrong
}

fn compare(world: &World, currency: &str, books: &Books, wrong: &mut Vec<String>) {
    let total = |list: &str, amount: &dyn Fn(&Value) -> i64| -> i64 {
        let all = world
            .all(list)
            .filter(|object| object.str("currency") == currency);
        all.map(amount).sum()
    };
    let when = |yes: bool, amount: i64| if yes { amount } else { 0 };
    let dispute = |statuses: &'static [&'static str]| {
        move |dispute: &Value| {
            when(
                statuses.contains(&dispute.str("status")),
                dispute.num("amount"),
            )
        }
    };
    let pairs = [
        ("sum of accounts", 0, books.sum),
        (
            "captured",
            total("charges", &|charge| charge.num("amount_captured")),
            books.captured,
        ),
        (
            "refunded by charges",
            total("charges", &|charge| charge.num("amount_refunded")),
            books.refunded,
        ),
        (
            "refunded by refunds",
            total("refunds", &|refund| {
                when(refund.str("status") != "failed", refund.num("amount"))
            }),
            books.refunded,
        ),
        (
            "refunds pending",
            total("refunds", &|refund| {
                when(refund.str("status") == "pending", refund.num("amount"))
            }),
            books.refunds_pending,
        ),
        (
            "transferred",
            total("transfers", &|transfer| {
                transfer.num("amount") - transfer.num("amount_reversed")
            }),
            books.transferred,
        ),
        (
            "application fees",
            total("application_fees", &|fee| {
                fee.num("amount") - fee.num("amount_refunded")
            }),
            books.application_fees,
        ),
        (
            "disputes held",
            total("disputes", &dispute(&["needs_response", "under_review"])),
            books.disputes_held,
        ),
        (
            "disputes lost",
            total("disputes", &dispute(&["lost"])),
            books.disputes_lost,
        ),
    ];
    for (what, of_objects, of_ledger) in pairs {
        if of_objects != of_ledger {
            wrong.push(format!(
                "{currency} {what}: {of_objects} by the objects, {of_ledger} by the ledger"
            ));
        }
    }
}

fn each_charge(world: &World, wrong: &mut Vec<String>) {
    for charge in world.all("charges") {
        let (captured, refunded) = (charge.num("amount_captured"), charge.num("amount_refunded"));
        if captured > charge.num("amount") || refunded > captured || refunded < 0 {
            wrong.push(format!(
                "{}: captured {captured}, refunded {refunded}",
                charge.str("id")
            ));
        }
    }
    for transfer in world.all("transfers") {
        if transfer.num("amount_reversed") > transfer.num("amount") {
            wrong.push(format!("{}: reversed more than it was", transfer.str("id")));
        }
    }
}

/// A payment intent captures money at most once, and has the status `succeeded` if and only if it did.
fn each_intent(world: &World, wrong: &mut Vec<String>) {
    let mut paid: BTreeSet<&str> = BTreeSet::new();
    for charge in world
        .all("charges")
        .filter(|charge| charge.num("amount_captured") > 0)
    {
        if !paid.insert(charge.str("payment_intent")) {
            wrong.push(format!("{} is paid twice", charge.str("payment_intent")));
        }
    }
    for intent in world.all("payment_intents") {
        if (intent.str("status") == "succeeded") != paid.contains(intent.str("id")) {
            wrong.push(format!("{} is {}", intent.str("id"), intent.str("status")));
        }
    }
}
