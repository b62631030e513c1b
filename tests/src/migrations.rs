//! Migrations on a real PostgreSQL with rows in it: there, back, and there again.

pub mod blank;
mod cases;
mod random;
mod repository;
mod rows;
mod runner;
mod whole;
