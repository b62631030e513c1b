//! Access rules: comparison of both compiled forms, and requests of every role to every route.

mod answers;
mod differential;
mod mutants;
pub mod oracle;
mod published;
mod questions;
mod unnoticed;
pub mod world;
