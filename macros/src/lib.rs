//! Three derives for the mechanical code about a type.
//!
//! `Entity` reads a row and writes it as JSON, `Input` checks and binds a request body, and `Choice` makes an enum a
//! closed set of words. The expansions are short, since they call functions of `kernel`. A derive sees one type at a
//! time; this crate reads no files and generates no types.

mod ast;
mod attr;
mod expand;
mod fallback;
mod valid;

use proc_macro::TokenStream;

/// `from_row` and `encode`, which read columns by position: the order of the fields is that of the statement's
/// columns. `#[entity(private)]` marks a field that not every caller may see; after its columns, a row says which of
/// these fields the caller may see.
#[proc_macro_derive(Entity, attributes(entity))]
pub fn entity(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::entity::derive).into()
}

/// `decode` and `kernel::input::Input` for `#[input(create)]` and `#[input(update)]`; a value inside of a body for
/// `#[input(object)]`; and, for `#[input(body)]`, the body of a hand-written route with its part of the API document.
#[proc_macro_derive(Input, attributes(input))]
pub fn input(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::input::derive).into()
}

/// `kernel::input::Choice`: the words of an enum, in `snake_case` unless `#[choice(rename = "…")]` gives another.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn choice(item: TokenStream) -> TokenStream {
    expand::expand(item.into(), expand::choice::derive).into()
}

#[cfg(test)]
mod golden;
