//! The behaviour of every list, compared with a plain computation over the same rows.

mod actions;
mod as_typed;
mod expand;
mod filters;
mod firsts;
mod many_values;
mod pages;
mod places;
mod private_members;
mod search;
mod search_own;
mod ways;
