//! Against a socket that answers what each test says. The real registry is asked in `tests/e2e`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use tabletopic_records::SchemaId::{Content, Global, Guid, Number};

use super::*;

/// Serves answers (status and body) by path, 404 without the API's code otherwise, and keeps the heads it was sent.
async fn serve(answers: &[(&str, &str, &str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: HashMap<String, (String, String)> = answers
        .iter()
        .map(|(path, status, body)| ((*path).to_owned(), ((*status).to_owned(), (*body).to_owned())))
        .collect();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split([' ', '?']).nth(1).unwrap().to_owned();
            seen.lock().unwrap().push(head);
            let nothing = ("404 Not Found".to_owned(), "<html>".to_owned());
            let (status, body) = answers.get(&path).unwrap_or(&nothing);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            // A client that has had enough closes its end.
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (url, heads)
}

fn client(urls: &[&str], credentials: Option<Credentials>) -> Confluent {
    Confluent::new(&settings(urls, credentials)).unwrap()
}

fn settings(urls: &[&str], credentials: Option<Credentials>) -> RegistrySettings {
    RegistrySettings {
        api: Api::Confluent,
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        credentials,
        tls: Tls::default(),
        timeout: Duration::from_secs(5),
    }
}

fn schema(text: &str, references: &[(&str, &str)]) -> Answer {
    let reference = |(name, text): &(&str, &str)| ReferencedSchema {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    Answer::Schema(RegisteredSchema {
        kind: "AVRO".to_owned(),
        text: text.to_owned(),
        references: references.iter().map(reference).collect(),
    })
}

const NOT_FOUND: &str = r#"{"error_code":40403,"message":"Schema not found"}"#;

#[tokio::test]
async fn a_schema_comes_with_everything_that_it_refers_to() {
    let (url, _) = serve(&[
        (
            "/schemas/ids/7",
            "200 OK",
            r#"{"schema":"A","references":[{"name":"b.proto","subject":"b/1","version":3},{"name":"c.proto","subject":"c","version":1}]}"#,
        ),
        ("/subjects/b%2F1/versions/3", "200 OK", r#"{"schema":"B","references":[{"name":"c.proto","subject":"c","version":1}]}"#),
        ("/subjects/c/versions/1", "200 OK", r#"{"schema":"C","references":[{"name":"b.proto","subject":"b/1","version":3}]}"#),
    ])
    .await;
    assert_eq!(
        client(&[&url], None).schema(Number(7)).await,
        Ok(schema("A", &[("b.proto", "B"), ("c.proto", "C")]))
    );
}

#[tokio::test]
async fn a_version_of_a_subject_comes_with_its_number_and_what_it_refers_to() {
    let (url, heads) = serve(&[
        (
            "/subjects/a/versions/latest",
            "200 OK",
            r#"{"subject":"a","id":9,"version":4,"schema":"A","references":[{"name":"B","subject":"b","version":3}]}"#,
        ),
        ("/subjects/a/versions/2", "200 OK", r#"{"subject":"a","id":5,"version":2,"schema":"older"}"#),
        ("/subjects/b/versions/3", "200 OK", r#"{"subject":"b","id":1,"version":3,"schema":"B"}"#),
        (
            "/subjects/a/versions/7",
            "404 Not Found",
            r#"{"error_code":40402,"message":"Version not found"}"#,
        ),
    ])
    .await;
    let client = client(&[&url], None);
    let newest = client.version("a", None).await;
    assert_eq!(
        newest,
        Ok(Versioned::Version("4".to_owned(), schema("A", &[("B", "B")])))
    );
    // What was deleted is no subject's newest version, and still what another one refers to.
    let asked: Vec<bool> = heads
        .lock()
        .unwrap()
        .iter()
        .map(|head| head.contains("deleted"))
        .collect();
    assert_eq!(asked, [false, true]);
    assert_eq!(
        client.version("a", Some(2)).await,
        Ok(Versioned::Version("2".to_owned(), schema("older", &[])))
    );
    assert_eq!(client.version("a", Some(7)).await, Ok(Versioned::NoSuchVersion));
}

#[tokio::test]
async fn a_missing_reference_makes_a_schema_unusable() {
    let (url, _) = serve(&[
        (
            "/schemas/ids/7",
            "200 OK",
            r#"{"schema":"A","references":[{"name":"B","subject":"b","version":3}]}"#,
        ),
        (
            "/subjects/b/versions/3",
            "404 Not Found",
            r#"{"error_code":40402,"message":"Version not found"}"#,
        ),
    ])
    .await;
    let answer = client(&[&url], None).schema(Number(7)).await;
    assert!(
        matches!(&answer, Ok(Answer::Unusable(why)) if why.contains("version 3 of subject b")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn only_the_registrys_own_words_say_that_there_is_no_such_id() {
    let (url, _) = serve(&[
        ("/schemas/ids/1", "404 Not Found", NOT_FOUND),
        ("/schemas/ids/2", "404 Not Found", "<html>not found</html>"),
        (
            "/schemas/ids/3",
            "404 Not Found",
            r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#,
        ),
    ])
    .await;
    let client = client(&[&url], None);
    assert_eq!(client.schema(Number(1)).await, Ok(Answer::NoSuchId));
    for id in [2, 3] {
        let Outage(message) = client.schema(Number(id)).await.unwrap_err();
        assert!(message.contains("no schema registry"), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_outage() {
    let long = format!("{{\"schema\":\"{}\"}}", "x".repeat(5 << 20));
    let (url, _) = serve(&[
        ("/schemas/ids/1", "200 OK", "<html>login</html>"),
        ("/schemas/ids/2", "200 OK", r#"{"schema":5}"#),
        (
            "/schemas/ids/3",
            "500 Internal Server Error",
            r#"{"error_code":50001}"#,
        ),
        ("/schemas/ids/4", "401 Unauthorized", r#"{"error_code":401}"#),
        ("/schemas/ids/5", "200 OK", &long),
        ("/schemas/ids/6", "302 Found", ""),
    ])
    .await;
    let client = client(&[&url], None);
    for (id, part) in [
        (1, "no schema registry answers"),
        (2, "no schema registry answers"),
        (3, "500"),
        (4, "credentials"),
        (5, "more than 4194304 bytes"),
        (6, "302"),
    ] {
        let Outage(message) = client.schema(Number(id)).await.unwrap_err();
        assert!(
            message.contains(part) && message.contains(&url),
            "{id}: {message}"
        );
    }
}

#[tokio::test]
async fn another_url_answers_when_one_is_down_or_behind() {
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", down.local_addr().unwrap());
    drop(down);
    let (behind, _) = serve(&[("/schemas/ids/7", "404 Not Found", NOT_FOUND)]).await;
    let (good, _) = serve(&[(
        "/schemas/ids/7",
        "200 OK",
        r#"{"schema":"A","schemaType":"AVRO"}"#,
    )])
    .await;
    let three = client(&[&address, &behind, &good], None);
    assert_eq!(three.schema(Number(7)).await, Ok(schema("A", &[])));
    let two = client(&[&address, &behind], None);
    assert_eq!(two.schema(Number(7)).await, Ok(Answer::NoSuchId));
    let Outage(message) = client(&[&address], None).schema(Number(7)).await.unwrap_err();
    assert!(message.contains("cannot be reached"), "{message}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let (url, heads) = serve(&[("/api/schemas/ids/7", "200 OK", r#"{"schema":"A"}"#)]).await;
    let url = format!("{url}/api/");
    let basic = Credentials::Basic {
        username: "me".to_owned(),
        password: "secret".to_owned(),
    };
    let bearer = Credentials::Bearer("secret".to_owned());
    for credentials in [basic, bearer] {
        let client = client(&[&url], Some(credentials));
        assert!(!format!("{client:?}").contains("secret"));
        assert_eq!(client.schema(Number(7)).await, Ok(schema("A", &[])));
    }
    let heads = heads.lock().unwrap();
    assert!(
        heads[0]
            .to_lowercase()
            .contains("authorization: basic bwu6c2vjcmv0"),
        "{}",
        heads[0]
    );
    assert!(
        heads[1].to_lowercase().contains("authorization: bearer secret"),
        "{}",
        heads[1]
    );
}

#[test]
fn urls_are_checked_before_anything_is_asked() {
    let problem = |urls: &[&str]| {
        let settings = RegistrySettings {
            api: Api::Confluent,
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            credentials: None,
            tls: Tls::default(),
            timeout: Duration::from_secs(1),
        };
        settings.validate().unwrap_err()
    };
    assert_eq!(problem(&[]), SettingsError::NoUrl);
    assert_eq!(
        problem(&["http://me:secret@registry:8081"]),
        SettingsError::Password
    );
    for text in [
        "registry:8081",
        "localhost",
        "ftp://registry",
        "http://registry?x=1",
    ] {
        assert!(
            matches!(problem(&["http://good", text]), SettingsError::NotAUrl(_)),
            "{text}"
        );
    }
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let missing = Tls {
        ca: Some("/nowhere/ca.pem".into()),
        client: None,
    };
    // This file has neither.
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let other = Tls {
        ca: None,
        client: Some(ClientCertificate {
            certificate: here.clone(),
            key: here.clone(),
        }),
    };
    for (tls, file, words) in [
        (missing, "/nowhere/ca.pem", "cannot be read"),
        (other, here.to_str().unwrap(), "has no certificate in PEM"),
    ] {
        let settings = RegistrySettings {
            api: Api::Confluent,
            urls: vec!["https://registry:8081".to_owned()],
            credentials: None,
            tls,
            timeout: Duration::from_secs(1),
        };
        let said = Confluent::new(&settings).unwrap_err().to_string();
        assert!(said.starts_with(file) && said.contains(words), "{said}");
    }
}

fn apicurio(url: &str) -> Apicurio {
    let settings = RegistrySettings {
        api: Api::Apicurio,
        ..settings(&[url], None)
    };
    Apicurio::new(&settings).unwrap()
}

const NO_ARTIFACT: &str = r#"{"error_code":404,"message":"No artifact","name":"ArtifactNotFoundException"}"#;

#[tokio::test]
async fn apicurios_own_api_has_schemas_by_global_and_by_content_id() {
    let order = r#"{"type":"record","name":"A","fields":[]}"#;
    for (version, suffix) in [("v2", ""), ("v3", "/content")] {
        let api = format!("/apis/registry/{version}");
        let path = |path: &str| format!("{api}{path}");
        let b = path(&format!("/groups/shop/artifacts/b%2F1/versions/3{suffix}"));
        let c = path(&format!("/groups/default/artifacts/c/versions/1.0{suffix}"));
        let refers = |name: &str, group: &str, artifact: &str, version: &str| {
            format!(
                r#"[{{"name":"{name}","groupId":{group},"artifactId":"{artifact}","version":"{version}"}}]"#
            )
        };
        let to_b = refers("b.proto", "\"shop\"", "b/1", "3");
        let to_c = refers("c.proto", "null", "c", "1.0");
        let answers = [
            (path("/ids/globalIds/7"), order),
            (path("/ids/globalIds/7/references"), &*to_b),
            (b, "B"),
            (path("/groups/shop/artifacts/b%2F1/versions/3/references"), &*to_c),
            (c, "C"),
            (path("/groups/default/artifacts/c/versions/1.0/references"), "[]"),
            (path("/ids/contentIds/8"), "message M {}"),
            (path("/ids/contentIds/8/references"), "[]"),
        ];
        let answers: Vec<(&str, &str, &str)> = answers
            .iter()
            .map(|(path, body)| (path.as_str(), "200 OK", *body))
            .collect();
        let (url, _) = serve(&answers).await;
        let client = apicurio(&format!("{url}{api}/"));
        assert_eq!(
            client.schema(Global(7)).await,
            Ok(schema(order, &[("b.proto", "B"), ("c.proto", "C")])),
            "{version}"
        );
        let Ok(Answer::Schema(found)) = client.schema(Content(8)).await else {
            panic!("it is there");
        };
        assert_eq!(
            (found.kind.as_str(), found.text.as_str()),
            ("PROTOBUF", "message M {}")
        );
    }
}

#[tokio::test]
async fn only_apicurios_own_words_say_that_there_is_no_such_id() {
    let no_path = r#"{"error_code":404,"message":"RESTEASY003210","name":"NotFoundException"}"#;
    let (url, _) = serve(&[
        ("/apis/registry/v2/ids/globalIds/1", "404 Not Found", NO_ARTIFACT),
        ("/apis/registry/v2/ids/globalIds/2", "404 Not Found", no_path),
        ("/apis/registry/v2/ids/globalIds/3", "404 Not Found", "<html>"),
    ])
    .await;
    let client = apicurio(&format!("{url}/apis/registry/v2"));
    assert_eq!(client.schema(Global(1)).await, Ok(Answer::NoSuchId));
    for id in [2, 3] {
        let Outage(message) = client.schema(Global(id)).await.unwrap_err();
        assert!(message.contains("no schema registry"), "{message}");
    }
}

#[tokio::test]
async fn a_subject_is_an_artifact_of_apicurios_default_group() {
    for (api, newest, content) in [
        ("/apis/registry/v2", "/meta", ""),
        ("/apis/registry/v3", "/versions/branch=latest", "/content"),
    ] {
        let artifact = format!("{api}/groups/default/artifacts/orders-value");
        let answers = [
            (format!("{artifact}{newest}"), r#"{"version":"4","type":"AVRO"}"#),
            (format!("{artifact}/versions/4{content}"), r#""string""#),
            (format!("{artifact}/versions/4/references"), "[]"),
        ];
        let mut answers: Vec<(&str, &str, &str)> = answers
            .iter()
            .map(|(path, body)| (path.as_str(), "200 OK", *body))
            .collect();
        let absent = format!("{artifact}/versions/5{content}");
        answers.push((&absent, "404 Not Found", NO_ARTIFACT));
        let (url, _) = serve(&answers).await;
        let client = apicurio(&format!("{url}{api}"));
        assert_eq!(
            client.version("orders-value", None).await,
            Ok(Versioned::Version("4".to_owned(), schema(r#""string""#, &[])))
        );
        let absent = client.version("orders-value", Some(5)).await;
        assert_eq!(absent, Ok(Versioned::NoSuchVersion));
    }
}

#[tokio::test]
async fn an_id_of_the_other_kind_of_registry_is_of_no_use() {
    let (url, heads) = serve(&[(
        "/schemas/guids/61616161-6161-6161-6161-616161616161",
        "200 OK",
        r#"{"schema":"A"}"#,
    )])
    .await;
    let guid = Guid([b'a'; 16]);
    let confluent = client(&[&url], None);
    assert_eq!(confluent.schema(guid).await, Ok(schema("A", &[])));
    let of_the_other = [
        confluent.schema(Global(1)).await,
        apicurio(&format!("{url}/apis/registry/v2")).schema(guid).await,
    ];
    for answer in of_the_other {
        assert!(
            matches!(&answer, Ok(Answer::Unusable(why)) if why.contains("`api = ")),
            "{answer:?}"
        );
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

#[test]
fn the_version_of_apicurios_api_is_that_of_its_urls() {
    let problem = |urls: &[&str]| {
        let settings = RegistrySettings {
            api: Api::Apicurio,
            ..settings(urls, None)
        };
        settings.validate().map_err(|error| error.to_string())
    };
    assert_eq!(
        problem(&["http://a/apis/registry/v2", "http://b/apis/registry/v2/"]),
        Ok(())
    );
    for (urls, words) in [
        (&["http://a/apis/ccompat/v7"][..], "does not end as"),
        (
            &["http://a/apis/registry/v2", "http://b/apis/registry/v3"][..],
            "different versions",
        ),
    ] {
        let problem = problem(urls).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
}
