//! Data to start with: every country and some thousand cities, and a demonstration world.
//!
//! Written straight to the tables through a superuser's connection, in one transaction each; but orders that are paid by
//! card ([`trade`]), which are made through the API.
//! A second run adds nothing twice.

pub mod demo;
pub mod examples;
pub mod reference;
pub mod trade;
