//! What the fakes of services share: an HTTP server on a loopback port, and sending of webhooks. Knows no service.

mod post;
mod server;
mod webhooks;

pub use post::post;
pub use server::{Answer, Received, serve};
pub use webhooks::send_due;
