//! How messages leave, against services that are played (`fakes/messengers`) and a real mail server.

mod feedback;
mod logs;
mod mail;
pub mod push;
pub mod services;
