//! The second application: another shape, other roles, the same generator and the same engine.
//!
//! Its spec and generated crate lie in `tests/library`. Nothing of CulturePass takes part here.

mod catalogue;
mod desk;
mod world;
