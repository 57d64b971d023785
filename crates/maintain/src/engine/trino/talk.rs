//! The client against a socket that answers what each test says. A real Trino is asked by `tests/engines/writers.py`.

use std::future::pending;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;

const BUSY: &str = "503 Service Unavailable";
const SLOW: &str = "slow";

/// Gives these answers (status and body, with the server's own address for `HERE`), one to each request. Before a slow
/// one it tells, and never answers. Keeps the requests' heads and bodies.
async fn serve(answers: &[(&'static str, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, slow) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (here, seen, waits, answers) = (url.clone(), asked.clone(), slow.clone(), answers.to_vec());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let head = String::from_utf8(request).unwrap().to_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let mut statement = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            socket.read_exact(&mut statement).await.unwrap();
            seen.lock()
                .unwrap()
                .push(head + std::str::from_utf8(&statement).unwrap());
            if status == SLOW {
                silent.push(socket);
                waits.notify_one();
                continue;
            }
            let body = body.replace("HERE", &here);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, asked, slow)
}

fn connection(url: &str) -> Connection {
    Connection::new(settings(url, None)).unwrap()
}

fn settings(url: &str, password: Option<&str>) -> Settings {
    Settings {
        url: url.to_owned(),
        user: "ada".to_owned(),
        password: password.map(str::to_owned),
    }
}

#[tokio::test]
async fn answers_are_followed_to_the_last_and_a_busy_server_is_asked_again() {
    let (url, asked, _) = serve(&[
        (BUSY, ""),
        ("200 OK", r#"{"id": "q1", "nextUri": "HERE/v1/statement/1"}"#),
        ("502 Bad Gateway", "<html>"),
        (
            "200 OK",
            r#"{"id": "q1", "nextUri": "HERE/v1/statement/2", "data": [["x", 1]]}"#,
        ),
        ("200 OK", r#"{"id": "q1", "stats": {}}"#),
    ])
    .await;
    let ran = connection(&url)
        .run("ALTER TABLE t", &mut pending())
        .await
        .unwrap();
    assert_eq!(ran, "q1");
    let asked = asked.lock().unwrap();
    let first: Vec<&str> = asked
        .iter()
        .filter_map(|request| request.lines().next())
        .collect();
    let begin = "post /v1/statement http/1.1";
    let next = [
        "get /v1/statement/1 http/1.1",
        "get /v1/statement/1 http/1.1",
        "get /v1/statement/2 http/1.1",
    ];
    assert_eq!(first, [&[begin, begin][..], &next[..]].concat());
    assert!(
        asked.iter().all(|request| request.contains("x-trino-user: ada")),
        "{asked:?}"
    );
    assert!(asked[0].ends_with("ALTER TABLE t"), "{asked:?}");
}

#[tokio::test]
async fn a_query_that_fails_is_told_with_its_statement_and_trinos_words() {
    let failed =
        r#"{"id": "q7", "error": {"message": "Retention specified (0s) is shorter", "errorName": "X"}}"#;
    let (url, ..) = serve(&[("200 OK", failed)]).await;
    let error = connection(&url)
        .run("ALTER TABLE t", &mut pending())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Trino's query q7 failed: ALTER TABLE t: Retention specified (0s) is shorter"
    );
    assert!(!error.is_transient() && !error.is_misuse());
}

#[tokio::test]
async fn what_stops_it_cancels_the_query() {
    let (url, asked, slow) = serve(&[
        ("200 OK", r#"{"id": "q1", "nextUri": "HERE/v1/statement/1"}"#),
        (SLOW, ""),
        ("204 No Content", ""),
    ])
    .await;
    let error = connection(&url)
        .run("ALTER TABLE t", &mut Box::pin(slow.notified()))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "stopped; Trino's query q1 is cancelled");
    let asked = asked.lock().unwrap();
    assert!(asked[2].starts_with("delete /v1/statement/1 "), "{asked:?}");
}

#[tokio::test]
async fn credentials_go_to_no_other_host() {
    let elsewhere = r#"{"id": "q1", "nextUri": "http://elsewhere.example/v1/statement/1"}"#;
    let (url, ..) = serve(&[("200 OK", elsewhere)]).await;
    let error = connection(&url)
        .run("ALTER TABLE t", &mut pending())
        .await
        .unwrap_err();
    assert!(matches!(error, TrinoError::Elsewhere { .. }), "{error}");
}

#[tokio::test]
async fn who_is_no_trino_or_lets_nobody_in_is_told() {
    let (url, ..) = serve(&[("200 OK", "<html>")]).await;
    let error = connection(&url).run("x", &mut pending()).await.unwrap_err();
    assert!(
        error.is_misuse() && error.to_string().contains("is no Trino"),
        "{error}"
    );
    let (url, ..) = serve(&[("401 Unauthorized", "no")]).await;
    let error = connection(&url).run("x", &mut pending()).await.unwrap_err();
    assert!(
        error.is_misuse() && error.to_string().contains("--trino-user"),
        "{error}"
    );
}

#[test]
fn a_password_is_neither_shown_nor_sent_in_plain_text() {
    let secret = settings("https://trino.example", Some("letmein"));
    assert!(!format!("{secret:?}").contains("letmein"));
    assert!(Connection::new(secret).is_ok());
    for url in [
        "http://trino.example",
        "https://ada:letmein@trino.example",
        "http://ada:letmein@:x",
    ] {
        let error = Connection::new(settings(url, Some("letmein"))).unwrap_err();
        assert!(
            error.is_misuse() && !error.to_string().contains("letmein"),
            "{error}"
        );
    }
}
