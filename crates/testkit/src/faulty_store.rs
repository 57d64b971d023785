//! An object store as one simulated process reaches it: over a bad network.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::weather::{Luck, Weather};

/// Passes single requests on as the [`Weather`] lets it; listings and large uploads always go through.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    weather: Arc<Weather>,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn ObjectStore>, weather: Arc<Weather>) -> Self {
        Self { inner, weather }
    }

    async fn ask<T>(&self, request: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let failed = || Error::Generic {
            store: "simulated",
            source: "simulated outage".into(),
        };
        let answer = match self.weather.ahead().await {
            Luck::Good => request.await,
            Luck::SlowAnswer(wait) => {
                let answer = request.await;
                tokio::time::sleep(wait).await;
                answer
            }
            Luck::SlowRequest(wait) => {
                tokio::time::sleep(wait).await;
                request.await
            }
            Luck::Refused | Luck::LostRequest => Err(failed()),
            Luck::LostAnswer | Luck::Late(_) => {
                let _ = request.await;
                Err(failed())
            }
            Luck::DiesBefore => self.weather.dies().await,
            Luck::DiesAfter => {
                let _ = request.await;
                self.weather.dies().await
            }
        };
        self.weather.passes().await;
        answer
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.ask(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.ask(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
