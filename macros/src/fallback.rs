//! Placeholder impls for types with errors, so that one mistake does not cause further errors where the impls are
//! used.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Error;

/// The error at its place in the source, and the items that other code refers to.
pub fn with(error: Error, items: TokenStream) -> TokenStream {
    let error = error.into_compile_error();
    quote!(#error #items)
}

pub fn entity(name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #name {
            pub fn from_row(_: &::kernel::private::PgRow) -> ::core::result::Result<Self, ::kernel::private::sqlx::Error> {
                ::core::unreachable!()
            }
            pub fn encode(
                _: &::kernel::private::PgRow,
                _: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), ::kernel::private::sqlx::Error> {
                ::core::unreachable!()
            }
        }
    }
}

pub fn input(name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl #name {
            pub fn decode(
                _: &[u8],
                _: ::kernel::input::Mode,
            ) -> ::core::result::Result<::std::boxed::Box<dyn ::kernel::input::Input>, ::kernel::input::Invalid> {
                ::core::unreachable!()
            }
        }
        #[automatically_derived]
        impl ::kernel::input::Input for #name {
            fn bind(&self, _: &mut ::kernel::private::PgArguments) -> ::core::result::Result<(), ::kernel::private::BoxDynError> {
                ::core::unreachable!()
            }
            fn as_any_mut(&mut self) -> &mut dyn ::core::any::Any {
                self
            }
            fn given(&self) -> ::std::vec::Vec<&'static str> {
                ::core::unreachable!()
            }
        }
    }
}

pub fn choice(name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::kernel::input::Choice for #name {
            const WORDS: &'static [&'static str] = &[];
            const ALL: &'static [Self] = &[];
            fn as_str(self) -> &'static str {
                ::core::unreachable!()
            }
        }
        ::kernel::choice_impls!(#name);
    }
}
