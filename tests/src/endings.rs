//! What has ended: operations, lists and jobs whose subject, owner or recipient was suspended, archived, cancelled or
//! refused meanwhile.

mod audited;
mod begun;
mod expected;
mod jobs;
pub mod named;
mod offered;
pub mod operations;
pub mod races;
pub mod scene;
mod shown;
mod ways;
