//! The catalog in a PostgreSQL database, which fails and loses answers. Other clients of it are in `foreign` and `catalog`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tabletopic_testkit::{
    Lake, Lost, OverTls, Postgres, PostgresWay, Service, Topic, eventually, eventually_within,
};

use crate::TABLETOPIC;
use crate::environment::check;
use crate::feed::JSON;

/// How many answers to commits get lost.
const LOSSES: usize = 20;

fn produce(topic: &Topic, lake: &Lake, name: &str, more: &[&str]) -> String {
    let file = lake.file(&format!("{name}.parquet"));
    topic.produce("orders", &[&["--produced", &file], more].concat());
    file
}

fn edit(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).expect("it is there");
    assert!(text.contains(from), "{text} has no {from}");
    std::fs::write(config, text.replace(from, to)).expect("it can be written");
}

/// What a command prints, which has to succeed.
fn tabletopic(config: &Path, arguments: &[&str]) -> String {
    let output = Command::new(TABLETOPIC)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_topic_becomes_a_table_that_every_command_finds() {
    let postgres = Postgres::start();
    let topic = Topic::create("postgres", 3, &[]);
    let lake = Lake::in_postgres(&postgres, postgres.port);
    let config = lake.configure("tabletopic", &topic, "", JSON);
    let produced = produce(
        &topic,
        &lake,
        "produced",
        &["--count", "5000", "--poison", "0.01"],
    );

    // Those who look make nothing.
    tabletopic(&config, &["plan"]);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("is not there yet; it will be made, and every table with it"),
        "{said}"
    );

    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&produced], &["--dead-letters"]);
    lake.is_sound();

    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("ok    table shop.orders: exists and fits, at "),
        "{said}"
    );
    tabletopic(&config, &["status", "shop.orders"]);
    tabletopic(&config, &["plan"]);
    tabletopic(&config, &["dead-letters", "shop.orders"]);
    let counted = tabletopic(
        &config,
        &[
            "sql",
            "--output",
            "csv",
            "-c",
            "SELECT count(*) > 4000 AS many FROM shop.orders",
        ],
    );
    assert_eq!(counted, "many\ntrue\n");
}

#[test]
fn what_is_wrong_with_the_database_is_said_by_check_and_run() {
    let OverTls {
        postgres,
        certificates,
    } = Postgres::start_over_tls();
    let topic = Topic::create("postgres-check", 1, &[]);
    let lake = Lake::in_postgres(&postgres, postgres.port);
    let config = lake.configure("tabletopic", &topic, "", JSON);
    edit(&config, "lake's password", "another one");
    let (code, said) = check(&config);
    assert_eq!(code, 2, "{said}");
    let advice =
        "password authentication failed for user \"lake\" (SQLSTATE 28P01); check the password of user lake";
    assert!(
        said.contains("fail  catalog tabletopic in postgres://lake@127.0.0.1:") && said.contains(advice),
        "{said}"
    );
    let (code, log) = Service::run(TABLETOPIC, &config, &["--until-end"]).finish();
    assert_eq!(code, 2, "{log}");
    assert!(log.contains(advice) && !log.contains("another one"), "{log}");
    edit(&config, "another one", "lake's password");

    edit(&config, "sslmode=disable", "sslmode=verify-full");
    let (code, said) = check(&config);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("UnknownIssuer; check sslmode and the files of TLS"),
        "{said}"
    );
    let ca = format!(
        "\ntls.ca = \"{}\"\npassword",
        certificates.path().join("ca.pem").display()
    );
    edit(&config, "\npassword", &ca);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");

    postgres.stop();
    let (code, said) = check(&config);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("runs and can be reached from here"), "{said}");
}

/// Whether the server has got the `COMMIT` or not, its sender can't know: every record is in the table once.
#[test]
fn answers_to_commits_that_get_lost_neither_lose_nor_double_a_record() {
    let postgres = Postgres::start();
    let way = PostgresWay::to(postgres.port);
    let topic = Topic::create("postgres-lost", 2, &[]);
    let lake = Lake::in_postgres(&postgres, way.port);
    let config = lake.configure("tabletopic", &topic, "", JSON);
    edit(&config, "interval = \"1s\"", "interval = \"100ms\"");
    let mut produced = vec![produce(
        &topic,
        &lake,
        "0",
        &["--count", "500", "--poison", "0.01"],
    )];
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");

    let script = [Lost::Answer, Lost::Request, Lost::Answer, Lost::Late];
    let script: Vec<Lost> = script.into_iter().cycle().take(LOSSES).collect();
    way.lose(&script);
    while way.still_to_lose() > 0 {
        let (left, number) = (way.still_to_lose(), produced.len().to_string());
        let more = ["--count", "200", "--seed", &number, "--poison", "0.01"];
        produced.push(produce(&topic, &lake, &number, &more));
        eventually("a commit that gets lost", || {
            (way.still_to_lose() < left).then_some(())
        });
    }
    let log = service.terminate();
    assert!(log.contains("the answer to a commit was lost"), "{log}");
    assert!(!log.contains("halted="), "{log}");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    let produced: Vec<&str> = produced.iter().map(String::as_str).collect();
    lake.holds(&produced, &["--dead-letters"]);
    lake.is_sound();
}

#[test]
fn a_database_that_fails_over_is_waited_for() {
    let postgres = Postgres::start();
    let topic = Topic::create("postgres-away", 1, &[]);
    let lake = Lake::in_postgres(&postgres, postgres.port);
    let config = lake.configure("tabletopic", &topic, "", JSON);
    let before = produce(&topic, &lake, "before", &["--count", "300"]);
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let commits = service.commits();

    postgres.standby();
    let meanwhile = produce(&topic, &lake, "meanwhile", &["--count", "300", "--seed", "1"]);
    service.says("leads to the primary");
    postgres.stop();
    service.says("can be reached from here");
    postgres.start_again();
    // Pauses between tries grow, up to most of a minute.
    eventually_within(Duration::from_secs(120), "a commit to the primary", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    assert!(!log.contains("halted="), "{log}");
    lake.holds(&[&before, &meanwhile], &[]);
    lake.is_sound();
}
