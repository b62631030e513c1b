//! What the database enforces by itself, whatever client it has: rules, references, counters, the audit log.

mod actions;
mod along;
mod archive;
mod audit;
mod cascade;
mod context;
mod counters;
mod endings;
mod formats;
mod future;
mod guards;
mod keeps;
mod later;
mod lint;
mod places;
mod quotas;
mod races;
mod restore;
mod restore_states;
mod search;
mod search_eras;
mod seeded;
mod temporary;
mod world;
