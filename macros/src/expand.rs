//! Type → impls. One file per derive; here is what they share.

pub mod choice;
pub mod entity;
pub mod input;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Result};

/// A derive: what to say for a good type, and what to fall back to for a bad one.
pub struct Derive {
    pub expand: fn(&DeriveInput) -> Result<TokenStream>,
    pub fallback: fn(&proc_macro2::Ident) -> TokenStream,
}

pub fn expand(item: TokenStream, derive: Derive) -> TokenStream {
    let node: DeriveInput = match syn::parse2(item) {
        Ok(node) => node,
        Err(error) => return error.into_compile_error(),
    };
    (derive.expand)(&node).unwrap_or_else(|error| {
        // Impls for a generic type would themselves be wrong.
        let items = match node.generics.params.is_empty() {
            true => (derive.fallback)(&node.ident),
            false => TokenStream::new(),
        };
        crate::fallback::with(error, items)
    })
}
