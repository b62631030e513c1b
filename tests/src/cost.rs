//! The cost of requests, in figures that are the same on every machine: round trips, statements, shapes of plans.

mod changes;
mod filters;
mod plans;
mod proxy;
mod refused;
mod searches;
mod sets;
mod statements;
mod trips;
mod ways;
mod writes;
mod written;
