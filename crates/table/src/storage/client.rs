//! How stores are asked over HTTP: how long an answer may take, and how often a request is sent again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::counting::RequestCounts;

const CONNECT: Duration = Duration::from_secs(5);

/// For one request with its body: eight parts of a large file at once, from a host that sends 2 MB/s.
const ANSWER: Duration = Duration::from_secs(60);

/// Pauses grow from a tenth of a second, with jitter. Whoever asked hears of a store that is down after some seconds,
/// and waits for it in the open: an upload and a commit go on trying until they have succeeded.
pub(super) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 10,
        retry_timeout: Duration::from_secs(30),
    }
}

/// Without TLS only where the store's own URL says so.
pub(super) fn options(url: Option<&str>) -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout(ANSWER)
        .with_allow_http(url.is_some_and(|url| url.starts_with("http://")))
}

/// Makes clients whose failures are counted, those included that the object store's client hides by asking again.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) Arc<RequestCounts>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Counted {
            client: ReqwestConnector::default().connect(options)?,
            counts: self.0.clone(),
        }))
    }
}

#[derive(Debug)]
struct Counted {
    client: HttpClient,
    counts: Arc<RequestCounts>,
}

#[async_trait]
impl HttpService for Counted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.client.execute(request).await;
        let failed = match &answer {
            Ok(response) => response.status().is_server_error() || response.status().as_u16() == 429,
            Err(_) => true,
        };
        if failed {
            self.counts.failure();
        }
        answer
    }
}
