//! Who may come in, and what those who may not are told.

use std::path::Path;

use tabletopic_catalog::conformance::new_table;
use tabletopic_catalog::{Catalog, CatalogError, Password, PostgresOptions, Server};
use tabletopic_http::{ClientCertificate, Tls};
use tabletopic_testkit::{OverTls, Postgres};

use crate::{Lake, look, open, run};

/// Opening is refused, with these words in the reason.
async fn refused(options: PostgresOptions, parts: &[&str]) {
    for error in [open(options.clone()).await.err(), look(options).await.err()] {
        let error = error.expect("it is refused");
        let said = error.to_string();
        assert!(matches!(error, CatalogError::Rejected { .. }), "{error:?}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        assert!(!said.contains("lake's password"), "{said}");
    }
}

fn server(lake: &Lake, user: &str, database: &str, mode: &str) -> Server {
    let port = lake.port;
    Server::parse(&format!(
        "postgres://{user}@127.0.0.1:{port}/{database}?sslmode={mode}"
    ))
    .unwrap()
}

#[tokio::test]
async fn what_is_wrong_with_the_login_is_said() {
    let lake = Lake::new("logins");
    let options = lake.options();
    refused(
        PostgresOptions {
            password: Some(Password("another".to_owned())),
            ..options.clone()
        },
        &[
            "password authentication failed",
            "check the password of user lake",
        ],
    )
    .await;
    refused(
        PostgresOptions {
            server: server(&lake, "lake", "no-such", "disable"),
            ..options.clone()
        },
        &["\"no-such\" does not exist", "CREATE DATABASE \"no-such\""],
    )
    .await;
    refused(
        PostgresOptions {
            server: server(&lake, "client", &lake.database, "disable"),
            ..options.clone()
        },
        &["password authentication failed for user \"client\""],
    )
    .await;
    refused(
        PostgresOptions {
            server: server(&lake, "lake", &lake.database, "verify-full"),
            ..options
        },
        &["server does not support TLS", "check sslmode"],
    )
    .await;
    let debug = format!("{:?}", lake.options());
    assert!(debug.contains("***") && !debug.contains("lake's"), "{debug}");
}

#[tokio::test]
async fn missing_rights_are_named_with_what_grants_them() {
    let lake = Lake::new("rights");
    let mut other = lake.foreign().await;
    // A database of somebody else's, as of PostgreSQL 15: nobody else may make tables in it.
    run(
        &mut other,
        &format!("ALTER DATABASE \"{}\" OWNER TO postgres", lake.database),
    )
    .await;
    refused(
        lake.options(),
        &["GRANT USAGE, CREATE ON SCHEMA public TO \"lake\""],
    )
    .await;

    run(&mut other, "GRANT CREATE ON SCHEMA public TO lake").await;
    let table = new_table(&lake.catalog().await, "shop").await;
    run(
        &mut other,
        "ALTER TABLE iceberg_tables OWNER TO postgres; GRANT SELECT, INSERT ON iceberg_tables TO lake",
    )
    .await;
    let error = open(lake.options()).await.unwrap_err().to_string();
    assert!(
        error.contains(
            "iceberg_tables (DELETE), iceberg_tables (UPDATE); GRANT SELECT, INSERT, UPDATE, DELETE ON"
        ),
        "{error}"
    );
    // Who only looks needs no more.
    let looking = look(lake.options()).await.unwrap().unwrap();
    looking.load(&table.ident).await.unwrap();
    let error = looking.may_write().await.unwrap_err();
    assert!(matches!(error, CatalogError::Rejected { .. }), "{error}");
}

#[tokio::test]
async fn tls_trusts_its_authorities_and_shows_a_certificate() {
    let OverTls {
        postgres,
        certificates,
    } = Postgres::start_over_tls();
    let file = |name: &str| certificates.path().join(name);
    let lake = Lake::on(&postgres, "tls");
    let trusting = Tls {
        ca: Some(file("ca.pem")),
        client: None,
    };
    let options = |user: &str, mode: &str, tls: &Tls| PostgresOptions {
        server: server(&lake, user, &lake.database, mode),
        tls: tls.clone(),
        ..lake.options()
    };

    // With the password, and with the client's certificate in its place.
    new_table(
        &open(options("lake", "verify-full", &trusting)).await.unwrap(),
        "shop",
    )
    .await;
    open(options("lake", "require", &Tls::default())).await.unwrap();
    run(
        &mut lake.foreign().await,
        "GRANT CREATE ON SCHEMA public TO client; GRANT lake TO client",
    )
    .await;
    let showing = Tls {
        client: Some(ClientCertificate {
            certificate: file("client.pem"),
            key: file("client-key.pem"),
        }),
        ..trusting.clone()
    };
    let mut without_password = options("client", "verify-full", &showing);
    without_password.password = None;
    let catalog = open(without_password).await.unwrap();
    assert_eq!(catalog.list_namespaces().await.unwrap().len(), 1);

    refused(
        options("client", "verify-full", &trusting),
        &["certificate", "pg_hba.conf"],
    )
    .await;
    // Nobody the system trusts has signed the server's certificate.
    refused(
        options("lake", "verify-full", &Tls::default()),
        &["UnknownIssuer", "check sslmode and the files of TLS"],
    )
    .await;
    let missing = Tls {
        ca: Some(Path::new("/not/there/ca.pem").to_owned()),
        client: None,
    };
    refused(
        options("lake", "verify-full", &missing),
        &["/not/there/ca.pem cannot be read"],
    )
    .await;
}
