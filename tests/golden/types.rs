//! The expected output of `codegen/tests/good/types` compiles: a field of every type, no hooks.

#[path = "../../codegen/tests/good/types/generated/src/lib.rs"]
mod generated;

pub use generated::*;

pub struct Product;

impl hooks::AppHooks for Product {}
