//! Calls against scripts that stand in for Stripe. The product's own tests run whole user journeys against a fake of
//! Stripe.

mod attempts;
mod billing;
mod breaker;
mod calls;
mod cards;
mod connected;
mod decoded;
mod objects;
mod over_tcp;
mod script;
mod smoke;
