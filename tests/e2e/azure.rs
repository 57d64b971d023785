//! The warehouse is a container of Azure's object store, as Azurite plays it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tabletopic_testkit::{AZURITE_KEY, Azurite, Lake, Service, Topic, Toxiproxy, eventually};

use crate::TABLETOPIC;
use crate::feed::{JSON, never_halted};

/// A configuration whose store answers at `endpoint`.
fn configure(lake: &Lake, endpoint: &str, topic: &Topic, job: &str, more: &str) -> PathBuf {
    let config = lake.configure("tabletopic", topic, "", job);
    let storage = format!("[storage]\nadls.endpoint = \"{endpoint}\"\n{more}\n");
    edit(&config, "[workers]", &format!("{storage}\n[workers]"));
    config
}

fn edit(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(config, text.replace(from, to)).expect("it is written");
}

/// What a command says, with the account's key in its environment.
fn run(arguments: &[&str], config: &Path, key: &str) -> (Option<i32>, String) {
    let output = Command::new(TABLETOPIC)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("AZURE_STORAGE_ACCOUNT_KEY", key)
        .output()
        .expect("it starts");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    (output.status.code(), said)
}

#[test]
#[ignore = "make test-full: it needs Azurite, which make parts does not install"]
fn a_topic_becomes_a_table_in_azure_that_other_engines_read() {
    let mut store = Azurite::start();
    let (topic, lake) = (Topic::create("azure", 2, &[]), Lake::in_azure(&store));
    let settings = "adls.write.access-tier = \"Cool\"\nadls.write.tags.team = \"lake\"";
    let config = configure(&lake, &store.endpoint, &topic, JSON, settings);
    let produce = |name: &str| {
        let produced = lake.file(&format!("{name}.parquet"));
        topic.produce("orders", &["--count", "1000", "--produced", &produced]);
        produced
    };
    let (code, said) = run(&["check"], &config, "bm90IHRoZSBrZXk=");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the credentials lack a permission or have expired"),
        "{said}"
    );
    let (code, said) = run(&["check"], &config, AZURITE_KEY);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(
            "warehouse abfss://lake@devstoreaccount1.dfs.core.windows.net/warehouse: a file was written"
        ),
        "{said}"
    );

    let before = produce("before");
    let environment = [("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY)];
    let service = Service::run_with(TABLETOPIC, &config, &[], &environment);
    service.says(" committed table=");
    store.stop();
    let after = produce("after");
    service.says("waiting for the store");
    let commits = service.commits();
    store.start_again();
    eventually("a commit after the outage", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    never_halted(&log);
    assert!(!log.contains(AZURITE_KEY), "{log}");
    lake.holds(&[&before, &after], &[]);
    lake.is_sound();
    let count = ["sql", "--output", "csv", "-c", "SELECT count(*) AS n FROM orders"];
    assert_eq!(
        run(&count, &config, AZURITE_KEY),
        (Some(0), "n\n2000\n".to_owned())
    );
}

#[test]
#[ignore = "make test-full: it needs Azurite, which make parts does not install"]
fn parts_of_a_file_whose_writer_was_killed_are_in_no_table() {
    let mut store = Azurite::start();
    let (host, account) = store
        .endpoint
        .trim_start_matches("http://")
        .split_once('/')
        .expect("the account is in the path");
    let mut network = Toxiproxy::start(host);
    let endpoint = format!("http://{}/{account}", network.address);
    let (topic, lake) = (Topic::create("azure-parts", 1, &[]), Lake::in_azure(&store));
    let job = "format = \"raw\"\npartition_by = []\npartitions = [0]";
    let key = format!("adls.account-key = \"{AZURITE_KEY}\"");
    let config = configure(&lake, &endpoint, &topic, job, &key);
    // A group would keep the partition for the dead process for a while.
    edit(&config, "[kafka]", "[kafka]\nassignment = \"static\"");
    // More than a part when it is compressed, read within one commit's interval.
    edit(&config, "interval = \"1s\"", "interval = \"5s\"");
    let produced = lake.file("produced.parquet");
    let mut dice = fastrand::Rng::with_seed(1);
    let lines = (0..30).map(|_| {
        let text: String = (0..900_000).map(|_| dice.alphanumeric()).collect();
        json!({ "text": text }).to_string() + "\n"
    });
    std::fs::write(lake.path("lines"), lines.collect::<String>()).expect("it is written");
    topic.produce("lines", &["--from", &lake.file("lines"), "--produced", &produced]);

    // The second part is under way for long after the first has arrived.
    network.poison("bandwidth upstream 1.0 rate=2000");
    let service = Service::run(TABLETOPIC, &config, &[]);
    eventually("a part in the store", || (store.unfinished() > 0).then_some(()));
    service.kill();
    assert_eq!(store.unfinished(), 1);
    network.heal();
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&produced], &["--format", "raw"]);
}
