//! Jobs: what is enqueued runs at least once, whatever happens to transactions, workers and jobs.

mod dead;
mod events;
mod periodic;
mod pooler;
mod program;
mod queue;
mod rights;
mod worker;
mod workers;
mod world;
