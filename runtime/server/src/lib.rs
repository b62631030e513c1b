//! The program around the application: settings, wiring, subcommands. Contains no business logic.

pub mod checks;
pub mod cli;
pub mod commands;
mod files;
pub mod log;
mod outbox;
pub mod roles;
pub mod seed;
pub mod settings;
pub mod wire;

pub use wire::{Built, build};
