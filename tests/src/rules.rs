//! Access rules: both compiled forms compared, and every route tried by every role.

mod answers;
mod differential;
mod mutants;
pub mod oracle;
mod questions;
mod unnoticed;
pub mod world;
