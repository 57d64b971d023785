//! The catalog server: an Iceberg REST catalog for engines, on an address of its own. What it answers is
//! [`RestCatalog`]'s matter; here is who is answered, and how much a request may take.
//!
//! Beside the specification's paths there are `/metrics` and `/healthz`, as on the admin server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use serde_json::json;
use tabletopic_catalog::{Answered, RestCatalog};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::access::{has, is_no_page};
use crate::connections::{self, Bounds};
use crate::routes;
use crate::token::Token;

/// Engines keep connections open between requests, and a commit waits for the catalog's file, so that there are more
/// of them than of people, and they last longer.
const BOUNDS: Bounds = Bounds {
    name: "the catalog server",
    connections: 128,
    head: Duration::from_secs(60),
    life: Duration::from_secs(3600),
    last_words: Duration::from_secs(45),
};

/// The largest body: a commit with some thousands of columns, or of some hundred tables.
const BODY_BYTES: usize = 8 * 1024 * 1024;
/// From its first to its last byte.
const BODY: Duration = Duration::from_secs(30);

/// What engines asked, and how it went.
#[derive(Debug, Clone)]
struct Counts {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Counts {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new(
            "tabletopic_catalog_requests_total",
            "Requests to the catalog server by endpoint of the Iceberg REST specification and status.",
        );
        let seconds = HistogramOpts::new(
            "tabletopic_catalog_request_seconds",
            "Time from a request to the catalog server, its body included, to its answer.",
        );
        let counts = Self {
            requests: IntCounterVec::new(requests, &["endpoint", "status"])?,
            seconds: HistogramVec::new(seconds, &["endpoint"])?,
        };
        registry.register(Box::new(counts.requests.clone()))?;
        registry.register(Box::new(counts.seconds.clone()))?;
        Ok(counts)
    }

    fn add(&self, endpoint: &str, status: StatusCode, began: Instant) {
        let labels = [endpoint, status.as_str()];
        self.requests.with_label_values(&labels).inc();
        let seconds = began.elapsed().as_secs_f64();
        self.seconds.with_label_values(&[endpoint]).observe(seconds);
    }
}

/// A catalog server that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct CatalogServer {
    address: SocketAddr,
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl CatalogServer {
    /// Begins to answer on `listener`. With a `token`, only to those who have it. Its metrics enter `registry`, once for
    /// each.
    ///
    /// # Errors
    /// A listener without an address, which the system would have to have lost; a registry that has these metrics.
    pub fn start(
        listener: TcpListener,
        token: Option<Token>,
        registry: Registry,
        catalog: Arc<RestCatalog>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let counts = Counts::register(&registry).map_err(std::io::Error::other)?;
        let token = token.map(Arc::new);
        let router = Router::new()
            .route("/metrics", get(move || routes::metrics_of(registry.clone())))
            .fallback(answer)
            .with_state((catalog, counts))
            .layer(from_fn_with_state(token, check))
            // Before the token is asked for: probes carry no secrets.
            .route("/healthz", get(|| async { "alive\n" }));
        let (stop, stopped) = watch::channel(());
        let serving = tokio::spawn(connections::serve(listener, router, stopped, BOUNDS));
        Ok(Self {
            address,
            stop,
            serving,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connection, and lets commits come to their end.
    pub async fn stop(mut self) {
        let (stop, stopped) = watch::channel(());
        drop(stopped);
        drop(std::mem::replace(&mut self.stop, stop));
        // A panic of the server was logged where it happened, and is no reason for the service to fail.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for CatalogServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Lets a request through, or refuses it. Without a token, which is only offered on loopback, no page in a browser is
/// let through: neither one that has its own name point to 127.0.0.1, nor one that asks 127.0.0.1 for something from
/// where it is.
async fn check(State(token): State<Option<Arc<Token>>>, request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    match &token {
        None if headers.contains_key(ORIGIN) || !is_no_page(headers) => refuse(
            StatusCode::FORBIDDEN,
            "ForbiddenException",
            "ask for an address of this host or for localhost, and not from a web page; to be asked by another name, the \
             catalog needs a token: see [catalog.serve] in the configuration",
        ),
        Some(token) if !has(headers, token) => {
            let refused = match headers.contains_key(AUTHORIZATION) {
                true => "the token is not the one of [catalog.serve] in the catalog's configuration",
                false => {
                    "send the token of [catalog.serve] in the catalog's configuration, as `Authorization: Bearer TOKEN`; \
                     clients have a property `token` for it"
                }
            };
            let mut response = refuse(StatusCode::UNAUTHORIZED, "NotAuthorizedException", refused);
            let bearer = HeaderValue::from_static("Bearer realm=\"tabletopic\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            response
        }
        _ => next.run(request).await,
    }
}

/// An answer in the error model of the specification.
fn refuse(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let error = json!({ "error": { "message": message, "type": kind, "code": status.as_u16() } });
    let json = [(CONTENT_TYPE, "application/json")];
    (status, json, error.to_string()).into_response()
}

async fn answer(
    State((catalog, counts)): State<(Arc<RestCatalog>, Counts)>,
    request: Request,
) -> Response<Body> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let body = match timeout(BODY, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            counts.add("other", StatusCode::PAYLOAD_TOO_LARGE, began);
            let limit = format!("a request's body has at most {BODY_BYTES} bytes");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "BadRequestException", &limit);
        }
        Err(_) => {
            counts.add("other", StatusCode::REQUEST_TIMEOUT, began);
            let limit = format!("a request's body comes within {BODY:?}");
            return refuse(StatusCode::REQUEST_TIMEOUT, "BadRequestException", &limit);
        }
    };
    let request = axum::http::Request::from_parts(parts, body);
    // On a task of its own, so that a change comes to its end although the client hangs up.
    let answered = tokio::spawn(async move { catalog.answer(request).await }).await;
    match answered {
        Ok(Answered { endpoint, response }) => {
            counts.add(endpoint, response.status(), began);
            response.map(Body::from)
        }
        Err(_) => {
            counts.add("other", StatusCode::INTERNAL_SERVER_ERROR, began);
            let words = "the server failed; its log says where. What became of the request is unknown";
            refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "CommitStateUnknownException",
                words,
            )
        }
    }
}
