//! Sends what is due, several at once.

use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const TICK: Duration = Duration::from_millis(50);

/// Asks for what is due twenty times a second and sends it, at most so many at once, until the future is dropped.
pub async fn send_due<T: Send, F>(
    at_once: usize,
    due: impl Fn() -> Vec<T> + Send,
    send: impl Fn(T) -> F + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(at_once));
    loop {
        tokio::time::sleep(TICK).await;
        for one in due() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let sending = send(one);
            tokio::spawn(async move {
                sending.await;
                drop(place);
            });
        }
    }
}
