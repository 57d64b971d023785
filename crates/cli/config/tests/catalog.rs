//! `[catalog]` with a database.

use std::path::PathBuf;

use tabletopic_http::{ClientCertificate, Tls};

use super::*;

const POSTGRES: &str = r#"type = "postgres"
uri = "postgres://lake@db.example.com/lake"
password = "hunter2"
"#;

/// The smallest file with PostgreSQL, and `from` replaced by `to` in it.
fn with(from: &str, to: &str) -> Result<Config, String> {
    let text = SMALLEST.replace("type = \"sqlite\"\nuri = \"lake/catalog.db\"\n", POSTGRES);
    assert!(text.contains(from), "{from} is not in {text}");
    parse(&text.replacen(from, to, 1))
}

#[test]
fn a_database_has_server_login_and_tls() {
    let config = with("\npassword = \"hunter2\"", "").unwrap();
    let CatalogKind::Postgres(postgres) = &config.catalog.kind else {
        panic!("{:?}", config.catalog)
    };
    assert!(postgres.server.is_verified());
    assert_eq!((&postgres.password, &postgres.tls), (&None, &Tls::default()));

    let tls =
        "password = \"hunter2\"\ntls = { ca = \"ca.pem\", certificate = \"/me.pem\", key = \"me-key.pem\" }";
    let config = with("password = \"hunter2\"", tls).unwrap();
    let CatalogKind::Postgres(postgres) = &config.catalog.kind else {
        panic!("{:?}", config.catalog)
    };
    let in_etc = |file: &str| PathBuf::from("/etc/tabletopic").join(file);
    assert_eq!(postgres.tls.ca, Some(in_etc("ca.pem")));
    assert_eq!(
        postgres.tls.client,
        Some(ClientCertificate {
            certificate: "/me.pem".into(),
            key: in_etc("me-key.pem"),
        })
    );
    assert_eq!(postgres.password.as_ref().unwrap().reveal(), "hunter2");
    assert_eq!(config.catalog.place(), "postgres://lake@db.example.com/lake");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_does_not_fit_a_database_is_refused() {
    let refusals = [
        (
            "uri = \"postgres://lake@db.example.com/lake\"\n",
            "",
            "5: catalog.uri: is missing; write user, host and database such as uri = \
             \"postgres://lake@db.example.com:5432/lake\"",
        ),
        (
            "lake@db",
            "lake:hunter2@db",
            "7: catalog.uri: has a password in it, where it would be shown; write it as `password`",
        ),
        (
            "com/lake",
            "com/lake?sslmode=prefer",
            "7: catalog.uri: sslmode=prefer goes on in plain text where TLS fails; write sslmode=verify-full, or \
             sslmode=disable where the way to the server is trusted",
        ),
        (
            "com/lake\"",
            "com/lake?sslmode=disable\"\ntls.ca = \"ca.pem\"",
            "8: catalog.tls.ca: with sslmode=disable in `uri` it has no meaning; remove one of the two",
        ),
        (
            "com/lake\"",
            "com/lake?sslmode=require\"\ntls.ca = \"ca.pem\"",
            "8: catalog.tls.ca: nobody looks at it with sslmode=require in `uri`; write sslmode=verify-full there",
        ),
        (
            "com/lake\"",
            "com/lake\"\ntls.key = \"me.pem\"",
            "8: catalog.tls.key: write certificate and key, each the path of a PEM file, or neither",
        ),
        (
            "type = \"postgres\"\nuri = \"postgres://lake@db.example.com/lake\"",
            "type = \"sqlite\"\nuri = \"lake/catalog.db\"",
            "8: catalog.password: a file needs none; remove it, or write type = \"postgres\" or \"rest\"",
        ),
    ];
    for (from, to, expected) in refusals {
        let refusal = with(from, to).unwrap_err();
        assert_eq!(refusal, format!("/etc/tabletopic/tabletopic.toml:{expected}"));
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}
