//! The engine over a real PostgreSQL: `TEST_DATABASE_URL` names one where databases may be created.

mod actions;
mod connections;
mod lists;
mod reads;
mod support;
mod things;
mod trips;
mod writes;
