//! Stripe's objects, one module each: what may be asked for, what becomes of it, and who is told.
//!
//! A call checks everything before it changes anything, so a refused one leaves no trace. The exception is Stripe's
//! own: a declined card leaves its charge and its intent.

pub mod account;
pub mod application_fee;
pub mod attempt;
pub mod balance;
pub mod capture;
pub mod charge;
pub mod customer;
pub mod dispute;
pub mod invoice;
pub mod payment_flow;
pub mod payment_intent;
pub mod payment_method;
pub mod product;
pub mod refund;
pub mod renewal;
pub mod setup_intent;
pub mod subscription;
pub mod subscription_item;
pub mod transfer;

use crate::{timer::Timer, world::World};

/// A timer's time has come.
pub fn timer_ran(world: &mut World, timer: Timer) {
    match timer {
        Timer::RefundSettles(id) => refund::settles(world, &id),
        Timer::RefundFails(id) => refund::fails(world, &id),
        Timer::AuthorizationExpires(id) => payment_flow::authorization_expires(world, &id),
        Timer::PeriodEnds(id, at) => renewal::period_ends(world, &id, at),
        Timer::InvoiceRetries(id) => invoice::retries(world, &id),
        Timer::SubscriptionExpires(id) => renewal::expires(world, &id),
    }
}
