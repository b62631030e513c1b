//! Members who were created through the API: by signing up, following the link in the mail, and signing in.

use super::{Answer, Client, TestServer};
use serde_json::json;
use std::time::Duration;

pub const PASSWORD: &str = "seven small elephants";

pub fn address(handle: &str) -> String {
    format!("{handle}@example.org")
}

/// Creates a member with [`PASSWORD`] through the API.
pub async fn sign_up(server: &TestServer, handle: &str) {
    let body = json!({"email": address(handle), "handle": handle, "display_name": handle});
    server.client.post("/auth/sign-up", body).await.expect(202);
    let token = mailed_token(server, &address(handle), 0).await;
    let body = json!({"token": token, "password": PASSWORD});
    server
        .client
        .post("/auth/verify-email", body)
        .await
        .expect(204);
}

pub async fn sign_in(client: &Client, handle: &str, password: &str) -> Answer {
    let body = json!({"email": address(handle), "password": password});
    client.post("/auth/sign-in", body).await
}

pub async fn refresh(client: &Client, token: &str) -> Answer {
    client
        .post("/auth/refresh", json!({ "refresh_token": token }))
        .await
}

/// The token of the link in the latest mail to an address, once there are more than `before` mails in total.
pub async fn mailed_token(server: &TestServer, to: &str, before: usize) -> String {
    for _ in 0..400 {
        let text = server
            .mailer
            .last_to(to)
            .filter(|_| server.mailer.count() > before);
        if let Some((_, rest)) = text.as_deref().and_then(|text| text.split_once("#token=")) {
            return rest.split_whitespace().next().expect("a token").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no mail with a link to {to}");
}
