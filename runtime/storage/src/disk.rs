//! A folder of this machine, with upload URLs that are signed as those of a bucket are: with the same headers and the
//! same refusals.
//!
//! A bucket stores a file's type and checksum; this folder does not. They are known from the upload's announcement.

use crate::{Announced, Key};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use object_store::{ObjectStore, local::LocalFileSystem};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    error::Error as StdError,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tokio::io::AsyncWriteExt;
use url::Url;
use uuid::Uuid;

const TYPE: &str = "content-type";
const SUM: &str = "x-amz-checksum-sha256";
const ONCE: &str = "if-none-match";

impl Announced {
    /// The headers that a client must send. They have the names of S3's headers, so that clients need not know which
    /// store they talk to.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            (TYPE, self.content_type.to_owned()),
            (SUM, STANDARD.encode(self.sha256)),
            (ONCE, "*".to_owned()),
        ]
    }
}

/// What a client sent with a file: the parameters of the URL, and the headers. Missing ones are empty.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub id: Uuid,
    pub bytes: u64,
    pub expires_at: i64,
    /// The signature in hexadecimal.
    pub signature: String,
    pub content_type: String,
    pub checksum: String,
    pub if_none_match: String,
}

impl Received {
    /// The names of the required headers, in lower case.
    pub const HEADERS: [&'static str; 3] = [TYPE, SUM, ONCE];
}

/// Why an upload was refused. Nothing of the file is kept.
#[derive(Debug, thiserror::Error)]
pub enum Refused<E> {
    /// 403: the signature is wrong, or the URL has expired.
    #[error("the address does not count")]
    Denied,
    /// 412: there is a file already.
    #[error("there is one already")]
    Taken,
    /// 429: the file is being sent several times already.
    #[error("being sent already")]
    Busy,
    /// 413: the file is longer than announced.
    #[error("longer than {0} bytes")]
    TooLong(u64),
    /// 400: the file's length or checksum differs from the announced.
    #[error("not the file that was announced")]
    Other,
    /// The request's body can't be read.
    #[error("the body: {0}")]
    Body(E),
    /// An error of our own disk.
    #[error("the folder of files: {0}")]
    Folder(#[from] io::Error),
}

pub(crate) struct Disk {
    folder: PathBuf,
    uploads: Url,
    secret: SecretString,
    store: OnceLock<Arc<LocalFileSystem>>,
    /// How often each upload is being received now.
    receiving: Mutex<HashMap<Uuid, usize>>,
}

/// How often one upload may be received at the same time. More than once, because a client that has lost its
/// connection sends the file again before the server has noticed.
const AT_ONCE: usize = 2;

impl Disk {
    pub fn new(folder: PathBuf, uploads: Url, secret: SecretString) -> Self {
        Self {
            folder,
            uploads,
            secret,
            store: OnceLock::new(),
            receiving: Mutex::default(),
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
        // With automatic cleanup, a picture's folder is removed together with its last file.
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

    /// The MAC over all signed values. Each is preceded by its length, so that no bytes can be moved from one value to
    /// the next.
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
        let _receiving = self.begin(sent.id).ok_or(Refused::Busy)?;
        let half = Half(place.with_extension(Uuid::new_v4().to_string()));
        let sum = write(&half.0, sent.bytes, body).await?;
        if STANDARD.encode(sum) != sent.checksum {
            return Err(Refused::Other);
        }
        // If two uploads arrive at once, only the first succeeds.
        match tokio::fs::hard_link(&half.0, &place).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Refused::Taken),
            linked => Ok(linked?),
        }
    }
}

/// Counts an upload as being received until it is dropped.
struct Receiving<'a>(&'a Disk, Uuid);

impl Disk {
    /// None if the upload is being received as often as it may be: every attempt takes as much of the disk as the file
    /// has, and only one of them can succeed.
    fn begin(&self, id: Uuid) -> Option<Receiving<'_>> {
        let mut receiving = self
            .receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = receiving.entry(id).or_default();
        (*count < AT_ONCE).then(|| {
            *count += 1;
            Receiving(self, id)
        })
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        let mut receiving = (self.0.receiving.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = receiving.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                receiving.remove(&self.1);
            }
        }
    }
}

/// The temporary file of an upload in progress, deleted when the upload ends, whatever its result.
struct Half(PathBuf);

impl Drop for Half {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The maximum number of attempts to create a file, since its folder may be removed each time together with the
/// folder's last other file.
const TRIES: u32 = 100;

/// Creates a file in a folder that other tasks may create and remove at the same time.
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
            // The folder was created by another task in between, or removed before the file was created.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists)
                    && tries < TRIES => {}
            created => return created,
        }
    }
}

/// Writes the body to a file, holding one chunk in memory at a time, and returns its checksum.
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
