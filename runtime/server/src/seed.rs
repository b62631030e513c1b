//! Initial data: every country, some thousand cities, and a demonstration world.
//!
//! Written directly to the tables through a superuser's connection, in one transaction each, except whatever moves tickets
//! or money ([`sales`], and [`trade`] by card), services that are asked for and quoted ([`sales`]), and pictures
//! ([`pictures`]), which are made through the API. A second run adds nothing twice.

mod api;
pub mod demo;
pub mod examples;
pub mod pictures;
pub mod reference;
pub mod sales;
pub mod trade;
