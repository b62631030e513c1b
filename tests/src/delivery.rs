//! Sending of mails and pushes, with fake services (`fakes/messengers`) and a real mail server.

mod feedback;
mod logs;
mod mail;
pub mod push;
pub mod services;
