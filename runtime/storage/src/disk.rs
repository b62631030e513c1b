//! A folder of this machine, and addresses for uploads that are signed as a bucket's are: same headers, same refusals.
//!
//! What a bucket keeps beside a file, its type and sum, is not kept: who has announced it knows.

use crate::{Announced, Key};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use object_store::{ObjectStore, local::LocalFileSystem};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{
    error::Error as StdError,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, OnceLock},
};
use tokio::io::AsyncWriteExt;
use url::Url;
use uuid::Uuid;

const TYPE: &str = "content-type";
const SUM: &str = "x-amz-checksum-sha256";
const ONCE: &str = "if-none-match";

impl Announced {
    /// Called as S3 calls them, so that a client need not know which store it talks to.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            (TYPE, self.content_type.to_owned()),
            (SUM, STANDARD.encode(self.sha256)),
            (ONCE, "*".to_owned()),
        ]
    }
}

/// What came with a file: the query of the address, and the headers. Empty where it did not come.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub id: Uuid,
    pub bytes: u64,
    pub expires_at: i64,
    /// In hexadecimal.
    pub signature: String,
    pub content_type: String,
    pub checksum: String,
    pub if_none_match: String,
}

impl Received {
    /// The headers that have to come, in lower case.
    pub const HEADERS: [&'static str; 3] = [TYPE, SUM, ONCE];
}

/// Why a file was not taken. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum Refused<E> {
    /// 403: not what was signed, or too late.
    #[error("the address does not count")]
    Denied,
    /// 412
    #[error("there is one already")]
    Taken,
    /// 413
    #[error("longer than {0} bytes")]
    TooLong(u64),
    /// 400: other bytes than announced.
    #[error("not the file that was announced")]
    Other,
    /// What the client sends can't be read.
    #[error("the body: {0}")]
    Body(E),
    /// Ours.
    #[error("the folder of files: {0}")]
    Folder(#[from] io::Error),
}

pub(crate) struct Disk {
    folder: PathBuf,
    uploads: Url,
    secret: SecretString,
    store: OnceLock<Arc<LocalFileSystem>>,
}

impl Disk {
    pub fn new(folder: PathBuf, uploads: Url, secret: SecretString) -> Self {
        Self {
            folder,
            uploads,
            secret,
            store: OnceLock::new(),
        }
    }

    pub fn store(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let made = fs::create_dir_all(&self.folder);
        made.map_err(|source| object_store::Error::Generic {
            store: "disk",
            source: source.into(),
        })?;
        // Its folders of single pictures go with what was in them.
        let store = LocalFileSystem::new_with_prefix(&self.folder)?.with_automatic_cleanup(true);
        Ok(self.store.get_or_init(|| Arc::new(store)).clone())
    }

    pub fn sign(&self, announced: &Announced) -> Url {
        let mut url = self.uploads.clone();
        url.path_segments_mut()
            .expect("an address of http")
            .pop_if_empty()
            .extend([announced.id.to_string().as_str(), "file"]);
        let mut received = Received {
            id: announced.id,
            bytes: announced.bytes,
            expires_at: announced.expires_at,
            ..Received::default()
        };
        let [content_type, checksum, if_none_match] =
            announced.headers().try_into().expect("three");
        received.content_type = content_type.1;
        received.checksum = checksum.1;
        received.if_none_match = if_none_match.1;
        let signature = hex::encode(self.mac(&received).finalize().into_bytes());
        url.query_pairs_mut()
            .append_pair("bytes", &announced.bytes.to_string())
            .append_pair("expires", &announced.expires_at.to_string())
            .append_pair("signature", &signature);
        url
    }

    /// Over everything that counts, each behind its length, so that nothing can be moved from one to the next.
    fn mac(&self, sent: &Received) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .expect("any length will do");
        let numbers = [sent.bytes.to_string(), sent.expires_at.to_string()];
        for part in [
            "PUT",
            &sent.id.to_string(),
            &numbers[0],
            &numbers[1],
            &sent.content_type,
            &sent.checksum,
            &sent.if_none_match,
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    pub async fn receive<E: StdError + 'static>(
        &self,
        sent: &Received,
        now: i64,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(), Refused<E>> {
        let signature = hex::decode(&sent.signature).map_err(|_| Refused::Denied)?;
        let is_ours = self.mac(sent).verify_slice(&signature).is_ok();
        if !is_ours || now > sent.expires_at {
            return Err(Refused::Denied);
        }
        let place = self.folder.join(Key::incoming(sent.id).to_string());
        if tokio::fs::try_exists(&place).await? {
            return Err(Refused::Taken);
        }
        let half = Half(place.with_extension(Uuid::new_v4().to_string()));
        let sum = write(&half.0, sent.bytes, body).await?;
        if STANDARD.encode(sum) != sent.checksum {
            return Err(Refused::Other);
        }
        // Of two that arrive at once one is first.
        match tokio::fs::hard_link(&half.0, &place).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Refused::Taken),
            linked => Ok(linked?),
        }
    }
}

/// What has come so far. Is gone however it ends.
struct Half(PathBuf);

impl Drop for Half {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// So often in a row the folder of a new file may go away, with the last of its other files.
const TRIES: u32 = 100;

/// A new file in a folder that others make and clean up at the same time.
async fn create(path: &Path) -> io::Result<tokio::fs::File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut tries = 0;
    loop {
        let created = match tokio::fs::create_dir_all(folder).await {
            Ok(()) => tokio::fs::File::create_new(path).await,
            Err(error) => Err(error),
        };
        tries += 1;
        match created {
            // It was there when it was to be made, or not any more when the file was.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists)
                    && tries < TRIES => {}
            created => return created,
        }
    }
}

/// Keeps one piece of the body in memory at a time.
async fn write<E: StdError + 'static>(
    path: &Path,
    bytes: u64,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<[u8; 32], Refused<E>> {
    let mut file = create(path).await?;
    let mut body = pin!(body);
    let mut sum = Sha256::new();
    let mut left = bytes;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Refused::Body)?;
        left = left
            .checked_sub(piece.len() as u64)
            .ok_or(Refused::TooLong(bytes))?;
        sum.update(&piece);
        file.write_all(&piece).await?;
    }
    if left > 0 {
        return Err(Refused::Other);
    }
    file.flush().await?;
    file.sync_all().await?;
    Ok(sum.finalize().into())
}
