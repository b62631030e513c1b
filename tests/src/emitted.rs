//! What is generated in Rust, held to a real database: statements, rows, formats.

mod formats;
mod guarded;
mod rows;
mod statements;
mod texts;
