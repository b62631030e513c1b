//! Reads the spec and writes the backend.
//!
//! Depends on none of our crates, talks to no database, knows no HTTP.

pub mod emit;
pub mod model;
pub mod objects;
