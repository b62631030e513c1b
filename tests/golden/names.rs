//! The expected output of `codegen/tests/good/names` compiles: names that generated code has for itself.

#[path = "../../codegen/tests/good/names/generated/src/lib.rs"]
mod generated;

pub use generated::*;

use kernel::cx::Cx;
use kernel::error::Result;
use kernel::prelude::{BoxFuture, Uuid};

pub struct Product;

impl hooks::AppHooks for Product {
    fn body_before_create<'a>(
        &'a self,
        _: &'a mut Cx,
        _: &'a mut body::CreateBody,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn body_before_update<'a>(
        &'a self,
        _: &'a mut Cx,
        _: Uuid,
        _: &'a mut body::UpdateBody,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn body_before_lock<'a>(&'a self, _: &'a mut Cx, _: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
