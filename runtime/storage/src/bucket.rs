//! A bucket that speaks S3: AWS, Cloudflare R2, MinIO, SeaweedFS and the like.

use crate::{Announced, Key, Result};
use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    signer::{HeaderValue, Method, SignedUrlOptions, Signer},
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;

#[derive(Clone, Debug)]
pub struct Bucket {
    /// The bucket's name. It must exist; it is not created here.
    pub name: String,
    pub region: String,
    /// The service's address. None: AWS.
    pub endpoint: Option<Url>,
    /// The access key's id and secret. None: the credentials of the machine (an instance's role).
    pub login: Option<(String, SecretString)>,
    /// The time limit of a request, and of all its retries.
    pub timeout: Duration,
}

impl Bucket {
    pub(crate) fn open(self) -> Result<AmazonS3> {
        let client = ClientOptions::new()
            .with_timeout(self.timeout)
            .with_connect_timeout(self.timeout.min(Duration::from_secs(5)));
        // Few retries, since a client's request waits meanwhile: it should be told soon that the store is unavailable.
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: self.timeout,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(self.name)
            .with_region(self.region)
            .with_retry(retry);
        let mut client = client;
        if let Some(endpoint) = self.endpoint {
            if endpoint.scheme() == "http" {
                client = client.with_allow_http(true);
            }
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        if let Some((id, secret)) = self.login {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret.expose_secret());
        }
        Ok(builder.with_client_options(client).build()?)
    }
}

/// Signs an upload URL. The length can't be signed; it is compared with the announced length after the upload.
pub(crate) async fn sign(
    bucket: &AmazonS3,
    announced: &Announced,
    time: Duration,
    headers: &[(&'static str, String)],
) -> Result<Url> {
    let mut options = SignedUrlOptions::new();
    for (name, value) in headers {
        let value = HeaderValue::try_from(value.as_str()).expect("headers of ours are ASCII");
        options = options.with_signed_header(name.parse().expect("a name"), value);
    }
    let path = Key::incoming(announced.id).path();
    Ok(bucket
        .signed_url_opts(Method::PUT, &path, time, &options)
        .await?)
}
