//! Iceberg's `Storage` over an `ObjectStore`.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{Attributes, ObjectStore, ObjectStoreExt, TagSet};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use tokio::sync::Semaphore;

use super::uri::BaseUri;
use super::writer::ObjectWriter;

/// Parts of large files that are under way at once, of all files together: what is sent at once has to arrive within
/// the time that a request may take.
const PARTS_AT_ONCE: usize = 8;

/// What every file that is written is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WriteOptions {
    pub(super) attributes: Attributes,
    pub(super) tags: TagSet,
}

/// A store that is open.
#[derive(Debug)]
pub(super) struct OpenStore {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) base: BaseUri,
    pub(super) write: WriteOptions,
}

/// Where files are.
pub(super) trait Locate: Debug + Send + Sync {
    /// The store that holds a location, and its path there.
    fn locate(&self, location: &str) -> Result<(Arc<OpenStore>, Path)>;
}

/// All files are in one store.
#[derive(Debug)]
pub(super) struct OneStore(pub(super) Arc<OpenStore>);

impl Locate for OneStore {
    fn locate(&self, location: &str) -> Result<(Arc<OpenStore>, Path)> {
        Ok((self.0.clone(), self.0.base.path(location)?))
    }
}

#[derive(Debug, Clone)]
pub(super) struct ObjectStorage {
    places: Arc<dyn Locate>,
    parts: Arc<Semaphore>,
}

impl ObjectStorage {
    pub(super) fn new(places: Arc<dyn Locate>) -> Self {
        Self {
            places,
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
        }
    }

    pub(super) fn locate(&self, location: &str) -> Result<(Arc<OpenStore>, Path)> {
        self.places.locate(location)
    }
}

#[derive(Debug, Clone)]
pub(super) struct ObjectStorageFactory(ObjectStorage);

impl ObjectStorageFactory {
    pub(super) fn new(storage: ObjectStorage) -> Self {
        Self(storage)
    }
}

/// Iceberg wants a storage that can be sent to another process. An open store with its connections and counters
/// cannot be: trying to is an error.
const STAYS_HERE: &str =
    "a store that is open in this process cannot be serialized: build one with `file_io`";

macro_rules! stays_in_this_process {
    ($name:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom(STAYS_HERE))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
                Err(serde::de::Error::custom(STAYS_HERE))
            }
        }
    };
}

stays_in_this_process!(ObjectStorage);
stays_in_this_process!(ObjectStorageFactory);

#[typetag::serde]
impl StorageFactory for ObjectStorageFactory {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.0.clone()))
    }
}

#[async_trait]
#[typetag::serde]
impl Storage for ObjectStorage {
    async fn exists(&self, location: &str) -> Result<bool> {
        let (at, path) = self.locate(location)?;
        match at.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(failed("look for", location, error)),
        }
    }

    async fn metadata(&self, location: &str) -> Result<FileMetadata> {
        let (at, path) = self.locate(location)?;
        let head = at.store.head(&path).await;
        let meta = head.map_err(|error| failed("look at", location, error))?;
        Ok(FileMetadata { size: meta.size })
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let (at, path) = self.locate(location)?;
        let read = async { at.store.get(&path).await?.bytes().await };
        read.await.map_err(|error| failed("read", location, error))
    }

    async fn reader(&self, location: &str) -> Result<Box<dyn FileRead>> {
        let (at, path) = self.locate(location)?;
        Ok(Box::new(ObjectReader {
            store: at.store.clone(),
            path,
            location: location.to_owned(),
        }))
    }

    async fn write(&self, location: &str, bytes: Bytes) -> Result<()> {
        let mut writer = self.writer(location).await?;
        writer.write(bytes).await?;
        writer.close().await
    }

    async fn writer(&self, location: &str) -> Result<Box<dyn FileWrite>> {
        let (at, path) = self.locate(location)?;
        Ok(Box::new(ObjectWriter::new(
            at.store.clone(),
            path,
            location.to_owned(),
            at.write.clone(),
            self.parts.clone(),
        )))
    }

    async fn delete(&self, location: &str) -> Result<()> {
        let (at, path) = self.locate(location)?;
        match at.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", location, error)),
        }
    }

    async fn delete_prefix(&self, location: &str) -> Result<()> {
        let (at, path) = self.locate(location)?;
        let below = at.store.list(Some(&path)).map_ok(|meta| meta.location);
        delete_all(&*at.store, below.boxed())
            .await
            .map_err(|error| failed("delete what is under", location, error))
    }

    async fn delete_stream(&self, locations: BoxStream<'static, String>) -> Result<()> {
        let locations: Vec<String> = locations.collect().await;
        // Stores are few; each is asked for all of its files at once.
        let mut stores: Vec<(Arc<OpenStore>, Vec<Path>)> = Vec::new();
        for location in locations {
            let (at, path) = self.locate(&location)?;
            match stores.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &at)) {
                Some((_, paths)) => paths.push(path),
                None => stores.push((at, vec![path])),
            }
        }
        for (at, paths) in stores {
            let count = paths.len();
            let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
            delete_all(&*at.store, paths)
                .await
                .map_err(|error| failed("delete all of", &format!("{count} files"), error))?;
        }
        Ok(())
    }

    fn new_input(&self, location: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), location.to_owned()))
    }

    fn new_output(&self, location: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), location.to_owned()))
    }
}

/// A file that is read range by range.
struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    location: String,
}

#[async_trait]
impl FileRead for ObjectReader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = self.store.get_range(&self.path, range.clone()).await;
        let bytes = read.map_err(|error| failed("read", &self.location, error))?;
        // A store answers a range that goes past the end with what there is.
        if bytes.len() as u64 != range.end - range.start {
            let found = bytes.len();
            let words = format!(
                "{} is too short: bytes {range:?} were asked for, {found} are there",
                self.location
            );
            return Err(Error::new(ErrorKind::DataInvalid, words));
        }
        Ok(bytes)
    }
}

/// Deletes what is there of `paths`, as many with one request as the store takes.
async fn delete_all(
    store: &dyn ObjectStore,
    paths: BoxStream<'static, object_store::Result<Path>>,
) -> object_store::Result<()> {
    let mut deleted = store.delete_stream(paths);
    while let Some(result) = deleted.next().await {
        match result {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a store's failure is to Iceberg: a missing file is a fact about the table, the rest may pass.
pub(super) fn failed(action: &str, location: &str, error: object_store::Error) -> Error {
    if is_missing(&error) {
        let words = format!("cannot {action} {location}");
        return Error::new(ErrorKind::DataInvalid, words).with_source(error);
    }
    may_pass(action, location, error)
}

/// Whether it is the file that is not there. A store that has lost its bucket, or does not know who asks, may say "not
/// found" as well, with another code in its answer.
fn is_missing(error: &object_store::Error) -> bool {
    let object_store::Error::NotFound { source, .. } = error else {
        return false;
    };
    let answer = source.to_string();
    match answer.split_once("<Code>") {
        Some((_, code)) => ["NoSuchKey<", "BlobNotFound<"]
            .iter()
            .any(|known| code.starts_with(known)),
        None => true,
    }
}

/// A failure that is not for good.
pub(super) fn may_pass(action: &str, location: &str, error: object_store::Error) -> Error {
    let advice = advice(location, &error);
    Error::new(
        ErrorKind::Unexpected,
        format!("cannot {action} {location}{advice}"),
    )
    .with_retryable(true)
    .with_source(error)
}

/// What to do about it, where the error itself does not say. A file system's own does.
fn advice(location: &str, error: &object_store::Error) -> &'static str {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    const INSTANCE_METADATA: &str = "//169.254.169.254/";
    if !location.contains("://") || location.starts_with("file:") {
        return "";
    }
    match error {
        PermissionDenied { .. } | Unauthenticated { .. } => {
            ": the credentials lack a permission or have expired, see \"A warehouse in an object store\" in \
             docs/operations.md"
        }
        error if error.to_string().contains(INSTANCE_METADATA) => {
            ": there are no credentials in [storage] or the environment, and the instance has none either"
        }
        _ => "",
    }
}
