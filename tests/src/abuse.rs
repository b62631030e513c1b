//! What somebody with bad intentions tries, by the number of the case.

mod bodies;
mod fields;
mod grants;
mod issuer;
mod refresh;
mod roles;
mod sessions;
mod sign_in;
mod texts;
mod tokens;
