//! The expected output of `codegen/tests/good/lifecycles` compiles: rows that are never deleted, never changed, or unread.

#[path = "../../codegen/tests/good/lifecycles/generated/src/lib.rs"]
mod generated;

pub use generated::*;

use kernel::{Cx, Result, prelude::BoxFuture};

pub struct Product;

impl hooks::AppHooks for Product {
    fn visit_before_create<'a>(
        &'a self,
        _cx: &'a mut Cx,
        _input: &'a mut visit::CreateVisit,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
