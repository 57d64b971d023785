//! The server as a client meets it: over a socket, with requests written by hand.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod catalog;
mod made_up;

use std::net::SocketAddr;
use std::sync::Arc;

use made_up::{MadeUp, Scene};
use prometheus::{IntCounter, Registry};
use tabletopic_server::{Listen, Server, Token, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TOKEN: &str = "0123456789abcdef";

async fn serve(scene: Scene, partitions: i32, token: Option<&str>) -> Server {
    let listener = bind(Listen::At(SocketAddr::from(([127, 0, 0, 1], 0))))
        .await
        .unwrap();
    let token = token.map(|token| Token::new(token).unwrap());
    let registry = Registry::new();
    let counter = IntCounter::new("tabletopic_test_total", "A counter.").unwrap();
    counter.inc_by(7);
    registry.register(Box::new(counter)).unwrap();
    Server::start(
        listener,
        token,
        registry,
        Arc::new(MadeUp::new(scene, partitions)),
    )
    .unwrap()
}

/// Head and body of the answer to `head`, which the server closes the connection after.
async fn send(server: &Server, head: &str) -> (String, String) {
    exchange(server.address(), head).await
}

async fn exchange(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has seen enough of a request may close before it has all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn request(server: &Server, method: &str, path: &str, more: &str) -> (String, String) {
    send(
        server,
        &format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n"),
    )
    .await
}

async fn get(server: &Server, path: &str) -> (String, String) {
    request(server, "GET", path, "").await
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or("")
}

#[tokio::test]
async fn each_path_has_its_answer_and_its_type() {
    let server = serve(Scene::Healthy, 4, None).await;
    for (path, content_type, text) in [
        ("/", "text/html; charset=utf-8", "Everything is up to date"),
        ("/page.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/page.js", "text/javascript; charset=utf-8", "refresh"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/status.json", "application/json", "\"lag_records\":"),
        (
            "/metrics",
            "text/plain; version=0.0.4",
            "tabletopic_test_total 7\n",
        ),
        ("/healthz", "text/plain; charset=utf-8", "alive\n"),
        ("/readyz", "text/plain; charset=utf-8", "ready\n"),
    ] {
        let (head, body) = get(&server, path).await;
        assert_eq!(status(&head), "200", "{path}: {head}");
        assert!(
            head.contains(&format!("\ncontent-type: {content_type}\r")),
            "{path}: {head}"
        );
        assert!(body.contains(text), "{path}: {body}");
        for bound in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self';",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(head.contains(bound), "{path}: {head}");
        }
    }
    let (head, body) = get(&server, "/etc/passwd").await;
    assert_eq!(
        (status(&head), body.as_str()),
        ("404", "Nothing is here. The status page is at /.\n")
    );
}

#[tokio::test]
async fn it_only_looks() {
    let server = serve(Scene::Healthy, 1, None).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (head, _) = request(&server, method, "/", "Content-Length: 0\r\n").await;
        assert_eq!(status(&head), "405", "{method}: {head}");
        assert!(head.contains("allow: get,head"), "{head}");
    }
    let (head, body) = request(&server, "HEAD", "/status.json", "").await;
    assert_eq!((status(&head), body.as_str()), ("200", ""), "{head}");
}

#[tokio::test]
async fn what_is_missing_stands_in_readyz_and_on_the_page() {
    let server = serve(Scene::Starting, 4, None).await;
    let (head, body) = get(&server, "/readyz").await;
    assert_eq!(
        (status(&head), body.as_str()),
        ("503", "the table shop.clicks is not there yet\n")
    );
    assert_eq!(status(&get(&server, "/healthz").await.0), "200");
    let (_, page) = get(&server, "/").await;
    assert!(
        page.contains("no broker of localhost:9092 answered within 10 s</h1>"),
        "{page}"
    );
}

#[tokio::test]
async fn a_page_on_the_internet_that_points_its_name_here_is_refused() {
    let server = serve(Scene::Healthy, 1, None).await;
    for path in ["/", "/status.json", "/metrics", "/healthz", "/nothing"] {
        for host in [
            "Host: attacker.example\r\n",
            "Host: localhost.attacker.example:8484\r\n",
            "",
        ] {
            let (head, _) = send(
                &server,
                &format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
            )
            .await;
            assert_eq!(status(&head), "403", "{path} {host}: {head}");
        }
    }
}

#[tokio::test]
async fn with_a_token_only_who_has_it_sees_more_than_a_probe() {
    let server = serve(Scene::Starting, 4, Some(TOKEN)).await;
    for path in ["/", "/page.js", "/status.json", "/metrics", "/nothing"] {
        let (head, body) = get(&server, path).await;
        assert_eq!(status(&head), "401", "{path}: {head}");
        assert!(
            head.contains("www-authenticate: basic realm=\"tabletopic\""),
            "{head}"
        );
        assert!(!body.contains("clicks") && !body.contains(TOKEN), "{body}");
    }
    assert_eq!(get(&server, "/healthz").await.1, "alive\n");
    let (head, body) = get(&server, "/readyz").await;
    assert_eq!((status(&head), body.as_str()), ("503", "not ready\n"));

    // `printf 'any:0123456789abcdef' | base64`
    for header in [
        format!("Bearer {TOKEN}"),
        "Basic YW55OjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
    ] {
        let more = format!("Authorization: {header}\r\n");
        let (head, _) = request(&server, "GET", "/", &more).await;
        assert_eq!(status(&head), "200", "{header}: {head}");
        let (_, body) = request(&server, "GET", "/readyz", &more).await;
        assert!(body.contains("shop.clicks"), "{body}");
    }
    let (head, _) = request(&server, "GET", "/", "Authorization: Bearer 0123456789abcdeF\r\n").await;
    assert_eq!(status(&head), "401", "{head}");
}

#[tokio::test]
async fn a_halt_stands_first_with_its_commands_and_its_words_are_only_words() {
    let server = serve(Scene::Halted, 4, None).await;
    let (_, page) = get(&server, "/").await;
    let place = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text:?} is not in {page}"))
    };
    assert!(place("<h1>2 halts wait for an answer</h1>") < place("Topic clicks, partition 0"));
    assert!(place("Topic clicks, partition 0") < place("Table shop.payments"));
    assert!(place("Table shop.payments") < place("id=\"job-clicks\""));
    place("resolve --config /etc/tabletopic.toml shop.payments --rewind --reason '...'</code>");
    place("partition 0 halted</span>");
    place("&lt;b&gt;Look&lt;/b&gt;");
    assert!(!page.contains("<b>Look"));
}

#[tokio::test]
async fn a_page_of_very_many_partitions_is_cut_to_the_worst() {
    let server = serve(Scene::Halted, 20_000, None).await;
    let (_, page) = get(&server, "/").await;
    assert!(
        page.contains("20,000 partitions") && page.contains("The 200 with the most lag."),
        "{page}"
    );
    assert!(page.contains(">0 halted</td>"), "the halted one is shown");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = serve(Scene::Healthy, 1, None).await;
    let (head, _) = request(&server, "GET", "/", &format!("X: {}\r\n", "x".repeat(64 * 1024))).await;
    assert!(["431", ""].contains(&status(&head)), "{head}");
    assert_eq!(status(&get(&server, "/").await.0), "200", "others are answered");
}

/// Time stands still while anything can be done, and then jumps to what is waited for.
#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let server = serve(Scene::Healthy, 1, None).await;
    let (head, _) = send(&server, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ").await;
    assert!(["408", ""].contains(&status(&head)), "{head}");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let server = serve(Scene::Healthy, 1, None).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        open.push(stream);
    }
    let waiting = get(&server, "/healthz");
    tokio::pin!(waiting);
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), waiting.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    open.pop();
    assert_eq!(status(&waiting.await.0), "200");
}

#[tokio::test]
async fn it_stops_with_a_connection_open_and_frees_its_address() {
    let server = serve(Scene::Healthy, 1, None).await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    server.stop().await;
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    bind(Listen::At(address)).await.unwrap();
}
