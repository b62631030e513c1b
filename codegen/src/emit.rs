//! The list of every output: model → files.
//!
//! Each file kind is one module below; they read the model and nothing else.

pub mod migrations;
pub mod openapi;
pub mod schema;
