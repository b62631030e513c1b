//! What somebody with bad intentions tries, by the number of the case.

mod archived;
mod bodies;
mod connections;
mod endings;
mod errors;
mod failures;
mod fields;
mod gone;
mod grants;
mod hidden;
mod issuer;
mod limits;
mod lists;
mod logs;
mod modules;
mod origins;
mod references;
mod refresh;
mod roles;
mod secrets;
mod sessions;
mod sign_in;
mod startup;
mod texts;
mod tokens;
mod versions;
