//! What trends, what is followed, counted and rated, by the number of the requirement.

mod featured;
mod feed;
mod graph;
mod guards;
mod guests;
mod lists;
mod ranks;
mod ratings;
mod soak;
pub mod stage;
mod undone;
mod visits;
