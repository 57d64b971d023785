//! What an operator sees of a running service over HTTP: a person in a browser, a collector, a probe.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use procfs::process::Process;
use serde_json::Value;
use tabletopic_testkit::{Lake, Service, Topic, eventually, must};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, POISON};

const TOKEN: &str = "a-token-of-this-test";

/// Adds an `[admin]` section to a configuration.
pub fn administer(config: &Path, section: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    std::fs::write(config, format!("{text}\n[admin]\n{section}\n")).expect("it can be written");
}

/// `host:port` of the service's status page, as its log says it.
pub fn address(service: &Service) -> String {
    let log = service.says("status page at http://");
    let (_, after) = log.split_once("status page at http://").expect("it says so");
    after.split_once('/').expect("it is an address").0.to_owned()
}

/// Status and body of the answer to `GET path`.
pub fn get(address: &str, path: &str, header: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), body.to_owned())
}

/// Another topic in the feed's configuration, which halts at its first bad record and leaves the rest unread.
fn stuck_beside(feed: &Feed) -> Topic {
    let topic = Topic::create("stuck", 1, &[]);
    let text = std::fs::read_to_string(&feed.config).expect("it was written");
    let section = format!(
        "\n[[topic]]\nname = \"{}\"\ntable = \"shop.stuck\"\nformat = \"json\"\n\n[topic.commit]\ninterval = \"1s\"\n",
        topic.name
    );
    std::fs::write(&feed.config, text + &section).expect("it can be written");
    let produced = feed.lake.file("stuck.parquet");
    topic.produce(
        "orders",
        &["--count", "300", "--poison", "0.2", "--produced", &produced],
    );
    topic
}

/// The one of `list` whose `key` is `value`.
fn at<'v>(list: &'v Value, key: &str, value: &str) -> &'v Value {
    let mut found = list
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| one[key] == value);
    found
        .next()
        .unwrap_or_else(|| panic!("no {key} {value:?} in {list:#}"))
}

#[test]
fn a_person_and_a_collector_see_a_halt_and_what_answers_it() {
    let feed = Feed::of(Topic::create("watched", 2, &[]), JSON);
    // Its alerts and panels are looked for as well.
    feed.edit("[kafka]\n", "[verify]\nevery = \"1s\"\n\n[kafka]\n");
    administer(&feed.config, "listen = \"127.0.0.1:0\"");
    feed.produce(600, &[]);
    feed.catch_up();
    feed.produce(600, POISON);
    feed.topic.admin("delete-records", &["--before", "0=450"]);
    let stuck = stuck_beside(&feed);
    let service = feed.run();
    service.says("offsets 300 to 449 are no longer in the log");
    service.says("bad record");
    let address = address(&service);
    eventually("a service that is ready", || {
        (get(&address, "/readyz", "").0 == 200).then_some(())
    });
    // What is produced while it is watched shows in rates.
    feed.produce(600, POISON);

    let (light, dark) = (feed.lake.file("light.png"), feed.lake.file("dark.png"));
    let url = format!("http://{address}/");
    let page = must(
        "page",
        &[
            &url,
            "--until",
            "Recent commits",
            "--screenshot",
            &light,
            "--screenshot",
            &dark,
        ],
    );
    assert_eq!(page["verdict"], "2 halts wait for an answer", "{page:#}");
    let place = format!("Topic {}, partition 0", feed.topic.name);
    let halt = at(&page["halts"], "place", &place);
    assert_eq!(halt["visible"], true, "{page:#}");
    let message = halt["message"].as_str().expect("it has one");
    assert!(
        message.contains("offsets 300 to 449 are no longer in the log"),
        "{message}"
    );
    let command = halt["commands"][0].as_str().expect("it has one");
    let config = feed.config.to_str().expect("a UTF-8 path");
    assert!(
        command.starts_with("tabletopic resolve")
            && command.contains(config)
            && command.contains("shop.orders --declare-lost"),
        "{command}"
    );
    assert_eq!(page["copied"], command, "{page:#}");
    let state = |topic: &Topic| &at(&page["jobs"], "topic", &topic.name)["state"];
    assert_eq!(state(&feed.topic), "partition 0 halted", "{page:#}");
    assert_eq!(state(&stuck), "halted", "{page:#}");
    for nothing in ["errors", "outside"] {
        assert_eq!(
            page[nothing].as_array().map(Vec::len),
            Some(0),
            "{nothing}: {page:#}"
        );
    }
    assert_eq!(
        (&page["wide"], &page["wide_on_a_phone"]),
        (&0.into(), &0.into()),
        "{page:#}"
    );
    assert_eq!(page["kept"], true, "what was unfolded stays so: {page:#}");
    assert_ne!(
        page["screenshots"][0]["paper"], page["screenshots"][1]["paper"],
        "{page:#}"
    );
    assert!(
        page["stale"]
            .as_str()
            .is_some_and(|said| said.starts_with("No answer since")),
        "{page:#}"
    );

    let seen = must("monitoring", &[&address]);
    assert_eq!(seen["content_type"], "text/plain; version=0.0.4", "{seen:#}");
    assert_eq!(seen["complaints"], serde_json::json!({}), "{seen:#}");
    assert_eq!(seen["failed"], serde_json::json!({}), "{seen:#}");
    assert_eq!(seen["unknown"], serde_json::json!([]), "{seen:#}");
    assert_eq!(seen["empty"], serde_json::json!([]), "{seen:#}");
    let firing = seen["firing"].as_array().expect("a list");
    assert!(firing.contains(&"TabletopicHalted".into()), "{seen:#}");
    assert!(!firing.contains(&"TabletopicDown".into()), "{seen:#}");
    service.terminate();
}

#[test]
fn other_hosts_need_the_token_and_a_probe_is_answered_before_the_broker_is_there() {
    let lake = Lake::new();
    let nowhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let topic = Topic {
        name: "nowhere".to_owned(),
        bootstrap: nowhere.local_addr().expect("it has one").to_string(),
    };
    drop(nowhere);
    let config = lake.configure("tabletopic", &topic, "", JSON);
    administer(&config, "listen = \"0.0.0.0:0\"\ntoken = \"${env:ADMIN_TOKEN}\"");
    let service = Service::run_with(TABLETOPIC, &config, &[], &[("ADMIN_TOKEN", TOKEN)]);
    let address = address(&service).replace("0.0.0.0", "127.0.0.1");

    assert_eq!(get(&address, "/healthz", ""), (200, "alive\n".to_owned()));
    assert_eq!(get(&address, "/readyz", ""), (503, "not ready\n".to_owned()));
    for path in ["/", "/status.json", "/metrics"] {
        assert_eq!(get(&address, path, "").0, 401, "{path}");
    }
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let (status, missing) = get(&address, "/readyz", &token);
    assert_eq!(status, 503, "{missing}");
    assert!(
        missing.contains("topic nowhere and table shop.orders are not prepared yet"),
        "{missing}"
    );
    let (status, page) = get(&address, "/", &token);
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Starting: topic nowhere"), "{page}");
    let log = service.kill();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn an_address_that_was_asked_for_and_is_taken_ends_the_run_with_the_way_out() {
    let lake = Lake::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one").to_string();
    let topic = Topic {
        name: "nowhere".to_owned(),
        bootstrap: address.clone(),
    };
    let config = lake.configure("tabletopic", &topic, "", JSON);
    administer(&config, &format!("listen = \"{address}\""));
    let (code, log) = Service::run(TABLETOPIC, &config, &[]).finish();
    assert_eq!(code, 1, "{log}");
    assert!(
        log.contains(&format!(
            "error: another process listens on {address}; give `listen` in [admin] another address"
        )),
        "{log}"
    );
}

/// CPU seconds by stage, as a collector gets them.
fn cpu_by_stage(metrics: &str) -> BTreeMap<String, f64> {
    let lines = metrics.lines().filter_map(|line| {
        let line = line.strip_prefix("tabletopic_stage_cpu_seconds_total{stage=\"")?;
        let (stage, seconds) = line.split_once("\"} ")?;
        Some((stage.to_owned(), seconds.parse().expect("a number")))
    });
    lines.collect()
}

/// CPU seconds of a process, by the kernel.
fn cpu_of(pid: u32) -> f64 {
    let process = Process::new(pid.cast_signed()).and_then(|process| process.stat());
    let stat = process.expect("it runs");
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

#[test]
fn the_stages_add_up_to_the_cpu_time_of_the_process() {
    let feed = Feed::of(Topic::create("metered", 2, &[]), JSON);
    administer(&feed.config, "listen = \"127.0.0.1:0\"");
    let service = feed.run();
    let address = address(&service);
    // Until it has worked for longer than the ticks that the kernel counts in make a difference.
    let (by_stage, of_process) = eventually("two seconds of work", || {
        feed.produce(5_000, &[]);
        let (status, metrics) = get(&address, "/metrics", "");
        let of_process = cpu_of(service.pid());
        (status == 200 && of_process > 2.0).then(|| (cpu_by_stage(&metrics), of_process))
    });
    let told: f64 = by_stage.values().sum();
    assert!(
        (0.8..1.1).contains(&(told / of_process)),
        "{told} of {of_process} s: {by_stage:?}"
    );
    for stage in ["fetch", "consume", "decode", "encode", "commit"] {
        assert!(by_stage[stage] > 0.0, "{stage}: {by_stage:?}");
    }
    service.terminate();
}
