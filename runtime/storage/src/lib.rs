//! Where files lie: a folder of this machine, or a bucket that speaks S3.
//!
//! Under keys of our own only, so that no name that somebody sends becomes a path. Clients put their files there by
//! themselves, with an address that is signed and counts for a while; how that is signed differs, what holds for it does not:
//! the type, the sum and "only once" are part of it. Knows no table, no route and no picture.

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

/// Where, and what signs addresses for uploads.
#[derive(Clone, Debug)]
pub enum Place {
    Disk {
        /// Made when it is first needed.
        folder: PathBuf,
        /// `https://api.example.org/media/uploads`; a file is put to `<this>/<id>/file`.
        uploads: Url,
        secret: SecretString,
    },
    Bucket(Bucket),
}

/// Of a file that somebody is about to send.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: Uuid,
    pub content_type: &'static str,
    pub sha256: [u8; 32],
    pub bytes: u64,
    /// Unix time after which it is refused.
    pub expires_at: i64,
}

/// What the client needs to send it: a PUT to this address with exactly these headers.
#[derive(Clone, Debug)]
pub struct SignedUpload {
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
pub struct Listed {
    pub path: String,
    /// The second part of its path, if it is an id as in every key of ours.
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
    /// A mistake of ours: it would be held as long as the store takes.
    #[error("the store is asked while a database transaction is open")]
    InTransaction,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Cheap to clone.
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
    /// `in_transaction` says whether this task holds a database transaction open: the store is not asked then.
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

    /// How a client puts the file there. `now` is Unix time.
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

    /// Takes what a client sends to an address that this disk has signed. A bucket takes it by itself.
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

    /// How many bytes; `None`: it is not there.
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

    /// How many bytes, and they as they come.
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

    /// Whatever lies there is replaced.
    pub async fn put(&self, key: &Key, bytes: Vec<u8>, content_type: &'static str) -> Result<()> {
        let mut attributes = Attributes::new();
        // Files of a disk have none; who serves them says so.
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

    /// Takes the place of an upload with an empty file, so that its address, which is good for a while yet, takes nothing
    /// more: files are put only where there is none.
    pub async fn seal(&self, key: &Key) -> Result<()> {
        self.put(key, Vec::new(), "application/octet-stream").await
    }

    /// What is not there is deleted already.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.delete_at(&key.path()).await
    }

    /// By the path that a list has told.
    pub async fn delete_listed(&self, listed: &Listed) -> Result<()> {
        self.delete_at(&Path::from(listed.path.as_str())).await
    }

    async fn delete_at(&self, path: &Path) -> Result<()> {
        there(self.store()?.delete(path).await)?;
        Ok(())
    }

    /// Moves a file; what is not there is moved already.
    pub async fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        there(self.store()?.rename(&from.path(), &to.path()).await)?;
        Ok(())
    }

    /// Everything in one of the folders of [`Key`].
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

/// What lies under a key never changes.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

fn there<T>(found: object_store::Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
