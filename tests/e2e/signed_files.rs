//! Requests for tables' files are signed by the catalog, and the service has no keys: against a gateway that signs as the
//! specification has it, in front of our own server, and a store that is not ours and checks each signature.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use iceberg::TableIdent;
use serde_json::json;
use tabletopic_catalog::{Catalog, CommitOutcome, conformance};
use tabletopic_http::Tls;
use tabletopic_table::storage::StoresSettings;
use tabletopic_testkit::{Gateway, Nessie, S3, S3_KEYS, Service, Topic, eventually};

use crate::TABLETOPIC;
use crate::feed::{JSON, never_halted};
use crate::rest::{NOBODY, Server, client, place_of, runtime, tabletopic, with_storage};

/// A store, a catalog over it that has the keys, and somebody in front who signs with them.
struct World {
    store: S3,
    server: Server,
    gateway: Gateway,
}

impl World {
    fn new(way: &str) -> Self {
        let store = S3::start(0);
        let (key_id, key) = S3_KEYS;
        let keys = [("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", key)];
        let server = Server::over(&store, "", &keys);
        let mut gateway = Gateway::to(&server.url, &[]);
        gateway.sign(key_id, key, way);
        Self {
            store,
            server,
            gateway,
        }
    }

    /// The configuration of a service that knows where the store is.
    fn configured(&self, topic: &Topic) -> PathBuf {
        let config = self.server.reached_at(&self.gateway.url, topic, "");
        with_storage(&config, &place_of(&self.store));
        config
    }
}

/// Neither its configuration nor its environment has the store's keys.
fn has_no_keys(service: &Service, config: &PathBuf) {
    let told = service.environment() + &std::fs::read_to_string(config).expect("it was written");
    for key in [S3_KEYS.0, S3_KEYS.1, "s3.access-key-id", "s3.profile-name"] {
        assert!(!told.contains(key), "{key}: {told}");
    }
}

#[test]
fn a_topic_becomes_a_table_without_keys() {
    without_keys("signed-at-table", "table");
}

#[test]
fn and_where_the_catalog_signs_at_a_place_of_its_own() {
    without_keys("signed-at-endpoint", "endpoint");
}

fn without_keys(topic: &str, way: &str) {
    let mut world = World::new(way);
    let topic = Topic::create(topic, 2, &[]);
    let config = world.configured(&topic);
    let mut produced = vec![world.server.produce(&topic, "1", "300")];
    let service = Service::run_with(TABLETOPIC, &config, &[], &NOBODY);
    service.says(" committed table=");
    has_no_keys(&service, &config);

    // What is no longer needed is deleted.
    keep_few_snapshots(&world.server.url);
    while world.gateway.signed("POST delete") <= 2 {
        assert!(produced.len() < 100, "no files are deleted:\n{}", service.log());
        let (commits, round) = (service.commits(), (produced.len() + 1).to_string());
        produced.push(world.server.produce(&topic, &round, "100"));
        eventually("a commit of the round", || {
            (service.commits() > commits).then_some(())
        });
    }
    assert!(world.store.requests("delete") > 2);

    // What was offered ends, which nobody says beforehand: the catalog answers that the table has not changed.
    let (key_id, key) = S3_KEYS;
    world.gateway.sign(key_id, key, way);
    let commits = service.commits();
    let round = (produced.len() + 1).to_string();
    produced.push(world.server.produce(&topic, &round, "100"));
    eventually("a commit with new signatures", || {
        (service.commits() > commits).then_some(())
    });
    assert!(world.gateway.signed("PUT") > 0);
    let log = service.terminate();
    never_halted(&log);
    assert!(!log.contains("cannot delete"), "{log}");

    let (code, said) = tabletopic(
        &config,
        &["sql", "--output", "csv", "-c", "SELECT count(*) AS n FROM orders"],
    );
    let rows = 300 + 100 * (produced.len() - 1);
    assert_eq!((code, said), (Some(0), format!("n\n{rows}\n")));
    let produced: Vec<&str> = produced.iter().map(String::as_str).collect();
    world.server.lake.holds(&produced, &["--dead-letters"]);
    world.server.lake.is_sound();
}

/// By the catalog itself, beside commits of the service.
fn keep_few_snapshots(url: &str) {
    let catalog = client(url, &[], Tls::default()).unwrap();
    let orders = TableIdent::from_strs(["shop", "orders"]).unwrap();
    runtime().block_on(async {
        let table = catalog.load(&orders).await.unwrap();
        let few = conformance::set_property("tabletopic.expire.max-snapshots", "3");
        let outcome = catalog.commit(&table, few).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    });
}

#[test]
fn a_large_file_is_sent_in_parts_without_keys() {
    let mut world = World::new("table");
    let topic = Topic::create("signed-parts", 1, &[]);
    let config = world.configured(&topic);
    let lake = &world.server.lake;
    let text = std::fs::read_to_string(&config).expect("it was written");
    let raw = text.replace(JSON, "format = \"raw\"\npartition_by = []");
    assert_ne!(text, raw);
    std::fs::write(&config, raw.replace("interval = \"100ms\"", "interval = \"5s\"")).expect("it is written");
    // More than two parts when it is compressed, read within one commit's interval.
    let mut dice = fastrand::Rng::with_seed(1);
    let lines = (0..50).map(|_| {
        let text: String = (0..900_000).map(|_| dice.alphanumeric()).collect();
        json!({ "text": text }).to_string() + "\n"
    });
    std::fs::write(lake.path("lines"), lines.collect::<String>()).expect("it is written");
    let produced = lake.file("produced.parquet");
    topic.produce("lines", &["--from", &lake.file("lines"), "--produced", &produced]);
    Service::run_with(TABLETOPIC, &config, &["--until-end"], &NOBODY).succeed();
    // It is begun, has parts, and is ended.
    assert!(world.store.requests("multipart") >= 4);
    assert!(world.gateway.signed("POST") >= 2);
    world.server.lake.holds(&[&produced], &["--format", "raw"]);
}

#[test]
fn what_the_catalog_does_not_sign_is_said_and_waited_out() {
    let mut world = World::new("table");
    let topic = Topic::create("signed-refused", 1, &[]);
    let config = world.configured(&topic);
    let before = world.server.produce(&topic, "1", "100");
    let service = Service::run_with(TABLETOPIC, &config, &[], &NOBODY);
    service.says(" committed table=");
    world.gateway.refuse_to_sign(Some("/orders/data/"));
    let after = world.server.produce(&topic, "2", "100");
    let log = service.says("the test says no");
    let line = log
        .lines()
        .find(|line| line.contains("the test says no"))
        .expect("it is said");
    println!("{line}");
    for words in [
        "cannot write s3://lake/warehouse/shop/orders/data/",
        "sign PUT http://",
        "403 Forbidden, ForbiddenException: the test says no",
        "correct the credentials in [catalog.properties], or what they may do there",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(line.matches("the test says no").count(), 1, "{line}");
    let commits = service.commits();
    world.gateway.refuse_to_sign(None);
    eventually("a commit once it is signed again", || {
        (service.commits() > commits).then_some(())
    });
    never_halted(&service.terminate());
    world.server.lake.holds(&[&before, &after], &["--dead-letters"]);
}

/// Somebody else's server: files of a table are written, in parts too, and read. What else Nessie does, and does not do, is in
/// `docs/catalog.md`.
#[test]
#[ignore = "make test-full: Nessie is installed with the engines"]
fn nessie_signs_what_is_written_and_read() {
    let mut store = S3::start(0);
    let nessie = Nessie::over(&store.proxy);
    let client = Arc::new(client(&nessie.url, &[], Tls::default()).unwrap());
    runtime().block_on(async {
        let table = conformance::new_table(&*client, "signed").await;
        let location = table.metadata.location();
        // It says where the store is.
        let settings = StoresSettings::new(&BTreeMap::new()).unwrap();
        let files = settings.open(|_| None, client.clone(), Arc::default()).file_io;
        let file = |name: &str| format!("{location}/data/day=2026-01-31/{name}");
        let mut dice = fastrand::Rng::with_seed(1);
        for (name, length) in [("small", 1000), ("large", 40 << 20)] {
            let content: Vec<u8> = (0..length).map(|_| dice.u8(..)).collect();
            let output = files.new_output(file(name)).unwrap();
            output.write(content.clone().into()).await.unwrap();
            let kept = file(name).replace("s3://lake", store.folder.to_str().unwrap());
            assert!(
                std::fs::read(&kept).unwrap() == content,
                "{kept} has other contents"
            );
            let input = files.new_input(file(name)).unwrap();
            assert!(
                input.read().await.unwrap() == content,
                "{name} is read with other contents"
            );
            let reader = input.reader().await.unwrap();
            assert!(reader.read(100..200).await.unwrap() == content[100..200]);
        }
        assert!(store.requests("multipart") >= 5);
        assert!(!files.exists(file("none")).await.unwrap());

        // It does not sign this, and says so.
        let refused = files.delete(file("small")).await.unwrap_err().to_string();
        assert!(
            refused.contains("refused to sign POST") && refused.contains("Invalid S3 URI"),
            "{refused}"
        );
    });
}
