//! The catalog is somebody else's server: our own client against our own server and Iceberg's, over connections that
//! break, and by every way to log in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use tabletopic_catalog::{
    Catalog, CatalogError, CommitOutcome, LoadedTable, RestClient, RestSettings, conformance,
};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_http::{ClientCertificate, Tls};
use tabletopic_testkit::{Fixture, Gateway, Lake, S3, S3_KEYS, Service, Topic, certificates, eventually};
use tokio::runtime::Runtime;

use crate::TABLETOPIC;
use crate::catalog::{configured, url};
use crate::feed::{JSON, never_halted};

const TOKEN: &str = "a-token-of-this-test";
const SECRET: &str = "staple-of-the-client";

/// An environment in which nothing knows credentials of AWS.
pub const NOBODY: [(&str, &str); 3] = [
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_CONFIG_FILE", "/nowhere"),
    ("HOME", "/nowhere"),
];

/// A catalog server of ours, over a lake of its own.
pub struct Server {
    pub lake: Lake,
    pub url: String,
    _service: Service,
}

impl Server {
    fn start(more: &str) -> Self {
        let lake = Lake::new();
        let service = Service::serve_catalog(TABLETOPIC, &configured(&lake, more));
        Self {
            url: url(&service),
            lake,
            _service: service,
        }
    }

    /// Over a lake in the bucket of a store, with these lines of `[storage]` and variables of the environment.
    pub fn over(store: &S3, storage: &str, variables: &[(&str, &str)]) -> Self {
        let lake = Lake::in_s3(store);
        let config = configured(&lake, "");
        with_storage(&config, &(place_of(store) + storage));
        let service = Service::serve_catalog_with(TABLETOPIC, &config, variables);
        Self {
            url: url(&service),
            lake,
            _service: service,
        }
    }

    /// Writes a configuration that reaches the server at `url`, with further lines of `[catalog]`, and another commit
    /// every tenth of a second.
    pub fn reached_at(&self, url: &str, topic: &Topic, more: &str) -> PathBuf {
        let config = self.lake.configure("rest", topic, "", JSON);
        let text = std::fs::read_to_string(&config).expect("it was written");
        let (before, rest) = text.split_once("[catalog]").expect("it has one");
        let (_, after) = rest.split_once("[workers]").expect("it has them");
        let after = after.replace("interval = \"1s\"", "interval = \"100ms\"");
        let catalog = format!("[catalog]\ntype = \"rest\"\nuri = \"{url}\"\n{more}\n");
        std::fs::write(&config, format!("{before}{catalog}\n[workers]{after}")).expect("it can be written");
        config
    }

    pub fn produce(&self, topic: &Topic, name: &str, count: &str) -> String {
        let produced = self.lake.file(&format!("{name}.parquet"));
        let arguments = [
            "--count",
            count,
            "--seed",
            name,
            "--rate",
            "100",
            "--produced",
            &produced,
        ];
        topic.produce("orders", &arguments);
        produced
    }
}

/// Where the store's bucket is, and not who asks.
pub fn place_of(store: &S3) -> String {
    format!(
        "s3.endpoint = \"{}\"\ns3.path-style-access = true\ns3.region = \"us-east-1\"\n",
        store.proxy
    )
}

/// Adds lines of `[storage]` to a configuration.
pub fn with_storage(config: &PathBuf, lines: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    let text = text.replace("[workers]", &format!("[storage]\n{lines}\n[workers]"));
    std::fs::write(config, text).expect("it is written");
}

/// The client of the catalog at `url`.
pub fn client(url: &str, properties: &[(&str, &str)], tls: Tls) -> Result<RestClient, CatalogError> {
    let properties = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let settings = RestSettings::new(url, None, &properties, tls).expect("good settings");
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    runtime().block_on(RestClient::open("lake", &settings, None, clock, entropy))
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Exit code, and all that it prints.
pub fn tabletopic(config: &PathBuf, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(TABLETOPIC)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    (output.status.code(), said)
}

#[test]
fn the_client_conforms_with_our_own_server() {
    let server = Server::start("");
    let client = client(&server.url, &[], Tls::default()).unwrap();
    runtime().block_on(conformance::conformance(&client));
}

#[test]
fn the_client_conforms_with_iceberg_s_own_server() {
    let fixture = Fixture::start();
    let client = client(&fixture.url, &[], Tls::default()).unwrap();
    // All but `odd_table_names`: the Jetty that it runs in refuses a path with an encoded percent sign.
    runtime().block_on(async {
        conformance::namespaces(&client).await;
        conformance::create_twice(&client).await;
        conformance::two_creators_one_wins(&client).await;
        conformance::create_chooses_what_is_left_open(&client).await;
        conformance::missing_is_not_found(&client).await;
        conformance::snapshot_branch_tag_and_summary_land_together(&client).await;
        conformance::stale_base_conflicts(&client).await;
        conformance::resent_body_adds_nothing(&client).await;
        conformance::two_writers_one_wins(&client).await;
        conformance::every_requirement_is_checked(&client).await;
        conformance::schema_changes(&client).await;
        conformance::metadata_can_always_be_read_back(&client).await;
        conformance::properties_change(&client).await;
        conformance::main_can_be_set_back(&client).await;
        conformance::metadata_locations_are_unique(&client).await;
        conformance::rejected_update_leaves_nothing(&client).await;
        conformance::load_sees_others(&client).await;
        conformance::drop_forgets(&client).await;
    });
}

#[test]
fn a_topic_becomes_a_table_of_a_server_s_catalog() {
    let server = Server::start(&format!("token = \"{TOKEN}\""));
    let topic = Topic::create("rest", 2, &[]);
    let login = format!("properties.token = \"{TOKEN}\"");
    let config = server.reached_at(&server.url, &topic, &login);
    let produced = server.produce(&topic, "1", "300");

    let (code, said) = tabletopic(&config, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    let place = format!("ok    catalog tabletopic in {}: opens", server.url);
    assert!(said.contains(&place), "{said}");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    server.lake.holds(&[&produced], &["--dead-letters"]);
    server.lake.is_sound();

    let (code, said) = tabletopic(
        &config,
        &["sql", "--output", "csv", "-c", "SELECT count(*) AS n FROM orders"],
    );
    assert_eq!((code, said.as_str()), (Some(0), "n\n300\n"));
    for command in [
        &["status", "shop.orders"][..],
        &["plan"],
        &["dead-letters", "shop.orders"],
    ] {
        let (code, said) = tabletopic(&config, command);
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = tabletopic(&config, &["catalog", "serve"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("has a server already"), "{said}");

    let refused = server.reached_at(
        &server.url,
        &topic,
        "properties.token = \"another-token-than-this\"",
    );
    for command in [&["check"][..], &["run", "--until-end"]] {
        let (code, said) = tabletopic(&refused, command);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("it answers 401 Unauthorized, NotAuthorizedException"),
            "{said}"
        );
        assert!(!said.contains("another-token"), "{said}");
    }
}

/// Whether the server has got a commit or not, its sender can't know: every record is in the table once.
#[test]
fn answers_to_commits_that_get_lost_neither_lose_nor_double_a_record() {
    commits_survive_lost_answers("rest-lost", &[]);
}

#[test]
fn nor_do_they_where_the_server_takes_no_keys() {
    commits_survive_lost_answers("rest-lost-unkeyed", &["--keys", "none"]);
}

fn commits_survive_lost_answers(topic: &str, arguments: &[&str]) {
    let server = Server::start("");
    let mut gateway = Gateway::to(&server.url, arguments);
    let topic = Topic::create(topic, 2, &[]);
    let config = server.reached_at(&gateway.url, &topic, "");
    let mut produced = vec![server.produce(&topic, "0", "500")];
    let service = Service::run(TABLETOPIC, &config, &[]);
    eventually("a first commit", || (service.commits() > 0).then_some(()));
    for _ in 0..4 {
        gateway.lose(&["answer", "504", "request", "late", "502", "500"]);
        // There has to be something to commit for as long as there is something to lose.
        while gateway.still_to_lose() > 0 {
            let round = produced.len().to_string();
            assert!(produced.len() < 100, "{}", service.log());
            produced.push(server.produce(&topic, &round, "50"));
        }
    }
    never_halted(&service.terminate());
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    let produced: Vec<&str> = produced.iter().map(String::as_str).collect();
    server.lake.holds(&produced, &["--dead-letters"]);
    server.lake.is_sound();
}

#[test]
fn a_lost_answer_is_told_as_unknown_and_what_changes_nothing_is_asked_again() {
    let server = Server::start("");
    let mut gateway = Gateway::to(&server.url, &["--keys", "none"]);
    let client = client(&gateway.url, &[], Tls::default()).unwrap();
    runtime().block_on(async {
        let mut table = conformance::new_table(&client, "outcomes").await;
        for (number, kind) in ["answer", "500", "502", "503", "504"].into_iter().enumerate() {
            gateway.lose(&[kind]);
            let body = conformance::append(&table, number as i64 + 1);
            let outcome = client.commit(&table, body.clone()).await;
            assert!(
                matches!(outcome, CommitOutcome::Unknown(_)),
                "{kind}: {outcome:?}"
            );
            let now = client.load(&table.ident).await.unwrap();
            assert_eq!(
                now.metadata.current_snapshot_id(),
                Some(number as i64 + 1),
                "{kind}"
            );
            table = now;
        }
        gateway.lose(&["request"]);
        let outcome = client.commit(&table, conformance::append(&table, 9)).await;
        assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
        let now = client.load(&table.ident).await.unwrap();
        assert_eq!(now.metadata_location, table.metadata_location);

        gateway.is_busy(2);
        client.load(&table.ident).await.unwrap();
        gateway.is_busy(100);
        let outage = client.load(&table.ident).await.unwrap_err();
        assert!(matches!(outage, CatalogError::Unavailable { .. }), "{outage}");
        gateway.is_busy(0);
        let there = format!("GET /v1/namespaces/outcomes/tables/{}", table.ident.name);
        let asked = gateway.seen()["requests"][&there].as_u64().unwrap();
        // One for each outcome and one more, three for the first time that it was busy, and four for the second.
        assert_eq!(asked, 6 + 1 + 3 + 4, "{there}");
    });
    let gone = gateway.url.clone();
    drop(gateway);
    let gone = self::client(&gone, &[], Tls::default()).unwrap_err();
    assert!(matches!(gone, CatalogError::Unavailable { .. }), "{gone}");
}

/// By our own server and by Iceberg's, which takes keys and does not say so.
#[test]
fn a_commit_with_a_key_is_made_once_however_often_it_is_sent() {
    let (ours, fixture) = (Server::start(""), Fixture::start());
    for url in [&ours.url, &fixture.url] {
        let mut gateway = Gateway::to(url, &["--keys", "PT30M"]);
        let client = client(&gateway.url, &[], Tls::default()).unwrap();
        runtime().block_on(async {
            let mut table = conformance::new_table(&client, "keys").await;
            let mut keys = 0;
            for kinds in [&["answer"][..], &["request"], &["502"], &["503", "answer", "504"]] {
                gateway.lose(kinds);
                // Nothing is required of the table: made twice, this would be two versions of it.
                let body = conformance::set_property("lost", &kinds.join(" "));
                let now = applied(client.commit(&table, body).await);
                let versions = |table: &LoadedTable| table.metadata.metadata_log().len();
                assert_eq!(versions(&now), versions(&table) + 1, "{url} {kinds:?}");
                let loaded = client.load(&table.ident).await.unwrap();
                assert_eq!(loaded.metadata, now.metadata);
                assert_eq!(loaded.metadata.properties()["lost"], kinds.join(" "));
                keys += 1;
                let seen = gateway.seen();
                let seen = seen["keys"].as_object().unwrap();
                assert_eq!(seen.len(), keys, "{url} {kinds:?}");
                assert!(
                    seen.values()
                        .any(|times| times.as_u64() == Some(kinds.len() as u64 + 1))
                );
                table = now;
            }
            // A server that fails is not pressed.
            gateway.lose(&["500"]);
            let outcome = client.commit(&table, conformance::append(&table, 1)).await;
            assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
            // What is refused when it is sent again may have been carried out before.
            gateway.lose(&["request"]);
            let outcome = client.commit(&table, conformance::append(&table, 2)).await;
            assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
            gateway.lose(&["answer"; 4]);
            let table = client.load(&table.ident).await.unwrap();
            let outcome = client.commit(&table, conformance::append(&table, 3)).await;
            assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
            assert_eq!(gateway.still_to_lose(), 0);
            let now = client.load(&table.ident).await.unwrap();
            assert_eq!(now.metadata.snapshots().len(), 2);
        });
    }
}

/// By our own server and by Iceberg's.
#[test]
fn a_table_that_has_not_changed_is_not_sent_again() {
    let (ours, fixture) = (Server::start(""), Fixture::start());
    for url in [&ours.url, &fixture.url] {
        let mut gateway = Gateway::to(url, &[]);
        let reader = client(&gateway.url, &[], Tls::default()).unwrap();
        let writer = client(url, &[], Tls::default()).unwrap();
        let mut unchanged = |table: &LoadedTable| {
            let ident = &table.ident;
            let answer = format!(
                "304 GET /v1/namespaces/{}/tables/{}",
                ident.namespace[0], ident.name
            );
            gateway.seen()["answers"][&answer].as_u64().unwrap_or(0)
        };
        runtime().block_on(async {
            let created = conformance::new_table(&writer, "unchanged").await;
            let first = reader.load(&created.ident).await.unwrap();
            assert_eq!(unchanged(&created), 0, "{url}");
            for times in 1..3 {
                let again = reader.load(&created.ident).await.unwrap();
                assert_eq!(again.metadata_location, first.metadata_location);
                assert_eq!(again.metadata, created.metadata);
                let location = reader.metadata_location(&created.ident).await.unwrap();
                assert_eq!(location, first.metadata_location);
                assert_eq!(unchanged(&created), 2 * times, "{url}");
            }
            // What somebody else does is seen at once.
            let changed = applied(writer.commit(&created, conformance::append(&created, 1)).await);
            let seen = reader.load(&created.ident).await.unwrap();
            assert_eq!(seen.metadata_location, changed.metadata_location);
            assert_eq!(seen.metadata, changed.metadata);
            // What it has done itself, it knows already.
            let own = applied(reader.commit(&seen, conformance::append(&seen, 2)).await);
            let again = reader.load(&created.ident).await.unwrap();
            assert_eq!(again.metadata_location, own.metadata_location);
            assert_eq!(again.metadata, own.metadata);
            writer.drop_table(&created.ident).await.unwrap();
            let gone = reader.load(&created.ident).await.unwrap_err();
            assert!(matches!(gone, CatalogError::NotFound { .. }), "{gone}");
        });
    }
}

fn applied(outcome: CommitOutcome) -> LoadedTable {
    match outcome {
        CommitOutcome::Applied(table) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokens_are_renewed_before_they_end_and_when_they_are_refused() {
    let server = Server::start("");
    let mut gateway = Gateway::to(&server.url, &["--secret", SECRET, "--life", "10"]);
    let credential = format!("lake:{SECRET}");
    let client = client(
        &gateway.url,
        &[("credential", &credential), ("header.X-Team", "lake")],
        Tls::default(),
    );
    let client = client.unwrap();
    let runtime = runtime();
    // Ten seconds of life: renewed after five. Whoever was given no new one in time would be refused.
    eventually("a token in the place of one that ends soon", || {
        runtime.block_on(client.list_namespaces()).unwrap();
        (gateway.tokens() >= 3).then_some(())
    });
    assert_eq!(gateway.seen()["headers"]["x-team"], "lake");
    let before = gateway.tokens();
    gateway.expire_tokens();
    runtime.block_on(client.list_namespaces()).unwrap();
    assert!(gateway.tokens() > before);

    for wrong in ["lake:another-secret", "another-secret"] {
        let refused = self::client(&gateway.url, &[("credential", wrong)], Tls::default()).unwrap_err();
        assert!(matches!(refused, CatalogError::Rejected { .. }), "{refused}");
        let words = refused.to_string();
        assert!(
            words.contains("invalid_client") && !words.contains("another-secret"),
            "{words}"
        );
    }
}

#[test]
fn who_is_asked_is_known_by_a_certificate_and_who_asks_too() {
    let server = Server::start("");
    let folder = certificates();
    let file = |name: &str| folder.path().join(name);
    let path = folder.path().to_str().unwrap();
    let gateway = Gateway::to(&server.url, &["--tls", path, "--clients"]);
    let tls = |ca: &str, client: bool| Tls {
        ca: Some(file(ca)),
        client: client.then(|| ClientCertificate {
            certificate: file("client.pem"),
            key: file("client-key.pem"),
        }),
    };
    client(&gateway.url, &[], tls("ca.pem", true)).unwrap();
    for (ca, with) in [("other-ca.pem", true), ("ca.pem", false)] {
        let refused = client(&gateway.url, &[], tls(ca, with)).unwrap_err();
        assert!(matches!(refused, CatalogError::Unavailable { .. }), "{refused}");
    }
}

/// A gateway is asked for a catalog elsewhere as a proxy is: with the whole URI, which it passes on to its own.
#[test]
fn a_proxy_is_asked_where_one_is_said() {
    let server = Server::start("");
    let mut gateway = Gateway::to(&server.url, &[]);
    let port = gateway.url.rsplit(':').next().unwrap().to_owned();
    let properties = [
        ("rest.client.proxy.hostname", "127.0.0.1"),
        ("rest.client.proxy.port", port.as_str()),
        ("rest.client.proxy.username", "lake"),
        ("rest.client.proxy.password", SECRET),
    ];
    client("http://catalog.invalid/api", &properties, Tls::default()).unwrap_err();
    let seen = gateway.seen();
    let asked = seen["requests"]["GET http://catalog.invalid/api/v1/config"].as_u64();
    let asked = asked.or(seen["requests"]["GET /api/v1/config"].as_u64());
    assert_eq!(asked, Some(1), "{seen:#}");
    assert!(seen["headers"]["proxy-authorization"].is_string(), "{seen:#}");
}

/// AWS's own catalogs are asked so; the gateway computes the signatures from AWS's description of them.
#[test]
fn requests_are_signed_as_aws_expects_it() {
    let server = Server::start("");
    let gateway = Gateway::to(&server.url, &["--signed", "glue"]);
    let topic = Topic::create("rest-signed", 1, &[]);
    let (key_id, key) = S3_KEYS;
    let signed = |key: &str| {
        format!(
            "properties.rest.sigv4-enabled = true\nproperties.rest.signing-name = \"glue\"\n\
             properties.rest.signing-region = \"us-east-1\"\nproperties.rest.access-key-id = \"{key_id}\"\n\
             properties.rest.secret-access-key = \"{key}\"\n"
        )
    };
    let config = server.reached_at(&gateway.url, &topic, &signed(key));
    let produced = server.produce(&topic, "1", "100");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    server.lake.holds(&[&produced], &["--dead-letters"]);

    let refused = server.reached_at(&gateway.url, &topic, &signed("another-secret"));
    let (code, said) = tabletopic(&refused, &["check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("401 Unauthorized") && !said.contains("another-secret"),
        "{said}"
    );
}

#[test]
fn files_are_reached_with_credentials_that_the_catalog_gives_out_and_renews() {
    let seen = reached_with_credentials_of_the_catalog("rest-vended", &[]);
    let renewed = seen["requests"].as_object().unwrap().keys();
    assert_eq!(
        renewed
            .filter(|request| request.ends_with("/credentials"))
            .count(),
        0
    );
}

#[test]
fn credentials_are_renewed_where_the_catalog_has_an_endpoint_for_it() {
    let seen = reached_with_credentials_of_the_catalog("rest-renewed", &["--credentials"]);
    let request = "GET /v1/namespaces/shop/tables/orders/credentials";
    assert!(seen["requests"][request].as_u64() > Some(0), "{seen:#}");
}

/// Nothing here knows keys for the bucket but what the catalog gives out, and those end while it runs. What the gateway,
/// with these arguments, has seen.
fn reached_with_credentials_of_the_catalog(topic: &str, arguments: &[&str]) -> serde_json::Value {
    let mut store = S3::start(0);
    let (key_id, key) = S3_KEYS;
    // The catalog's server follows the keys of a file.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let know = |key_id: &str, key: &str| {
        let profile = format!("[lake]\naws_access_key_id = {key_id}\naws_secret_access_key = {key}\n");
        std::fs::write(&file, profile).expect("it is written");
    };
    know(key_id, key);
    let files = [
        (
            "AWS_SHARED_CREDENTIALS_FILE",
            file.to_str().expect("a UTF-8 path"),
        ),
        ("AWS_CONFIG_FILE", "/nowhere"),
    ];
    let server = Server::over(&store, "s3.profile-name = \"lake\"\n", &files);
    let mut gateway = Gateway::to(&server.url, arguments);
    gateway.vend(key_id, key, 2);

    let topic = Topic::create(topic, 1, &[]);
    let config = server.reached_at(&gateway.url, &topic, "");
    with_storage(&config, &place_of(&store));
    let before = server.produce(&topic, "1", "100");
    let service = Service::run_with(TABLETOPIC, &config, &[], &NOBODY);
    eventually("a first commit", || (service.commits() > 0).then_some(()));
    store.change_keys("other-key", "other-secret");
    know("other-key", "other-secret");
    gateway.vend("other-key", "other-secret", 2);
    let commits = service.commits();
    let after = server.produce(&topic, "2", "100");
    eventually("a commit with the new keys", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    never_halted(&log);
    assert!(!log.contains("other-secret"), "{log}");
    store.change_keys(key_id, key);
    server.lake.holds(&[&before, &after], &["--dead-letters"]);
    gateway.seen()
}
