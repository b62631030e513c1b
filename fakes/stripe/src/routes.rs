//! Maps methods and paths to calls.

use crate::{
    api::{
        account, application_fee, balance, charge, customer, dispute, invoice, payment_flow,
        payment_intent, payment_method, product, refund, setup_intent, subscription, transfer,
    },
    error::{ApiError, Result},
    world::{Call, World},
};
use serde_json::Value;

pub fn run(world: &mut World, method: &str, call: &Call) -> Result<Value> {
    let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    let Some(("v1", path)) = path.split_first().map(|(version, rest)| (*version, rest)) else {
        return Err(ApiError::no_route(method, &call.path));
    };
    payments(world, method, path, call)
        .or_else(|| connect(world, method, path, call))
        .or_else(|| billing(world, method, path, call))
        .unwrap_or_else(|| Err(ApiError::no_route(method, &call.path)))
}

fn payments(world: &mut World, method: &str, path: &[&str], call: &Call) -> Option<Result<Value>> {
    Some(match (method, path) {
        ("POST", ["customers"]) => customer::create(world, call),
        ("GET", ["customers"]) => customer::list(world, call),
        ("GET", ["customers", id]) => customer::get(world, call, id),
        ("POST", ["customers", id]) => customer::update(world, call, id),
        ("DELETE", ["customers", id]) => customer::delete(world, call, id),
        ("GET", ["customers", id, "payment_methods"]) => {
            payment_method::list(world, call, Some(id))
        }
        ("GET", ["customers", _, "payment_methods", id]) => payment_method::get(world, call, id),

        ("POST", ["payment_methods"]) => payment_method::create(world, call),
        ("GET", ["payment_methods"]) => payment_method::list(world, call, None),
        ("GET", ["payment_methods", id]) => payment_method::get(world, call, id),
        ("POST", ["payment_methods", id]) => payment_method::update(world, call, id),
        ("POST", ["payment_methods", id, "attach"]) => payment_method::attach(world, call, id),
        ("POST", ["payment_methods", id, "detach"]) => payment_method::detach(world, call, id),

        ("POST", ["setup_intents"]) => setup_intent::create(world, call),
        ("GET", ["setup_intents"]) => setup_intent::list(world, call),
        ("GET", ["setup_intents", id]) => setup_intent::get(world, call, id),
        ("POST", ["setup_intents", id]) => setup_intent::update(world, call, id),
        ("POST", ["setup_intents", id, "confirm"]) => setup_intent::confirm(world, call, id),
        ("POST", ["setup_intents", id, "cancel"]) => setup_intent::cancel(world, call, id),

        ("POST", ["payment_intents"]) => payment_intent::create(world, call),
        ("GET", ["payment_intents"]) => payment_intent::list(world, call),
        ("GET", ["payment_intents", "search"]) => payment_intent::search(world, call),
        ("GET", ["payment_intents", id]) => payment_intent::get(world, call, id),
        ("POST", ["payment_intents", id]) => payment_intent::update(world, call, id),
        ("POST", ["payment_intents", id, "confirm"]) => payment_flow::confirm(world, call, id),
        ("POST", ["payment_intents", id, "capture"]) => payment_flow::capture(world, call, id),
        ("POST", ["payment_intents", id, "cancel"]) => payment_flow::cancel(world, call, id),

        ("GET", ["charges"]) => charge::list(world, call),
        ("GET", ["charges", id]) => charge::get(world, call, id),
        ("GET", ["charges", id, "refunds"]) => refund::list(world, call, Some(id)),
        ("POST", ["refunds"]) => refund::create(world, call),
        ("GET", ["refunds"]) => refund::list(world, call, None),
        ("GET", ["refunds", id]) => refund::get(world, call, id),
        ("POST", ["refunds", id]) => refund::update(world, call, id),

        ("GET", ["disputes"]) => dispute::list(world, call),
        ("GET", ["disputes", id]) => dispute::get(world, call, id),
        ("POST", ["disputes", id]) => dispute::update(world, call, id),
        ("POST", ["disputes", id, "close"]) => dispute::give_in(world, call, id),
        _ => return None,
    })
}

fn connect(world: &mut World, method: &str, path: &[&str], call: &Call) -> Option<Result<Value>> {
    // These calls are the platform's; on behalf of an account they would move other accounts' money.
    let platforms = ["accounts", "account_links", "transfers", "application_fees"];
    if call.account.is_some() && path.first().is_some_and(|first| platforms.contains(first)) {
        let message = "The fake plays this call for the platform only, without Stripe-Account.";
        return Some(Err(ApiError::invalid("platform_only", message)));
    }
    Some(match (method, path) {
        ("POST", ["accounts"]) => account::create(world, call),
        ("GET", ["accounts"]) => account::list(world, call),
        ("GET", ["account"]) => account::own(world, call),
        ("GET", ["accounts", id]) => account::get(world, id),
        ("POST", ["accounts", id]) => account::update(world, call, id),
        ("DELETE", ["accounts", id]) => account::delete(world, id),
        ("POST", ["account_links"]) => account::create_link(world, call),

        ("POST", ["transfers"]) => transfer::create(world, call),
        ("GET", ["transfers"]) => transfer::list(world, call),
        ("GET", ["transfers", id]) => transfer::get(world, call, id),
        ("POST", ["transfers", id]) => transfer::update(world, call, id),
        ("POST", ["transfers", id, "reversals"]) => transfer::create_reversal(world, call, id),
        ("GET", ["transfers", id, "reversals"]) => transfer::list_reversals(world, call, id),
        ("GET", ["transfers", id, "reversals", one]) => {
            transfer::get_reversal(world, call, id, one)
        }

        ("GET", ["application_fees"]) => application_fee::list(world, call),
        ("GET", ["application_fees", id]) => application_fee::get(world, call, id),
        ("POST", ["application_fees", id, "refunds"]) => {
            application_fee::create_refund(world, call, id)
        }

        ("GET", ["balance"]) => balance::get(world, call),
        ("GET", ["balance_transactions"]) => balance::transactions(world, call),
        ("GET", ["balance_transactions", id]) => balance::transaction(world, call, id),
        ("GET", ["events"]) => balance::events(world, call),
        ("GET", ["events", id]) => balance::event(world, call, id),
        _ => return None,
    })
}

fn billing(world: &mut World, method: &str, path: &[&str], call: &Call) -> Option<Result<Value>> {
    Some(match (method, path) {
        ("POST", ["products"]) => product::create(world, call),
        ("GET", ["products"]) => product::list(world, call),
        ("GET", ["products", id]) => product::get(world, call, id),
        ("POST", ["products", id]) => product::update(world, call, id),
        ("POST", ["prices"]) => product::create_price(world, call),
        ("GET", ["prices"]) => product::list_prices(world, call),
        ("GET", ["prices", id]) => product::get_price(world, call, id),
        ("POST", ["prices", id]) => product::update_price(world, call, id),

        ("POST", ["subscriptions"]) => subscription::create(world, call),
        ("GET", ["subscriptions"]) => subscription::list(world, call),
        ("GET", ["subscriptions", id]) => subscription::get(world, call, id),
        ("POST", ["subscriptions", id]) => subscription::update(world, call, id),
        ("DELETE", ["subscriptions", id]) => subscription::cancel(world, call, id),

        ("GET", ["invoices"]) => invoice::list(world, call),
        ("GET", ["invoices", id]) => invoice::get(world, call, id),
        ("POST", ["invoices", id, "pay"]) => invoice::pay(world, call, id),
        ("POST", ["invoices", id, "void"]) => invoice::void(world, call, id),
        _ => return None,
    })
}
