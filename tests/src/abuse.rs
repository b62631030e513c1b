//! What somebody with bad intentions tries, by the number of the case.

mod issuer;
mod refresh;
mod sessions;
mod sign_in;
mod tokens;
