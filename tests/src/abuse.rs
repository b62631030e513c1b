//! What somebody with bad intentions tries, by the number of the case.

mod archived;
mod connections;
mod endings;
mod errors;
mod failures;
mod limits;
mod lists;
mod logs;
mod origins;
mod secrets;
mod startup;
mod versions;
