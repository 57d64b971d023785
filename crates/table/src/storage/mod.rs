//! Files: Iceberg's `FileIO` over an `object_store`, so that the whole program has one I/O stack whose requests
//! are counted, and a local store whose files are still there after a power cut.
//!
//! ```text
//! warehouse, properties ─> StorageSettings, checked ─> open ─┐
//!                                                            v
//! FileIO, Listing ─> ObjectStorage (URI -> path) ─> CountingStore ─> DurableLocal | S3 | Gcs | Adls | InMemory
//! ```
//!
//! Where a catalog decides on the tables' places, there is no one warehouse: `Stores` opens the store of a location when
//! the first file in it is asked for.

mod adls;
mod client;
mod counting;
mod durable_local;
#[cfg(test)]
mod empty_store;
mod gcs;
mod hidden;
mod listing;
mod object_storage;
mod properties;
mod s3;
mod settings;
mod stores;
#[cfg(test)]
mod tests;
mod uri;
mod vended;
mod writer;

use std::sync::Arc;

use iceberg::io::{FileIO, FileIOBuilder};
use object_store::ObjectStore;

pub use counting::{CountingStore, RequestCount, RequestCounts, RequestKind};
pub use durable_local::DurableLocal;
pub use listing::{Listed, Listing};
use object_storage::{ObjectStorage, ObjectStorageFactory, OneStore, OpenStore, WriteOptions};
pub use properties::SettingsError;
pub use s3::{AbandonedUploads, aws_credentials, aws_region};
pub use settings::{Environment, OpenError, StorageSettings, Store};
pub use stores::{Lookup, StoresSettings};
use uri::BaseUri;
pub(crate) use uri::canonical;
pub use writer::requests_to_write;

/// A `FileIO` over `store`, whose requests are added to `counters`.
///
/// `base_uri` is the URI of the store's root: `file:///` for [`DurableLocal::new`], `memory:///` for
/// `object_store::memory::InMemory`, `s3://bucket` for a bucket. Locations outside of it are refused as
/// `DataInvalid`. A file that does not exist is `DataInvalid` too, when it is read; any other failure of the store is
/// `Unexpected` and retryable.
pub fn file_io(store: Arc<dyn ObjectStore>, base_uri: &str, counters: Arc<RequestCounts>) -> FileIO {
    let opened = open_store(store, base_uri, counters, WriteOptions::default());
    file_io_of(&ObjectStorage::new(Arc::new(OneStore(opened))))
}

/// Lists the files of `store`, as [`file_io`] reads them.
pub fn listing(
    store: Arc<dyn ObjectStore>,
    base_uri: &str,
    counters: Arc<RequestCounts>,
) -> Arc<dyn Listing> {
    let opened = open_store(store, base_uri, counters, WriteOptions::default());
    Arc::new(ObjectStorage::new(Arc::new(OneStore(opened))))
}

fn open_store(
    store: Arc<dyn ObjectStore>,
    base_uri: &str,
    counters: Arc<RequestCounts>,
    write: WriteOptions,
) -> Arc<OpenStore> {
    Arc::new(OpenStore {
        store: Arc::new(CountingStore::new(store, counters)),
        base: BaseUri::new(base_uri),
        write,
    })
}

fn file_io_of(storage: &ObjectStorage) -> FileIO {
    FileIOBuilder::new(Arc::new(ObjectStorageFactory::new(storage.clone()))).build()
}
