//! How many requests a store is asked for, and how many bytes they move: what object stores bill.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    Put,
    Get,
    Head,
    List,
    /// One for each file, also where a store takes several in one request.
    Delete,
    Copy,
    /// One for the start of an upload, each part, and its end.
    Multipart,
}

impl RequestKind {
    pub const ALL: [RequestKind; 7] = [
        Self::Put,
        Self::Get,
        Self::Head,
        Self::List,
        Self::Delete,
        Self::Copy,
        Self::Multipart,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Multipart => "multipart",
        }
    }
}

/// Requests of one kind, the failed ones too, and the bytes of their payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCount {
    pub requests: u64,
    pub bytes: u64,
}

/// Requests by kind since the process began. Shared by all stores that it is given to.
#[derive(Debug, Default)]
pub struct RequestCounts {
    kinds: [Counter; RequestKind::ALL.len()],
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl RequestCounts {
    pub fn of(&self, kind: RequestKind) -> RequestCount {
        let counter = &self.kinds[kind as usize];
        RequestCount {
            requests: counter.requests.load(Ordering::Relaxed),
            bytes: counter.bytes.load(Ordering::Relaxed),
        }
    }

    /// How often a store sent no answer, or one that asks to try later. Most of these requests were repeated, and each
    /// counts as one above however often it was.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request(&self, kind: RequestKind) {
        self.kinds[kind as usize].requests.fetch_add(1, Ordering::Relaxed);
    }

    fn bytes(&self, kind: RequestKind, bytes: u64) {
        self.kinds[kind as usize]
            .bytes
            .fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Any store, with its requests counted.
#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    counts: Arc<RequestCounts>,
}

impl CountingStore {
    pub fn new(inner: Arc<dyn ObjectStore>, counts: Arc<RequestCounts>) -> Self {
        Self { inner, counts }
    }
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.counts.request(RequestKind::Put);
        let bytes = payload.content_length() as u64;
        let result = self.inner.put_opts(location, payload, opts).await?;
        self.counts.bytes(RequestKind::Put, bytes);
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.counts.request(RequestKind::Multipart);
        let upload = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(CountingUpload {
            upload,
            counts: self.counts.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            self.counts.request(RequestKind::Head);
            return self.inner.get_opts(location, options).await;
        }
        self.counts.request(RequestKind::Get);
        let result = self.inner.get_opts(location, options).await?;
        self.counts
            .bytes(RequestKind::Get, result.range.end - result.range.start);
        Ok(result)
    }

    // `get_ranges` is the trait's own, which joins ranges that lie close and gets each through `get_opts`.

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counts = self.counts.clone();
        let counted = locations.inspect(move |_| counts.request(RequestKind::Delete));
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts.request(RequestKind::List);
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts.request(RequestKind::List);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counts.request(RequestKind::List);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counts.request(RequestKind::Copy);
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    upload: Box<dyn MultipartUpload>,
    counts: Arc<RequestCounts>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.counts.request(RequestKind::Multipart);
        self.counts
            .bytes(RequestKind::Multipart, data.content_length() as u64);
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.counts.request(RequestKind::Multipart);
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.counts.request(RequestKind::Multipart);
        self.upload.abort().await
    }
}
