//! What somebody with bad intentions tries, by the number of the case.

mod bodies;
mod fields;
mod grants;
mod hidden;
mod issuer;
mod modules;
mod references;
mod refresh;
mod roles;
mod sessions;
mod sign_in;
mod texts;
mod tokens;
