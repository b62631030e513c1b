//! The settings of pictures, and the construction of their store.

use kernel::http::ConfigError;
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};
use storage::{Bucket, Place};
use url::Url;

/// Pictures.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// The folder in which pictures are stored if no bucket is set. All servers and workers must use the same one.
    #[arg(long, env = "MEDIA_DIR", default_value = ".data/media")]
    pub media_dir: PathBuf,
    /// The S3 bucket in which pictures are stored instead. It must exist. Browsers upload files to it, so its CORS
    /// rules must allow `PUT` with any header.
    #[arg(long, env = "MEDIA_S3_BUCKET")]
    pub media_s3_bucket: Option<String>,
    /// Its region.
    #[arg(long, env = "MEDIA_S3_REGION", default_value = "us-east-1")]
    pub media_s3_region: String,
    /// The address of the service, if it is not AWS.
    #[arg(long, env = "MEDIA_S3_ENDPOINT")]
    pub media_s3_endpoint: Option<Url>,
    /// The id of the access key. Default: the role of the machine is used.
    #[arg(long, env = "MEDIA_S3_ACCESS_KEY_ID")]
    pub media_s3_access_key_id: Option<String>,
    /// The access key.
    #[arg(long, env = "MEDIA_S3_SECRET_ACCESS_KEY", hide_env_values = true)]
    pub media_s3_secret_access_key: Option<SecretString>,
    /// The address at which clients get pictures: a CDN that fetches them from `/media/files` of this API, or the
    /// folder `pictures` of the bucket. No other folder of the bucket may be public. Default: `PUBLIC_URL` with
    /// `/media/files`.
    #[arg(long, env = "MEDIA_PUBLIC_URL")]
    pub media_public_url: Option<Url>,
    /// The maximum size of an uploaded file.
    #[arg(long, env = "MEDIA_MAX_BYTES", default_value_t = 20 << 20, value_parser = clap::value_parser!(u64).range(1024..=100 << 20))]
    pub media_max_bytes: u64,
    /// The maximum size of all pictures of one member together.
    #[arg(long, env = "MEDIA_QUOTA_BYTES", default_value_t = 1 << 30,
        value_parser = clap::value_parser!(u64).range(1..=1 << 50))]
    pub media_quota_bytes: u64,
    /// The maximum number of uploads that one member may announce in a minute.
    #[arg(long, env = "MEDIA_UPLOADS_PER_MINUTE", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub media_uploads_per_minute: u32,
    /// The maximum number of pictures that are checked at the same time. Each may need half a gigabyte of memory for a
    /// moment.
    #[arg(long, env = "MEDIA_CHECKS_AT_ONCE", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub media_checks_at_once: u16,
    /// The number of days after which the files of an archived picture are deleted. Until then it can be restored.
    #[arg(long, env = "MEDIA_KEEP_DAYS", default_value_t = 30)]
    pub media_keep_days: u16,
}

/// The time limit of a request to the store, for which a client's request waits.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// Where files are stored; `uploads` is the URL at which this API receives files itself.
    pub fn place(&self, uploads: Url, secret: SecretString) -> Result<Place, ConfigError> {
        let wrong = |setting, reason: &str| ConfigError {
            setting,
            reason: reason.to_owned(),
        };
        let Some(name) = self.media_s3_bucket.clone() else {
            return Ok(Place::Disk {
                folder: self.media_dir.clone(),
                uploads,
                secret,
            });
        };
        let login = match (
            &self.media_s3_access_key_id,
            &self.media_s3_secret_access_key,
        ) {
            (Some(id), Some(secret)) => Some((id.clone(), secret.clone())),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "MEDIA_S3_ACCESS_KEY_ID",
                    "it goes together with MEDIA_S3_SECRET_ACCESS_KEY",
                ));
            }
        };
        let endpoint = self.media_s3_endpoint.clone();
        if endpoint.as_ref().is_some_and(|url| !is_web(url)) {
            return Err(wrong("MEDIA_S3_ENDPOINT", "an address of http or https"));
        }
        Ok(Place::Bucket(Bucket {
            name,
            region: self.media_s3_region.clone(),
            endpoint,
            login,
            timeout: TIMEOUT,
        }))
    }
}

pub fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}
