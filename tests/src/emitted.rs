//! What is written down in Rust, by the generator and by hand, held to a real database: statements, rows, formats.

mod formats;
mod functions;
mod guarded;
mod rows;
mod statements;
mod texts;
pub mod written;
