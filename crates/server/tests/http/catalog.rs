//! The catalog server: who is answered, and what a request may take.

use std::net::SocketAddr;
use std::sync::Arc;

use iceberg::io::FileIO;
use prometheus::Registry;
use serde_json::Value;
use tabletopic_catalog::{MemoryCatalog, RestCatalog};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_server::{CatalogServer, Token, bind_catalog};

use super::{TOKEN, exchange, status};

async fn serve(token: Option<&str>) -> CatalogServer {
    let listener = bind_catalog(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let token = token.map(|token| Token::new(token).unwrap());
    let clock = Arc::new(SystemClock);
    let warehouse = "memory:///warehouse";
    let catalog = MemoryCatalog::new("lake", warehouse, clock.clone(), Arc::new(OsEntropy));
    let rest = RestCatalog::new(
        Arc::new(catalog),
        warehouse,
        Vec::new(),
        FileIO::new_with_memory(),
        clock,
    );
    CatalogServer::start(listener, token, Registry::new(), Arc::new(rest)).unwrap()
}

/// Status and body of the answer.
async fn ask(server: &CatalogServer, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let (head, body) = exchange(server.address(), &request).await;
    (status(&head).parse().unwrap_or(0), body)
}

const LOCAL: &str = "Host: localhost\r\n";

fn kind(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    body["error"]["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn engines_are_answered_and_counted() {
    let server = serve(None).await;
    let created = ask(
        &server,
        "POST",
        "/v1/namespaces",
        LOCAL,
        r#"{"namespace": ["shop"]}"#,
    );
    assert_eq!(created.await.0, 200);
    assert_eq!(
        ask(&server, "HEAD", "/v1/namespaces/shop", LOCAL, "").await.0,
        204
    );
    let (code, body) = ask(&server, "GET", "/v1/namespaces/absent", LOCAL, "").await;
    assert_eq!((code, kind(&body).as_str()), (404, "NoSuchNamespaceException"));
    assert_eq!(ask(&server, "GET", "/nowhere", LOCAL, "").await.0, 400);
    assert_eq!(
        ask(&server, "GET", "/healthz", LOCAL, "").await,
        (200, "alive\n".to_owned())
    );
    let (_, metrics) = ask(&server, "GET", "/metrics", LOCAL, "").await;
    for counted in [
        r#"tabletopic_catalog_requests_total{endpoint="POST /v1/{prefix}/namespaces",status="200"} 1"#,
        r#"tabletopic_catalog_requests_total{endpoint="GET /v1/{prefix}/namespaces/{namespace}",status="404"} 1"#,
        r#"tabletopic_catalog_requests_total{endpoint="other",status="400"} 1"#,
        r#"tabletopic_catalog_request_seconds_count{endpoint="POST /v1/{prefix}/namespaces"} 1"#,
    ] {
        assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn with_a_token_nobody_else_is_answered() {
    let server = serve(Some(TOKEN)).await;
    for headers in [
        String::new(),
        "Authorization: Bearer 0123456789abcdeF\r\n".to_owned(),
        format!("Authorization: {TOKEN}\r\n"),
    ] {
        for path in ["/v1/config", "/v1/namespaces", "/metrics", "/v1/oauth/tokens"] {
            let (code, body) = ask(&server, "GET", path, &format!("{LOCAL}{headers}"), "").await;
            assert_eq!(
                (code, kind(&body).as_str()),
                (401, "NotAuthorizedException"),
                "{path}"
            );
            assert!(!body.contains(TOKEN), "{body}");
        }
    }
    let headers = format!("Host: lake.example.com\r\nAuthorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&server, "GET", "/v1/config", &headers, "").await.0, 200);
    assert_eq!(
        ask(&server, "GET", "/healthz", LOCAL, "").await.0,
        200,
        "probes have none"
    );
}

#[tokio::test]
async fn without_a_token_no_page_in_a_browser_is_answered() {
    let server = serve(None).await;
    let body = r#"{"namespace": ["shop"]}"#;
    for page in [
        "Host: rebound.example.com\r\n",
        "Host: 127.0.0.1\r\nOrigin: https://example.com\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
    ] {
        let (code, body) = ask(&server, "POST", "/v1/namespaces", page, body).await;
        assert_eq!(
            (code, kind(&body).as_str()),
            (403, "ForbiddenException"),
            "{page}"
        );
    }
    let (_, listed) = ask(&server, "GET", "/v1/namespaces", LOCAL, "").await;
    assert!(listed.contains(r#""namespaces":[]"#), "{listed}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = serve(None).await;
    let body = format!(r#"{{"namespace": ["{}"]}}"#, "a".repeat(9 * 1024 * 1024));
    let (code, body) = ask(&server, "POST", "/v1/namespaces", LOCAL, &body).await;
    // The server may close before it has read all of what it will not take.
    assert!(code == 413 || (code == 0 && body.is_empty()), "{code} {body}");
    assert_eq!(ask(&server, "GET", "/v1/config", LOCAL, "").await.0, 200);
}
