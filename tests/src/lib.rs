//! System tests, one binary: what the parts do together, over a real PostgreSQL.

#[cfg(test)]
mod database;
#[cfg(test)]
mod support;
