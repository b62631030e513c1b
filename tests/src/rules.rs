//! Access rules: both compiled forms compared, and every route tried by every role.

mod differential;
pub mod oracle;
pub mod world;
