//! Mail that stays in memory, so that a test can follow the link in it.

use app::mail::{Mail, Mailer, Undelivered};
use futures_util::future::BoxFuture;
use std::sync::Mutex;

#[derive(Default)]
pub struct MemoryMailer(Mutex<Vec<(String, String)>>);

impl MemoryMailer {
    /// The text of the last message to this address.
    pub fn last_to(&self, address: &str) -> Option<String> {
        let sent = self.0.lock().expect("mail");
        sent.iter()
            .rev()
            .find(|(to, _)| to == address)
            .map(|(_, text)| text.clone())
    }

    pub fn count_to(&self, address: &str) -> usize {
        let sent = self.0.lock().expect("mail");
        sent.iter().filter(|(to, _)| to == address).count()
    }

    pub fn count(&self) -> usize {
        self.0.lock().expect("mail").len()
    }
}

impl Mailer for MemoryMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), Undelivered>> {
        self.0.lock().expect("mail").push((mail.to, mail.text));
        Box::pin(std::future::ready(Ok(())))
    }
}
