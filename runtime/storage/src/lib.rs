//! Storage of files: a folder of this machine, or a bucket that speaks S3.
//!
//! Files have keys of our own only, so that no name sent by a client becomes a path. Clients upload files directly to
//! the store, by a signed URL that expires. The two stores sign differently, but enforce the same: type, checksum and
//! "only once" are part of the signature. This crate may not know a table, a route or a picture.

mod bucket;
mod disk;
mod key;

pub use bucket::Bucket;
pub use disk::{Received, Refused};
pub use key::Key;

use bytes::Bytes;
use disk::Disk;
use futures_util::{Stream, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions, aws::AmazonS3, path::Path,
};
use secrecy::SecretString;
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use url::Url;
use uuid::Uuid;

/// Where files are stored, and what is needed to sign upload URLs.
#[derive(Clone, Debug)]
pub enum Place {
    Disk {
        /// The folder, created when it is first needed.
        folder: PathBuf,
        /// The base of upload URLs: `https://api.example.org/media/uploads`; a file is put to `<this>/<id>/file`.
        uploads: Url,
        secret: SecretString,
    },
    Bucket(Bucket),
}

/// The description of a file that a client is about to upload.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: Uuid,
    pub content_type: &'static str,
    pub sha256: [u8; 32],
    pub bytes: u64,
    /// The Unix time after which the upload is refused.
    pub expires_at: i64,
}

/// What a client needs for the upload: a PUT to this URL with exactly these headers.
#[derive(Clone, Debug)]
pub struct SignedUpload {
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
pub struct Listed {
    pub path: String,
    /// The second part of the path, if it is an id, as in all our keys.
    pub id: Option<Uuid>,
    pub modified: SystemTime,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] object_store::Error),
    #[error("the folder of files: {0}")]
    Folder(#[from] io::Error),
    /// A bug of the caller: the transaction would stay open until the store has answered.
    #[error("the store is asked while a database transaction is open")]
    InTransaction,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The storage. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    backend: Arc<Backend>,
    in_transaction: fn() -> bool,
}

enum Backend {
    Disk(Disk),
    Bucket(AmazonS3),
}

impl Storage {
    /// `in_transaction` tells whether the current task has a database transaction open; if so, calls to the store are
    /// refused.
    pub fn new(place: Place, in_transaction: fn() -> bool) -> Result<Self> {
        let backend = match place {
            Place::Disk {
                folder,
                uploads,
                secret,
            } => Backend::Disk(Disk::new(folder, uploads, secret)),
            Place::Bucket(bucket) => Backend::Bucket(bucket.open()?),
        };
        Ok(Self {
            backend: Arc::new(backend),
            in_transaction,
        })
    }

    /// Returns how a client uploads the file. `now` is Unix time.
    pub async fn sign_upload(&self, announced: &Announced, now: i64) -> Result<SignedUpload> {
        let headers = announced.headers();
        let url = match &*self.backend {
            Backend::Disk(disk) => disk.sign(announced),
            Backend::Bucket(bucket) => {
                let seconds = announced.expires_at.saturating_sub(now).max(1);
                let time = Duration::from_secs(seconds.unsigned_abs());
                bucket::sign(bucket, announced, time, &headers).await?
            }
        };
        Ok(SignedUpload { url, headers })
    }

    /// Receives an upload to a URL that was signed for the folder. Uploads to a bucket go to the bucket directly.
    pub async fn receive<E: std::error::Error + 'static>(
        &self,
        sent: &Received,
        now: i64,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(), Refused<E>> {
        match &*self.backend {
            Backend::Disk(disk) => disk.receive(sent, now, body).await,
            Backend::Bucket(_) => Err(Refused::Denied),
        }
    }

    /// The size of a file in bytes. `None`: the file does not exist.
    pub async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let found = self.store()?.head(&key.path()).await;
        Ok(there(found)?.map(|found| found.size))
    }

    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>> {
        match there(self.store()?.get(&key.path()).await)? {
            Some(found) => Ok(there(found.bytes().await)?),
            None => Ok(None),
        }
    }

    /// The size of a file in bytes, and its content as a stream. `None`: the file does not exist.
    pub async fn read(
        &self,
        key: &Key,
    ) -> Result<Option<(u64, BoxStream<'static, Result<Bytes>>)>> {
        let found = there(self.store()?.get(&key.path()).await)?;
        Ok(found.map(|found| {
            let size = found.meta.size;
            let stream: BoxStream<'static, Result<Bytes>> =
                Box::pin(found.into_stream().map_err(Error::from));
            (size, stream)
        }))
    }

    /// Writes a file, replacing an existing one.
    pub async fn put(&self, key: &Key, bytes: Vec<u8>, content_type: &'static str) -> Result<()> {
        let mut attributes = Attributes::new();
        // Files on disk have no attributes; the route that serves them sets the headers.
        if let Backend::Bucket(_) = &*self.backend {
            attributes.insert(Attribute::ContentType, content_type.into());
            attributes.insert(Attribute::CacheControl, CACHE_CONTROL.into());
        }
        let options = PutOptions {
            attributes,
            ..PutOptions::default()
        };
        self.store()?
            .put_opts(&key.path(), bytes.into(), options)
            .await?;
        Ok(())
    }

    /// Replaces an upload by an empty file, so that its URL, which may still be valid, accepts no further file: an
    /// upload never replaces an existing file.
    pub async fn seal(&self, key: &Key) -> Result<()> {
        self.put(key, Vec::new(), "application/octet-stream").await
    }

    /// Deletes a file. A missing file is not an error.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.delete_at(&key.path()).await
    }

    /// Deletes a file by the path of its listing.
    pub async fn delete_listed(&self, listed: &Listed) -> Result<()> {
        self.delete_at(&Path::from(listed.path.as_str())).await
    }

    async fn delete_at(&self, path: &Path) -> Result<()> {
        there(self.store()?.delete(path).await)?;
        Ok(())
    }

    /// Moves a file. A missing file counts as moved already and is not an error.
    pub async fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        there(self.store()?.rename(&from.path(), &to.path()).await)?;
        Ok(())
    }

    /// Lists all files in one of the folders of [`Key`].
    pub fn list(&self, folder: &'static str) -> Result<BoxStream<'static, Result<Listed>>> {
        let found = self.store()?.list(Some(&Path::from(folder)));
        Ok(Box::pin(found.map_err(Error::from).map_ok(|one| {
            let path = one.location.to_string();
            let id = path.split(['/', '.']).nth(1);
            Listed {
                id: id.and_then(|id| Uuid::try_parse(id).ok()),
                modified: one.last_modified.into(),
                bytes: one.size,
                path,
            }
        })))
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        if (self.in_transaction)() {
            return Err(Error::InTransaction);
        }
        match &*self.backend {
            Backend::Disk(disk) => Ok(disk.store()?),
            Backend::Bucket(bucket) => Ok(Arc::new(bucket.clone())),
        }
    }
}

/// Files never change once they are served, so caches may keep them.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

fn there<T>(found: object_store::Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
