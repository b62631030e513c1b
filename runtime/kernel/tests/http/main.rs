//! The HTTP layer alone: no entity, no database.

mod layers;
mod sockets;
mod support;
