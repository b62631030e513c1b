//! The API as clients meet it: suites that the model drives over every entity, so that a new one is covered by itself.

mod answers;
mod audiences;
mod audit_log;
mod audited;
pub mod bodies;
mod dead_jobs;
mod deeds;
mod document;
mod expect;
mod hidden;
mod idempotency;
mod matrix;
pub mod operations;
mod patches;
mod people;
mod ratings;
mod refusals;
mod routes;
mod rows;
mod same;
mod snapshots;
mod tenants;
