//! What somebody with bad intentions tries, by the number of the case.

mod bodies;
mod fields;
mod issuer;
mod refresh;
mod sessions;
mod sign_in;
mod texts;
mod tokens;
