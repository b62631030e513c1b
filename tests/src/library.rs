//! The second application: other entities and roles, with the same generator and engine.
//!
//! Its spec and generated crate are in `tests/library`. Nothing of CulturePass is used here.

mod addresses;
mod asking;
mod catalogue;
mod days;
mod desk;
mod world;
