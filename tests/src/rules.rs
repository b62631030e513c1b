//! Access rules: both compiled forms compared, and every route tried by every role.

mod differential;
mod oracle;
mod world;
