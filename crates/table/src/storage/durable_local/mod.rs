//! A local or mounted file system as a store whose files survive a power cut.
//!
//! A file is written under a temporary name in its own folder, synced, renamed (or, where it must not exist yet,
//! linked) to its name, and then the folder is synced; folders made on the way are synced too. So a name is
//! either absent or has its whole contents, and once a put has returned it stays. `object_store`'s own
//! `LocalFileSystem` does none of the syncing; it reads here. It has no names for temporary files, and follows links out
//! of the folder that is listed, so that listing and deleting are our own.

mod error;
mod staged;
#[cfg(test)]
mod tests;
mod walk;

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};

use error::failed;
use staged::Staged;

/// Files that are deleted at a time.
const DELETED_AT_ONCE: usize = 8;

/// See the module's own words above: a put that returned is durable.
#[derive(Debug, Clone)]
pub struct DurableLocal {
    local: LocalFileSystem,
}

impl Default for DurableLocal {
    fn default() -> Self {
        Self::new()
    }
}

impl DurableLocal {
    /// The whole file system: paths are absolute, `/lake/x` is `lake/x`.
    pub fn new() -> Self {
        Self {
            local: LocalFileSystem::new(),
        }
    }

    /// What lies under `folder`, which must exist.
    pub fn under(folder: impl AsRef<std::path::Path>) -> Result<Self> {
        Ok(Self {
            local: LocalFileSystem::new_with_prefix(folder)?,
        })
    }

    /// Where a file is, a temporary one too.
    fn on_disk(&self, location: &Path) -> Result<PathBuf> {
        let (Some(name), Some(beside)) = (location.filename(), beside(location)) else {
            return self.local.path_to_filesystem(location);
        };
        Ok(self.local.path_to_filesystem(&beside)?.with_file_name(name))
    }

    async fn stage(&self, location: &Path) -> Result<Staged> {
        let file: PathBuf = self.local.path_to_filesystem(location)?;
        blocking(move || Staged::create(file)).await
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableLocal({})", self.local)
    }
}

/// Another name in the same folder, which `LocalFileSystem` takes whatever `location` is.
fn beside(location: &Path) -> Option<Path> {
    let folder = location
        .as_ref()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    Path::parse(format!("{folder}/_")).ok()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "DurableLocal".to_owned(),
    }
}

const PLAIN: PutResult = PutResult {
    e_tag: None,
    version: None,
};

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !opts.attributes.is_empty() {
            return Err(not_implemented("put_opts with attributes"));
        }
        let publish = match opts.mode {
            PutMode::Overwrite => Staged::replace,
            PutMode::Create => Staged::create_only,
            PutMode::Update(_) => return Err(not_implemented("put_opts with PutMode::Update")),
        };
        let staged = self.stage(location).await?;
        blocking(move || {
            staged.write_at(&payload, 0)?;
            publish(&staged)
        })
        .await?;
        Ok(PLAIN)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !opts.attributes.is_empty() {
            return Err(not_implemented("put_multipart_opts with attributes"));
        }
        let staged = self.stage(location).await?;
        Ok(Box::new(DurableUpload {
            location: location.clone(),
            staged: Some(Arc::new(staged)),
            length: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.map(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                let file = store.on_disk(&location)?;
                blocking(move || fs::remove_file(&file).map_err(|error| failed("delete", &file, error)))
                    .await?;
                Ok(location)
            }
        });
        deleted.buffered(DELETED_AT_ONCE).boxed()
    }

    /// With the temporary files of writes under way or cut off. What links lead to is left out.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        match self.on_disk(&prefix.clone().join("_")) {
            Ok(inside) => walk::below(inside.with_file_name(""), prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    // `list_with_offset` is the trait's own, which filters what is listed.

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    /// A copy of the contents, not a hard link, which would be one file under two names.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let contents = self.local.get(from).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_opts(to, contents.into(), mode.into()).await?;
        Ok(())
    }
}

/// A large file, written part by part into its temporary file. Dropped or aborted, it leaves nothing.
#[derive(Debug)]
struct DurableUpload {
    location: Path,
    staged: Option<Arc<Staged>>,
    /// Bytes of the parts so far.
    length: u64,
}

impl DurableUpload {
    fn over(&self) -> Error {
        let words = format!("the upload of {} is over already", self.location);
        Error::Generic {
            store: "DurableLocal",
            source: words.into(),
        }
    }
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(staged) = self.staged.clone() else {
            let over: BoxFuture<'static, Result<()>> = Box::pin(std::future::ready(Err(self.over())));
            return over;
        };
        let at = self.length;
        self.length += data.content_length() as u64;
        Box::pin(blocking(move || staged.write_at(&data, at)))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.take().ok_or_else(|| self.over())?;
        let (written, length) = (staged.written(), self.length);
        if written != length {
            let words = format!(
                "{written} of {length} bytes of {} were written; put it again",
                self.location
            );
            return Err(Error::Generic {
                store: "DurableLocal",
                source: words.into(),
            });
        }
        blocking(move || staged.replace()).await?;
        Ok(PLAIN)
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.take().ok_or_else(|| self.over())?;
        blocking(move || {
            drop(staged);
            Ok(())
        })
        .await
    }
}
