//! Migrations on a real PostgreSQL with rows in it: there, back, and there again.

pub mod blank;
mod cases;
mod mended;
mod random;
pub mod repository;
pub mod rows;
mod rules;
mod runner;
mod whole;
mod words;
