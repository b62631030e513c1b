//! Uploads pictures as clients do: announces them, sends them to the URL in the answer, and completes them.

use super::{Answer, Client, Member, TestServer};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Cursor;

/// A JPEG file of this size, whose colours depend on the seed.
pub fn jpeg(width: u32, height: u32, seed: u8) -> Vec<u8> {
    encoded(width, height, seed, ImageFormat::Jpeg)
}

pub fn encoded(width: u32, height: u32, seed: u8, format: ImageFormat) -> Vec<u8> {
    let drawn = RgbImage::from_fn(width, height, |x, y| Rgb([seed, x as u8, y as u8]));
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::from(drawn);
    picture.write_to(&mut bytes, format).expect("a file");
    bytes.into_inner()
}

pub fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body that announces a file.
pub fn announcement(entity: &str, id: &str, content_type: &str, bytes: &[u8]) -> Value {
    json!({"entity_type": entity, "entity_id": id, "content_type": content_type, "bytes": bytes.len(),
        "sha256": sha256(bytes), "alt_text": "A picture"})
}

pub async fn announce(client: &Client, entity: &str, id: &str, bytes: &[u8]) -> Value {
    let body = announcement(entity, id, "image/jpeg", bytes);
    client.post("/media/uploads", body).await.expect(201).json
}

/// The request by which a file is sent to a server that stores files on disk: path with query, and headers.
pub fn way(upload: &Value) -> (String, Vec<(String, String)>) {
    let url = upload["url"].as_str().expect("an address");
    // `PUBLIC_URL` in tests; the server itself listens on another port.
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("ours");
    let headers = upload["headers"].as_object().expect("headers");
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()));
    (path.to_owned(), headers.collect())
}

/// Sends the file. No access token is needed, since the URL is signed.
pub async fn send(server: &TestServer, upload: &Value, bytes: &[u8]) -> Answer {
    let (path, headers) = way(upload);
    let headers: Vec<(&str, &str)> = (headers.iter())
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let put = Method::PUT;
    server
        .client
        .send_bytes(put, &path, bytes.to_vec(), &headers)
        .await
}

pub async fn complete(client: &Client, upload: &Value) -> Answer {
    let id = upload["id"].as_str().expect("an id");
    client.act(&format!("/media/uploads/{id}/complete")).await
}

/// Uploads a picture and returns the answer of `GET /media/{id}`.
pub async fn uploaded(
    server: &TestServer,
    member: &Member,
    entity: &str,
    id: &str,
    bytes: &[u8],
) -> Value {
    let upload = announce(&member.client, entity, id, bytes).await;
    send(server, &upload, bytes).await.expect(204);
    complete(&member.client, &upload).await.expect(200).json
}

/// Uploads a picture and returns its id.
pub async fn shown(server: &TestServer, member: &Member, entity: &str, id: &str) -> String {
    let picture = uploaded(server, member, entity, id, &jpeg(40, 30, 1)).await;
    picture["id"].as_str().expect("an id").to_owned()
}

/// Requests the file at a URL of the API: status, headers, bytes.
pub async fn file(server: &TestServer, url: &str) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("ours");
    let asked = reqwest::Client::builder().no_proxy().build();
    let answer = asked
        .expect("a client")
        .get(format!("{}{path}", server.client.base()))
        .send()
        .await
        .expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (
        status,
        headers,
        answer.bytes().await.expect("bytes").to_vec(),
    )
}
