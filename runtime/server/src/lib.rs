//! The program around the application: settings, wiring, subcommands. Wires; decides nothing.

pub mod checks;
pub mod cli;
pub mod commands;
pub mod log;
mod outbox;
pub mod roles;
pub mod seed;
pub mod settings;
pub mod wire;

pub use wire::{Built, build};
