//! The warehouse is a bucket: an S3 server that is not ours, and a proxy in front of it that makes trouble.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tabletopic_testkit::{Lake, S3, S3_KEYS, Service, Topic, Toxiproxy, eventually};

use crate::TABLETOPIC;
use crate::admin::{address, administer, get};
use crate::feed::{JSON, never_halted};

/// Settings of the store, which answers at `endpoint`; `more` are further lines.
fn settings(endpoint: &str, more: &str) -> String {
    format!(
        "[storage]\ns3.endpoint = \"{endpoint}\"\ns3.path-style-access = true\ns3.region = \"us-east-1\"\n{more}\n"
    )
}

fn keys() -> String {
    let (key_id, key) = S3_KEYS;
    format!("s3.access-key-id = \"{key_id}\"\ns3.secret-access-key = \"{key}\"\n")
}

/// A configuration that reaches the store by its proxy, with the keys in it.
pub fn configure(lake: &Lake, store: &S3, topic: &Topic, job: &str, more: &str) -> PathBuf {
    configure_at(&store.proxy, lake, topic, job, more)
}

fn configure_at(endpoint: &str, lake: &Lake, topic: &Topic, job: &str, more: &str) -> PathBuf {
    let config = lake.configure("tabletopic", topic, "", job);
    let storage = settings(endpoint, &(keys() + more));
    let text = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(
        &config,
        text.replace("[workers]", &format!("{storage}\n[workers]")),
    )
    .expect("it is written");
    config
}

fn produce(topic: &Topic, lake: &Lake, name: &str, count: &str) -> String {
    let produced = lake.file(&format!("{name}.parquet"));
    let arguments = [
        "--count",
        count,
        "--seed",
        name.trim_matches(char::is_alphabetic),
        "--produced",
        &produced,
    ];
    topic.produce("orders", &arguments);
    produced
}

#[test]
fn a_topic_becomes_a_table_in_a_bucket_that_other_engines_read() {
    let mut store = S3::start(0);
    let (topic, lake) = (Topic::create("s3", 2, &[]), Lake::in_s3(&store));
    let settings = "s3.write.storage-class = \"STANDARD_IA\"\ns3.write.tags.team = \"lake\"\n";
    let config = configure(&lake, &store, &topic, JSON, settings);
    let produced = produce(&topic, &lake, "orders1", "3000");

    let run = |arguments: &[&str]| {
        let output = Command::new(TABLETOPIC)
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .output()
            .expect("it starts");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        (output.status.code(), said)
    };
    let (code, said) = run(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("ok    warehouse s3://lake/warehouse: a file was written, read and deleted"),
        "{said}"
    );
    let text = std::fs::read_to_string(&config).expect("it was written");
    std::fs::write(&config, text.replace(S3_KEYS.1, "another-secret")).expect("it is written");
    let (code, said) = run(&["check"]);
    assert_eq!(code, Some(1), "{said}");
    // Once, however many causes the error has.
    assert_eq!(said.matches("<Code>SignatureDoesNotMatch<").count(), 1, "{said}");
    std::fs::write(&config, text).expect("it is written");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&produced], &[]);
    lake.is_sound();
    let (code, said) = run(&["sql", "--output", "csv", "-c", "SELECT count(*) AS n FROM orders"]);
    assert_eq!((code, said.as_str()), (Some(0), "n\n3000\n"));

    for (name, value) in [
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-tagging", "team=lake"),
    ] {
        let said = store.header(name);
        let values: Vec<&String> = said.as_object().expect("counts").keys().collect();
        assert_eq!(values, [value], "{name}");
    }
}

#[test]
fn requests_that_go_wrong_lose_nothing_and_double_nothing() {
    let mut store = S3::start(7);
    let (topic, lake) = (Topic::create("s3-faults", 2, &[]), Lake::in_s3(&store));
    let config = configure(&lake, &store, &topic, JSON, "");
    let mut produced = Vec::new();
    for (chance, name) in [(0.01, "orders1"), (0.1, "orders2"), (0.5, "orders3")] {
        store.fail(chance);
        produced.push(produce(&topic, &lake, name, "1000"));
        // As under whatever restarts a process that could not start.
        eventually("a run that ends well", || {
            let (code, log) = Service::run(TABLETOPIC, &config, &["--until-end"]).finish();
            assert!(code == 0 || code == 5, "{log}");
            never_halted(&log);
            (code == 0).then_some(())
        });
    }
    let produced: Vec<&str> = produced.iter().map(String::as_str).collect();
    lake.holds(&produced, &[]);
    lake.is_sound();
}

#[test]
fn a_store_that_is_away_is_waited_out() {
    let mut store = S3::start(0);
    let (topic, lake) = (Topic::create("s3-away", 1, &[]), Lake::in_s3(&store));
    let config = configure(&lake, &store, &topic, JSON, "");
    let before = produce(&topic, &lake, "orders1", "100");
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    store.stop();
    let after = produce(&topic, &lake, "orders2", "100");
    service.says("waiting for the store");
    let commits = service.commits();
    store.start_again();
    eventually("a commit after the outage", || {
        (service.commits() > commits).then_some(())
    });
    never_halted(&service.terminate());
    lake.holds(&[&before, &after], &[]);
}

#[test]
fn keys_that_are_rotated_in_their_file_are_followed() {
    let mut store = S3::start(0);
    let (topic, lake) = (Topic::create("s3-keys", 1, &[]), Lake::in_s3(&store));
    let config = lake.configure("tabletopic", &topic, "", JSON);
    let text = std::fs::read_to_string(&config).expect("it was written");
    let storage = settings(&store.proxy, "s3.profile-name = \"lake\"");
    std::fs::write(
        &config,
        text.replace("[workers]", &format!("{storage}\n[workers]")),
    )
    .expect("it is written");
    let file = lake.file("credentials");
    let rotate = |key_id: &str, key: &str| {
        let profile = format!("[lake]\naws_access_key_id = {key_id}\naws_secret_access_key = {key}\n");
        std::fs::write(&file, profile).expect("it is written");
    };
    rotate(S3_KEYS.0, S3_KEYS.1);
    let before = produce(&topic, &lake, "orders1", "100");
    let service = Service::run_with(
        TABLETOPIC,
        &config,
        &[],
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", &file),
            ("AWS_CONFIG_FILE", "/nowhere"),
        ],
    );
    service.says(" committed table=");
    store.change_keys(S3_KEYS.0, "other-secret");
    let after = produce(&topic, &lake, "orders2", "100");
    let log = service.says("waiting for the store");
    assert!(
        log.contains("the credentials lack a permission or have expired"),
        "{log}"
    );
    let commits = service.commits();
    rotate(S3_KEYS.0, "other-secret");
    service.says("credentials have changed");
    eventually("a commit with the new keys", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    never_halted(&log);
    assert!(!log.contains("other-secret"), "{log}");
    store.change_keys(S3_KEYS.0, S3_KEYS.1);
    lake.holds(&[&before, &after], &[]);
}

/// Uploads that have begun and not ended, as the server keeps them.
fn unfinished(store: &S3) -> usize {
    let uploads = store.folder.join(".sgwtmp/multipart");
    let Ok(objects) = std::fs::read_dir(uploads) else {
        return 0;
    };
    let of = |object: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_dir(object.expect("an entry").path()).map_or(0, Iterator::count)
    };
    objects.map(of).sum()
}

#[test]
fn parts_of_a_file_whose_writer_was_killed_are_cleaned_up() {
    let mut store = S3::start(0);
    let (topic, lake) = (Topic::create("s3-parts", 1, &[]), Lake::in_s3(&store));
    let job = "format = \"raw\"\npartition_by = []\npartitions = [0]";
    let config = configure(&lake, &store, &topic, job, "s3.multipart.abort-after = \"1s\"\n");
    let produced = lake.file("produced.parquet");
    // More than a part when it is compressed, read within one commit's interval.
    let mut dice = fastrand::Rng::with_seed(1);
    let lines = (0..30).map(|_| {
        let text: String = (0..900_000).map(|_| dice.alphanumeric()).collect();
        json!({ "text": text }).to_string() + "\n"
    });
    std::fs::write(lake.path("lines"), lines.collect::<String>()).expect("it is written");
    topic.produce("lines", &["--from", &lake.file("lines"), "--produced", &produced]);
    let text = std::fs::read_to_string(&config).expect("it was written");
    // A group would keep the partition for the dead process for a while.
    let text = text.replace("[kafka]", "[kafka]\nassignment = \"static\"");
    std::fs::write(&config, text.replace("interval = \"1s\"", "interval = \"5s\"")).expect("it is written");
    store.hold_parts();
    let service = Service::run(TABLETOPIC, &config, &[]);
    store.holds_a_part();
    service.kill();
    assert_eq!(unfinished(&store), 1);

    store.release_parts();
    // Each looks once when it starts, and the first may come within the second.
    eventually("the parts are gone", || {
        Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
        (unfinished(&store) == 0).then_some(())
    });
    lake.holds(&[&produced], &["--format", "raw"]);
}

/// The value of a metric without labels other than these.
fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{page}")) as u64
}

#[test]
fn a_commit_takes_three_requests_that_write_beside_its_data_files() {
    let mut store = S3::start(0);
    let (topic, lake) = (Topic::create("s3-requests", 1, &[]), Lake::in_s3(&store));
    let config = configure(&lake, &store, &topic, JSON, "");
    administer(&config, "listen = \"127.0.0.1:0\"");
    produce(&topic, &lake, "orders1", "100");
    let service = Service::run(TABLETOPIC, &config, &[]);
    let address = address(&service);
    let page = || get(&address, "/metrics", "").1;
    let counted = |page: &str| {
        [
            metric(page, "tabletopic_store_requests_total{kind=\"put\"}"),
            metric(page, "tabletopic_committed_files_total{table=\"shop.orders\"}"),
            metric(page, "tabletopic_commits_total{table=\"shop.orders\"}"),
        ]
    };
    service.says(" committed table=");
    // Followers and the table itself are made with requests of their own: what comes later is plain commits.
    let mut commits = service.commits();
    let mut differences = Vec::new();
    for round in 2..6 {
        let before = counted(&page());
        produce(&topic, &lake, &format!("orders{round}"), "100");
        eventually("another commit", || (service.commits() > commits).then_some(()));
        commits = service.commits();
        let after = counted(&page());
        let [puts, files, made] = [0, 1, 2].map(|at| after[at] - before[at]);
        differences.push((puts, files + 3 * made));
    }
    assert!(
        differences.iter().any(|(puts, expected)| puts == expected),
        "{differences:?}"
    );
    assert_eq!(
        store.requests("put"),
        metric(&page(), "tabletopic_store_requests_total{kind=\"put\"}")
    );
    service.terminate();
}

/// What a network does to the connections, and whether anything gets through meanwhile.
const TOXICS: [(&str, bool); 8] = [
    ("latency downstream 1.0 latency=300 jitter=200", true),
    ("bandwidth upstream 1.0 rate=32", true),
    (
        "slicer downstream 1.0 average_size=200 size_variation=100 delay=2000",
        true,
    ),
    ("reset_peer downstream 0.3 timeout=20", true),
    // Requests do not arrive.
    ("timeout upstream 1.0 timeout=300", false),
    // They do, and are carried out; their answers are lost, cut off, or the connection is.
    ("timeout downstream 1.0 timeout=300", false),
    ("limit_data downstream 1.0 bytes=100", false),
    ("reset_peer downstream 1.0 timeout=0", false),
];

#[test]
fn a_bad_network_loses_nothing_and_doubles_nothing_and_is_got_over() {
    let store = S3::start(0);
    let mut network = Toxiproxy::start(store.endpoint.trim_start_matches("http://"));
    let (topic, lake) = (Topic::create("s3-network", 2, &[]), Lake::in_s3(&store));
    let endpoint = format!("http://{}", network.address);
    let config = configure_at(&endpoint, &lake, &topic, JSON, "");
    administer(&config, "listen = \"127.0.0.1:0\"");
    let service = Service::run(TABLETOPIC, &config, &[]);
    let address = address(&service);
    let count = |name: &str| metric(&get(&address, "/metrics", "").1, name);
    let arrives = |all: u64| {
        eventually("all rows are committed", || {
            (count("tabletopic_committed_rows_total{table=\"shop.orders\"}") == all).then_some(())
        });
    };
    let mut files = Vec::new();
    // So many are to be in the table then.
    let mut send = || {
        files.push(produce(&topic, &lake, &format!("orders{}", files.len()), "500"));
        500 * files.len() as u64
    };
    let timed = |send: &mut dyn FnMut() -> u64| {
        let began = Instant::now();
        arrives(send());
        began.elapsed()
    };

    send();
    service.says(" committed table=");
    let before = timed(&mut send);
    for (toxic, gets_through) in TOXICS {
        let failures = count("tabletopic_store_failures_total");
        network.poison(toxic);
        let all = send();
        if gets_through {
            arrives(all);
        } else {
            eventually(&format!("requests that fail by {toxic}"), || {
                (count("tabletopic_store_failures_total") > failures + 2).then_some(())
            });
        }
        network.heal();
        arrives(all);
    }
    let after = timed(&mut send);
    assert!(
        after < before * 3 + Duration::from_secs(5),
        "a batch took {before:?} before, and {after:?} after"
    );
    never_halted(&service.terminate());
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    lake.holds(&files, &[]);
    lake.is_sound();
}
