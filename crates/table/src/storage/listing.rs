//! What lies below a location, whoever put it there.

use std::fmt::Debug;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tabletopic_clock::Millis;

use super::object_storage::{ObjectStorage, failed};

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its absolute URI, in the spelling of this program's own stores.
    pub location: String,
    pub bytes: u64,
    /// By the store's own clock.
    pub modified: Millis,
}

/// Lists files. Apart from Iceberg's `FileIO`, which only knows files by their names.
pub trait Listing: Debug + Send + Sync {
    /// All files below a folder, in no order; none where there is no such folder.
    ///
    /// # Errors
    /// Those of the store. What was listed by then is not all that is there.
    fn below(&self, location: &str) -> BoxStream<'static, iceberg::Result<Listed>>;
}

impl Listing for ObjectStorage {
    fn below(&self, location: &str) -> BoxStream<'static, iceberg::Result<Listed>> {
        let (at, path) = match self.locate(location.trim_end_matches('/')) {
            Ok(located) => located,
            Err(error) => return futures::stream::iter([Err(error)]).boxed(),
        };
        let folder = location.to_owned();
        let files = at.store.list(Some(&path));
        let files = files.map_err(move |error| failed("list what is below", &folder, error));
        let files = files.map_ok(move |file| Listed {
            location: at.base.location(&file.location),
            bytes: file.size,
            modified: file.last_modified.timestamp_millis(),
        });
        files.boxed()
    }
}
