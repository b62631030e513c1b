//! Generates impls for types, with a file for each derive; here is what the derives share.

pub mod choice;
pub mod entity;
pub mod input;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Result};

/// A derive: the function that generates the impls, and the one that generates placeholders if the type has errors.
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
        // For a generic type the placeholders would not compile either.
        let items = match node.generics.params.is_empty() {
            true => (derive.fallback)(&node.ident),
            false => TokenStream::new(),
        };
        crate::fallback::with(error, items)
    })
}
