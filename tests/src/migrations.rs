//! Migrations on a real PostgreSQL with rows: up, down, and up again.

pub mod blank;
mod cases;
mod effects;
mod lost;
mod mended;
mod random;
pub mod repository;
pub mod rows;
mod rules;
mod runner;
mod whole;
mod words;
