//! Calls against scripts that stand in for Stripe. The product's own tests play whole journeys against a fake of it.

mod attempts;
mod breaker;
mod calls;
mod cards;
mod connected;
mod decoded;
mod objects;
mod over_tcp;
mod script;
mod smoke;
