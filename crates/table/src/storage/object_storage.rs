//! Iceberg's `Storage` over an `ObjectStore`.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use tokio::io::AsyncWrite;

use super::uri::BaseUri;

/// A file up to this size is one request; a larger one is uploaded in parts.
const SINGLE_REQUEST_MAX: usize = 8 << 20;

#[derive(Debug, Clone)]
pub(super) struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    base: BaseUri,
}

impl ObjectStorage {
    pub(super) fn new(store: Arc<dyn ObjectStore>, base: BaseUri) -> Self {
        Self { store, base }
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
        match self.store.head(&self.base.path(location)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look for", location, error)),
        }
    }

    async fn metadata(&self, location: &str) -> Result<FileMetadata> {
        let head = self.store.head(&self.base.path(location)?).await;
        let meta = head.map_err(|error| failed("look at", location, error))?;
        Ok(FileMetadata { size: meta.size })
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let path = self.base.path(location)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        read.await.map_err(|error| failed("read", location, error))
    }

    async fn reader(&self, location: &str) -> Result<Box<dyn FileRead>> {
        let path = self.base.path(location)?;
        Ok(Box::new(ObjectReader {
            store: self.store.clone(),
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
        let path = self.base.path(location)?;
        let writer = BufWriter::with_capacity(self.store.clone(), path, SINGLE_REQUEST_MAX);
        Ok(Box::new(ObjectWriter {
            writer: Some(writer),
            location: location.to_owned(),
        }))
    }

    async fn delete(&self, location: &str) -> Result<()> {
        match self.store.delete(&self.base.path(location)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", location, error)),
        }
    }

    async fn delete_prefix(&self, location: &str) -> Result<()> {
        let below = self
            .store
            .list(Some(&self.base.path(location)?))
            .map_ok(|meta| meta.location);
        let mut deleted = self.store.delete_stream(below.boxed());
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("delete what is under", location, error)),
            }
        }
        Ok(())
    }

    async fn delete_stream(&self, mut locations: BoxStream<'static, String>) -> Result<()> {
        while let Some(location) = locations.next().await {
            self.delete(&location).await?;
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

/// A file that is being written. It becomes visible when it is closed; dropped before, it never does.
struct ObjectWriter {
    writer: Option<BufWriter>,
    location: String,
}

impl ObjectWriter {
    fn closed(&self) -> Error {
        Error::new(
            ErrorKind::Unexpected,
            format!("{} is closed already", self.location),
        )
    }
}

#[async_trait]
impl FileWrite for ObjectWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(self.closed());
        };
        writer
            .put(bytes)
            .await
            .map_err(|error| failed("write", &self.location, error))
    }

    async fn close(&mut self) -> Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Err(self.closed());
        };
        let shut = poll_fn(|context| Pin::new(&mut writer).poll_shutdown(context)).await;
        shut.map_err(|error| failed("write", &self.location, unwrapped(error)))
    }
}

/// What a store's failure is to Iceberg: a missing file is a fact about the table, the rest may pass.
fn failed(action: &str, location: &str, error: object_store::Error) -> Error {
    let missing = matches!(error, object_store::Error::NotFound { .. });
    let kind = if missing {
        ErrorKind::DataInvalid
    } else {
        ErrorKind::Unexpected
    };
    Error::new(kind, format!("cannot {action} {location}"))
        .with_retryable(!missing)
        .with_source(error)
}

/// The store's error that a writer wraps.
fn unwrapped(error: io::Error) -> object_store::Error {
    match error.downcast() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic {
            store: "BufWriter",
            source: error.into(),
        },
    }
}
