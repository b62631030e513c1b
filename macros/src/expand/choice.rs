//! `#[derive(Choice)]`: generates the list of words; a macro of `kernel` does everything else.

use super::Derive;
use crate::ast::{Enum, Variant};
use crate::attr::ChoiceAttr;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, Result};

#[allow(non_upper_case_globals)]
pub const derive: Derive = Derive {
    expand,
    fallback: crate::fallback::choice,
};

/// The word of a variant: `PartRefunded` → `part_refunded`, unless it is renamed.
pub fn word(variant: &Variant) -> String {
    if let Some(ChoiceAttr::Rename(word)) = variant.attrs.last() {
        return word.value();
    }
    let mut word = String::new();
    for (i, c) in variant.ident.unraw().to_string().char_indices() {
        if i > 0 && c.is_uppercase() {
            word.push('_');
        }
        word.extend(c.to_lowercase());
    }
    word
}

fn expand(node: &DeriveInput) -> Result<TokenStream> {
    let item = Enum::from_syn(node)?;
    crate::valid::choice(&item)?;
    let name = &item.ident;
    let words = item.variants.iter().map(word);
    let variants = item.variants.iter().map(|variant| &variant.ident);
    Ok(quote! {
        #[automatically_derived]
        impl ::kernel::input::Choice for #name {
            const WORDS: &'static [&'static str] = &[#(#words),*];
            const ALL: &'static [Self] = &[#(Self::#variants),*];
            fn as_str(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }
        ::kernel::choice_impls!(#name);
    })
}
