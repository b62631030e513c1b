//! The HTTP server: broken connections, webhooks, and the pages for buyers.

use crate::support::{id, text};
use fake_stripe::{
    Clock, Config, Fake, server, signature,
    webhook::{Endpoint, Target},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

struct Running {
    fake: Arc<Fake>,
    port: u16,
}

async fn start() -> Running {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fake = Arc::new(Fake::new(Config {
        clock: Clock::Running { ahead: 0 },
        base_url: format!("http://127.0.0.1:{port}"),
        ..Config::default()
    }));
    tokio::spawn(server::serve(Arc::clone(&fake), listener));
    Running { fake, port }
}

/// Returns the status, head and body. None: the connection was closed without an answer.
async fn exchange(
    port: u16,
    method: &str,
    path: &str,
    body: &str,
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_test_x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_owned(), body.to_owned()))
}

async fn json(port: u16, method: &str, path: &str, body: &str) -> Value {
    let (status, _, body) = exchange(port, method, path, body).await.expect("an answer");
    assert_eq!(status, 200, "{method} {path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_fault_closes_the_connection_without_an_answer() {
    let Running { fake, port } = start().await;
    let fault = json!({ "kind": "drop_after", "times": 1, "path": "/v1/customers" }).to_string();
    json(port, "POST", "/_fake/faults", &fault).await;
    assert!(
        exchange(port, "POST", "/v1/customers", "email=a%40example.org")
            .await
            .is_none()
    );
    assert_eq!(fake.all("customers").len(), 1);
    let customer = json(port, "POST", "/v1/customers", "email=b%40example.org").await;
    assert_eq!(customer["email"], "b@example.org");
    assert!(
        json(port, "GET", "/_fake/audit", "").await["wrong"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn webhooks_arrive_signed_and_again_after_a_refusal() {
    let Running { fake, port } = start().await;
    let receiver = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/webhooks/stripe", receiver.local_addr().unwrap());
    let secrets = vec!["whsec_test".to_owned()];
    fake.set_endpoint(
        Target::Platform,
        Some(Endpoint {
            url,
            secrets: secrets.clone(),
        }),
    );
    json(port, "POST", "/v1/customers", "email=a%40example.org").await;
    for status in ["500 No", "200 OK"] {
        let (mut stream, _) = timeout(Duration::from_secs(10), receiver.accept())
            .await
            .expect("a webhook")
            .unwrap();
        let mut request = String::new();
        let mut part = [0; 8192];
        while !request.contains("\r\n\r\n") || !request.trim_end().ends_with('}') {
            let read = stream.read(&mut part).await.unwrap();
            request.push_str(&String::from_utf8_lossy(&part[..read]));
        }
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header = head
            .lines()
            .find_map(|line| line.strip_prefix("stripe-signature: "))
            .unwrap();
        assert!(signature::verify(
            &secrets,
            header,
            body.as_bytes(),
            fake.now()
        ));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The refused webhook is due again later, so the clock is advanced.
        tokio::time::sleep(Duration::from_millis(200)).await;
        fake.advance(60);
    }
}

#[tokio::test]
async fn a_buyer_pays_on_the_page() {
    let Running { fake, port } = start().await;
    let fields = "amount=1999&currency=usd&confirm=true&payment_method=pm_card_authenticationRequired\
                  &return_url=https%3A%2F%2Fexample.org%2Fdone";
    let intent = json(port, "POST", "/v1/payment_intents", fields).await;
    let url = text(&intent["next_action"]["redirect_to_url"]["url"]);
    let path = url
        .strip_prefix(&format!("http://127.0.0.1:{port}"))
        .unwrap();
    let (_, _, page) = exchange(port, "GET", path, "").await.unwrap();
    assert!(page.contains("3-D Secure"), "{page}");
    let (status, head, _) = exchange(port, "POST", path, "action=authenticate")
        .await
        .unwrap();
    assert_eq!(status, 303);
    assert!(
        head.contains("https://example.org/done?payment_intent=pi_"),
        "{head}"
    );
    assert_eq!(fake.object(&id(&intent)).unwrap()["status"], "succeeded");

    // The page can't be opened without the secret.
    let path = format!("/_fake/pay/{}?client_secret=wrong", id(&intent));
    assert_eq!(exchange(port, "GET", &path, "").await.unwrap().0, 404);

    let open = json(
        port,
        "POST",
        "/v1/payment_intents",
        "amount=1999&currency=usd",
    )
    .await;
    let path = format!(
        "/_fake/pay/{}?client_secret={}",
        id(&open),
        text(&open["client_secret"])
    );
    let (_, _, page) = exchange(port, "POST", &path, "action=pay&card=4000000000009995")
        .await
        .unwrap();
    assert!(page.contains("insufficient funds"), "{page}");
    let (_, _, page) = exchange(port, "POST", &path, "action=pay&number=4242+4242+4242+4242")
        .await
        .unwrap();
    assert!(page.contains("succeeded"), "{page}");
    assert_eq!(fake.books()["usd"].captured, 2 * 1999);
}

#[tokio::test]
async fn an_owner_onboards_once() {
    let Running { fake, port } = start().await;
    let account = id(&json(port, "POST", "/v1/accounts", "type=express").await);
    let fields = format!(
        "account={account}&type=account_onboarding&refresh_url=https%3A%2F%2Fexample.org%2Fagain\
         &return_url=https%3A%2F%2Fexample.org%2Fback"
    );
    let link = json(port, "POST", "/v1/account_links", &fields).await;
    let url = text(&link["url"]);
    let path = url
        .strip_prefix(&format!("http://127.0.0.1:{port}"))
        .unwrap();
    assert_eq!(exchange(port, "GET", path, "").await.unwrap().0, 200);
    assert_eq!(fake.object(&account).unwrap()["charges_enabled"], false);
    assert_eq!(exchange(port, "POST", path, "").await.unwrap().0, 303);
    assert_eq!(fake.object(&account).unwrap()["charges_enabled"], true);
    assert_eq!(exchange(port, "POST", path, "").await.unwrap().0, 404);
}
