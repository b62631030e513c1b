//! `#[derive(Entity)]`: generates a line for each column; `kernel::value` does the work.

use super::Derive;
use crate::ast::{Field, Struct};
use crate::attr::EntityAttr;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Result};

#[allow(non_upper_case_globals)]
pub const derive: Derive = Derive {
    expand,
    fallback: crate::fallback::entity,
};

fn expand(node: &DeriveInput) -> Result<TokenStream> {
    let item = Struct::from_syn(node)?;
    let name = &item.ident;
    let count = item.fields.len();
    let columns = item.fields.iter().map(column);
    let reads = item.fields.iter().enumerate().map(|(i, field)| {
        let ident = &field.ident;
        quote!(#ident: ::kernel::value::column(row, #i)?)
    });
    Ok(quote! {
        #[automatically_derived]
        // For an entity that is never written as JSON, `encode` is unused.
        #[allow(dead_code)]
        impl #name {
            const COLUMNS: [::kernel::value::Column; #count] = [#(#columns),*];

            /// Reads a row whose columns stand in the order of the fields.
            pub fn from_row(row: &::kernel::private::PgRow) -> ::core::result::Result<Self, ::kernel::private::sqlx::Error> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }

            /// Writes such a row as members of a JSON object, without making a struct of it.
            pub fn encode(
                row: &::kernel::private::PgRow,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), ::kernel::private::sqlx::Error> {
                ::kernel::value::encode_row(row, &Self::COLUMNS, out)
            }
        }

        #[automatically_derived]
        impl<'r> ::kernel::private::sqlx::FromRow<'r, ::kernel::private::PgRow> for #name {
            fn from_row(row: &'r ::kernel::private::PgRow) -> ::core::result::Result<Self, ::kernel::private::sqlx::Error> {
                Self::from_row(row)
            }
        }
    })
}

fn column(field: &Field) -> TokenStream {
    let key = format!("\"{}\":", field.name());
    let ty = &field.ty;
    let private = field
        .entity
        .iter()
        .any(|attr| matches!(attr, EntityAttr::Private));
    quote! {
        ::kernel::value::Column { key: #key, write: <#ty as ::kernel::value::Cell>::write, private: #private }
    }
}
