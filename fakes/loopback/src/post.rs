//! Sends a webhook, over plain HTTP because the endpoint is on this machine.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the webhook and returns the status of the answer. `headers` are those that differ between services.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16> {
    timeout(PATIENCE, exchange(url, headers, body))
        .await
        .context("no answer in time")?
}

async fn exchange(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16> {
    let uri: Uri = url.parse().context("the webhook's URL")?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "webhooks go to http:// only"
    );
    let host = uri.host().context("the webhook's URL has no host")?;
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path).header(header::HOST, format!("{host}:{port}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    // The answer is read to its end, since the other side would otherwise see a broken connection.
    let _ = response.into_body().collect().await;
    driver.abort();
    Ok(status)
}
