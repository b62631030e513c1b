//! Three derives for what is mechanical about one Rust type.
//!
//! `Entity` reads a row and writes it as JSON, `Input` checks and binds a request body, `Choice` makes an
//! enum a closed set of words. The expansions are thin: what they do is in `kernel`, which they name.
//! This crate looks at one type at a time; it reads no file and makes no type.

mod ast;
mod attr;
mod expand;
mod fallback;
mod valid;

use proc_macro::TokenStream;

/// `from_row` and `encode`, by column position: the struct's order is the statement's.
/// `#[entity(private)]` on a field: only some see it, and the row says behind its columns which of these its reader does.
#[proc_macro_derive(Entity, attributes(entity))]
pub fn entity(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::entity::derive).into()
}

/// `decode` and `kernel::input::Input` for `#[input(create)]` and `#[input(update)]`; a value inside of a body
/// for `#[input(object)]`; a body of a hand-written route, with its part of the API document, for `#[input(body)]`.
#[proc_macro_derive(Input, attributes(input))]
pub fn input(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::input::derive).into()
}

/// `kernel::input::Choice`: the words of an enum, `snake_case` unless `#[choice(rename = "…")]` says otherwise.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn choice(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::choice::derive).into()
}

#[cfg(test)]
mod golden;
