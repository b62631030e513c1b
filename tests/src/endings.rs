//! What has ended: operations, lists and jobs whose subject, owner or recipient was suspended, archived, cancelled or
//! refused meanwhile.

mod begun;
mod expected;
mod jobs;
mod named;
mod offered;
mod operations;
mod races;
mod scene;
mod shown;
mod ways;
