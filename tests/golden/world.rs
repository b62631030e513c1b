//! The expected output of `codegen/tests/good/world` compiles: hosts, roles, private members, transitions, hooks.

#[path = "../../codegen/tests/good/world/generated/src/lib.rs"]
mod generated;

pub use generated::*;

use kernel::{
    Cx, Result,
    prelude::{BoxFuture, Uuid},
};

pub struct Product;

impl hooks::AppHooks for Product {
    fn event_before_create<'a>(
        &'a self,
        _cx: &'a mut Cx,
        _input: &'a mut event::CreateEvent,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn event_before_publish<'a>(&'a self, _cx: &'a mut Cx, _id: Uuid) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
