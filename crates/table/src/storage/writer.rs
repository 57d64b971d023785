//! A file on its way into a store: one request if it is small, parts of equal size if it is not.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::io::FileWrite;
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutPayloadMut,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::object_storage::{WriteOptions, may_pass};

/// Bytes of a part, and of the largest file that is one request. Stores bill each request; a store may want all parts
/// but the last to have one size, at least 5 MiB of it, and takes 10,000 of them.
pub(super) const PART: usize = 16 << 20;

/// Requests that it takes to write a file of so many bytes.
pub fn requests_to_write(bytes: u64) -> u64 {
    match bytes.div_ceil(PART as u64) {
        0 | 1 => 1,
        // One begins, and one ends it.
        parts => parts + 2,
    }
}

/// It becomes visible when it is closed; dropped before, it never does, and what was sent of it is aborted.
pub(super) struct ObjectWriter {
    target: Target,
    /// What is not sent yet: less than a part, once it is sent in parts.
    pending: PutPayloadMut,
    state: State,
}

struct Target {
    store: Arc<dyn ObjectStore>,
    path: Path,
    location: String,
    options: WriteOptions,
    parts: Arc<Semaphore>,
}

enum State {
    Small,
    InParts(Parts),
    Closed,
}

impl ObjectWriter {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        path: Path,
        location: String,
        options: WriteOptions,
        parts: Arc<Semaphore>,
    ) -> Self {
        Self {
            target: Target {
                store,
                path,
                location,
                options,
                parts,
            },
            pending: PutPayloadMut::new(),
            state: State::Small,
        }
    }

    async fn take(&mut self, mut bytes: Bytes) -> object_store::Result<()> {
        while self.pending.content_length() + bytes.len() > PART {
            let parts = match &mut self.state {
                State::InParts(parts) => parts,
                state => {
                    *state = State::InParts(self.target.begin().await?);
                    continue;
                }
            };
            let rest = bytes.split_off(PART - self.pending.content_length());
            self.pending.push(std::mem::replace(&mut bytes, rest));
            parts.send(std::mem::take(&mut self.pending).freeze()).await?;
        }
        self.pending.push(bytes);
        Ok(())
    }
}

impl Target {
    async fn begin(&self) -> object_store::Result<Parts> {
        let WriteOptions { attributes, tags } = self.options.clone();
        let options = PutMultipartOptions {
            attributes,
            tags,
            ..Default::default()
        };
        Ok(Parts {
            upload: Some(self.store.put_multipart_opts(&self.path, options).await?),
            under_way: JoinSet::new(),
            at_once: self.parts.clone(),
        })
    }

    async fn put(&self, payload: PutPayload) -> object_store::Result<()> {
        let WriteOptions { attributes, tags } = self.options.clone();
        let options = PutOptions {
            mode: PutMode::Overwrite,
            attributes,
            tags,
            ..Default::default()
        };
        self.store.put_opts(&self.path, payload, options).await?;
        Ok(())
    }

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
        if matches!(self.state, State::Closed) {
            return Err(self.target.closed());
        }
        let taken = self.take(bytes).await;
        taken.map_err(|error| may_pass("write", &self.target.location, error))
    }

    async fn close(&mut self) -> Result<()> {
        let last = std::mem::take(&mut self.pending).freeze();
        let closed = match std::mem::replace(&mut self.state, State::Closed) {
            State::Small => self.target.put(last).await,
            State::InParts(mut parts) => parts.finish(last).await,
            State::Closed => return Err(self.target.closed()),
        };
        closed.map_err(|error| may_pass("write", &self.target.location, error))
    }
}

/// An upload in parts. One that is dropped unfinished is aborted.
struct Parts {
    /// `None` once it is finished.
    upload: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<object_store::Result<()>>,
    at_once: Arc<Semaphore>,
}

impl Parts {
    /// Begins to send a part as soon as it is its turn.
    async fn send(&mut self, part: PutPayload) -> object_store::Result<()> {
        while let Some(sent) = self.under_way.try_join_next() {
            sent??;
        }
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let turn = self.at_once.clone().acquire_owned().await;
        let sending = upload.put_part(part);
        self.under_way.spawn(async move {
            let _turn = turn;
            sending.await
        });
        Ok(())
    }

    async fn finish(&mut self, last: PutPayload) -> object_store::Result<()> {
        self.send(last).await?;
        while let Some(sent) = self.under_way.join_next().await {
            sent??;
        }
        if let Some(upload) = &mut self.upload {
            upload.complete().await?;
        }
        self.upload = None;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let (Some(mut upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let mut under_way = std::mem::take(&mut self.under_way);
        runtime.spawn(async move {
            // A part that arrived later would stay.
            under_way.shutdown().await;
            if let Err(error) = upload.abort().await {
                tracing::debug!("an upload that failed could not be aborted: {error}");
            }
        });
    }
}
