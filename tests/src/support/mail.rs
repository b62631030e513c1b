//! Mail and push messages kept in memory, so that tests can read them and follow links.

use delivery::{
    mail::{Mail, Mailer, Undelivered},
    push::{Push, Pusher, Unpushed},
};
use futures_util::future::BoxFuture;
use std::sync::Mutex;

#[derive(Default)]
pub struct MemoryMailer(Mutex<Vec<Mail>>);

impl MemoryMailer {
    /// The text of the latest mail to this address.
    pub fn last_to(&self, address: &str) -> Option<String> {
        self.all_to(address).pop().map(|mail| mail.text)
    }

    /// All mails to this address, oldest first.
    pub fn all_to(&self, address: &str) -> Vec<Mail> {
        let sent = self.0.lock().expect("mail");
        sent.iter()
            .filter(|mail| mail.to == address)
            .cloned()
            .collect()
    }

    /// All mails, oldest first.
    pub fn all(&self) -> Vec<Mail> {
        self.0.lock().expect("mail").clone()
    }

    pub fn count_to(&self, address: &str) -> usize {
        self.all_to(address).len()
    }

    pub fn count(&self) -> usize {
        self.0.lock().expect("mail").len()
    }
}

impl Mailer for MemoryMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<Option<String>, Undelivered>> {
        let id = mail.id.to_string();
        self.0.lock().expect("mail").push(mail);
        Box::pin(std::future::ready(Ok(Some(id))))
    }
}

#[derive(Default)]
pub struct MemoryPusher(Mutex<Vec<Push>>);

impl MemoryPusher {
    /// All push messages, oldest first.
    pub fn all(&self) -> Vec<Push> {
        self.0.lock().expect("push").clone()
    }
}

impl Pusher for MemoryPusher {
    fn send(&self, push: Push) -> BoxFuture<'_, Result<Option<String>, Unpushed>> {
        let id = push.id.to_string();
        self.0.lock().expect("push").push(push);
        Box::pin(std::future::ready(Ok(Some(id))))
    }
}
