//! Paths and their answers. All are read-only: other methods than GET and HEAD are refused.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::Watched;
use crate::access::{self, Sees};
use crate::history::Recorder;
use crate::page;
use crate::token::Token;

/// What answers are made from.
#[derive(Clone)]
pub struct Shown {
    pub watched: Arc<dyn Watched>,
    pub registry: Registry,
    pub recorder: Arc<Recorder>,
}

pub fn router(shown: Shown, token: Option<Token>) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/page.css", get(|| asset("text/css; charset=utf-8", page::STYLE)))
        .route(
            "/page.js",
            get(|| asset("text/javascript; charset=utf-8", page::SCRIPT)),
        )
        .route("/icon.svg", get(|| asset("image/svg+xml", page::ICON)))
        .route("/status.json", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "Nothing is here. The status page is at /.\n",
            )
        })
        .with_state(shown)
        .layer(from_fn_with_state(token.map(Arc::new), access::check))
        .layer(map_response(careful))
}

/// A browser loads nothing from elsewhere, runs nothing that stands in the page, and shows the page in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn careful(mut response: Response) -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

async fn status_page(State(shown): State<Shown>) -> impl IntoResponse {
    let (report, missing) = (shown.watched.report(), shown.watched.missing());
    let page = page::page(&report, &missing, &shown.recorder.history());
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string())
}

async fn status(State(shown): State<Shown>) -> Response {
    match serde_json::to_vec(&shown.watched.report()) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => failed(&error),
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    metrics_of(shown.registry).await
}

/// All metrics, in Prometheus' text format.
pub async fn metrics_of(registry: Registry) -> Response {
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => failed(&error),
    }
}

async fn ready(State(shown): State<Shown>, Extension(sees): Extension<Sees>) -> (StatusCode, String) {
    let missing = shown.watched.missing();
    match sees {
        _ if missing.is_empty() => (StatusCode::OK, "ready\n".to_owned()),
        Sees::Everything => (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
        Sees::Probes => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!("the admin server could not answer: {error}");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
