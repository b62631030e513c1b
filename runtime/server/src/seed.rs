//! Initial data: every country, some thousand cities, and a demonstration world.
//!
//! Rows are written directly to the tables through a superuser's connection, in one transaction each. Exceptions are
//! made through the API: everything that moves tickets or money ([`sales`], and [`trade`] for payments by card),
//! service requests and quotes ([`sales`]), and pictures ([`pictures`]). A second run adds nothing twice.

mod api;
pub mod demo;
pub mod examples;
pub mod pictures;
pub mod reference;
pub mod sales;
pub mod trade;
