//! The balance of a customer: credit (below zero) from invoices of less than nothing, and amounts that were too small to
//! charge. It counts in the next invoice of the same currency.

use crate::{currency, json::Fields, world::World};
use serde_json::{Value, json};

/// What an invoice charges once the balance counts, and the balance before and after it.
pub struct Due {
    pub amount: i64,
    pub before: i64,
    pub after: i64,
}

/// Settles a new invoice with its customer's balance.
pub fn settle(world: &mut World, customer: &str, currency: &str, total: i64) -> Due {
    let before = world.object(customer)["_balances"].num(currency);
    let due = total + before;
    let amount = currency::collected(due, currency);
    let after = due - amount;
    change(world, customer, currency, after - before);
    Due {
        amount,
        before,
        after,
    }
}

/// Gives back what an invoice that is made void has taken of the balance.
pub fn restore(world: &mut World, invoice: &Value) {
    let taken = invoice.num("starting_balance") - invoice.num("ending_balance");
    let (customer, currency) = (invoice.str("customer"), invoice.str("currency"));
    change(world, customer, currency, taken);
}

fn change(world: &mut World, customer: &str, currency: &str, by: i64) {
    let customer = world.edit(customer);
    if customer["currency"].is_null() {
        customer["currency"] = json!(currency);
    }
    let now = customer["_balances"].num(currency) + by;
    customer["_balances"][currency] = json!(now);
    if customer.str("currency") == currency {
        customer["balance"] = json!(now);
    }
}
