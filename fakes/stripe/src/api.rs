//! Stripe's objects, one module for each: their calls, their state changes, and the events about them.
//!
//! A call checks everything before it changes anything, so a refused call leaves no trace. The exception is the same
//! as Stripe's: a declined card leaves its charge and its intent.

pub mod account;
pub mod application_fee;
pub mod attempt;
pub mod balance;
pub mod capture;
pub mod charge;
pub mod credit;
pub mod customer;
pub mod dispute;
pub mod invoice;
pub mod payment_flow;
pub mod payment_intent;
pub mod payment_method;
pub mod pending_update;
pub mod product;
pub mod refund;
pub mod renewal;
pub mod setup_intent;
pub mod subscription;
pub mod subscription_item;
pub mod transfer;

use crate::{timer::Timer, world::World};

/// Runs a timer that is due.
pub fn timer_ran(world: &mut World, timer: Timer) {
    match timer {
        Timer::RefundSettles(id) => refund::settles(world, &id),
        Timer::RefundFails(id) => refund::fails(world, &id),
        Timer::AuthorizationExpires(id) => payment_flow::authorization_expires(world, &id),
        Timer::PeriodEnds(id, at) => renewal::period_ends(world, &id, at),
        Timer::InvoiceRetries(id) => invoice::retries(world, &id),
        Timer::SubscriptionExpires(id) => renewal::expires(world, &id),
        Timer::UpdateExpires(invoice) => pending_update::expires(world, &invoice),
    }
}
