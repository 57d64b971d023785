//! Files: Iceberg's `FileIO` over an `object_store`, so that the whole program has one I/O stack whose requests
//! are counted, and a local store whose files are still there after a power cut.
//!
//! ```text
//! FileIO ─> ObjectStorage (URI -> path) ─> CountingStore ─> DurableLocal | InMemory | S3 ...
//! ```

mod counting;
mod durable_local;
mod object_storage;
#[cfg(test)]
mod tests;
mod uri;

use std::sync::Arc;

use iceberg::io::{FileIO, FileIOBuilder};
use object_store::ObjectStore;

pub use counting::{CountingStore, RequestCount, RequestCounts, RequestKind};
pub use durable_local::DurableLocal;
use object_storage::{ObjectStorage, ObjectStorageFactory};
use uri::BaseUri;

/// A `FileIO` over `store`, whose requests are added to `counters`.
///
/// `base_uri` is the URI of the store's root: `file:///` for [`DurableLocal::new`], `memory:///` for
/// `object_store::memory::InMemory`, `s3://bucket` for a bucket. Locations outside of it are refused as
/// `DataInvalid`. A file that does not exist is `DataInvalid` too; any other failure of the store is
/// `Unexpected` and retryable.
pub fn file_io(store: Arc<dyn ObjectStore>, base_uri: &str, counters: Arc<RequestCounts>) -> FileIO {
    let store = Arc::new(CountingStore::new(store, counters));
    let storage = ObjectStorage::new(store, BaseUri::new(base_uri));
    FileIOBuilder::new(Arc::new(ObjectStorageFactory::new(storage))).build()
}
