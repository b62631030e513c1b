//! Trending events, follows, counters and ratings, by the number of the requirement.

mod featured;
mod feed;
mod graph;
mod guards;
mod guests;
mod hidden;
mod lists;
mod ranks;
mod ratings;
mod soak;
pub mod stage;
mod undone;
mod visits;
