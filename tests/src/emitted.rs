//! Generated and hand-written Rust code, checked against a real database: statements, rows, formats.

mod ended;
mod formats;
mod forms;
mod functions;
mod guarded;
mod rows;
mod statements;
mod texts;
mod unseen;
pub mod written;
