//! Logging in by Kerberos. It takes a build with the feature `gssapi`, which `make test-full` makes.

use std::path::Path;
use std::process::Command;

use tabletopic_testkit::{Lake, Realm, Service, Topic, USER, eventually};

use crate::TABLETOPIC;
use crate::login::{Properties, configure, with};

/// Librdkafka's properties for a client with these keys.
fn keys(realm: &Realm, keytab: &str) -> Properties {
    vec![
        ("security.protocol", "sasl_plaintext".to_owned()),
        ("sasl.mechanism", "GSSAPI".to_owned()),
        ("sasl.kerberos.service.name", "kafka".to_owned()),
        ("sasl.kerberos.principal", USER.to_owned()),
        ("sasl.kerberos.keytab", realm.secured.file(keytab)),
        ("sasl.kerberos.min.time.before.relogin", "1000".to_owned()),
    ]
}

/// Where the realm is, and a cache of the test's own for tickets.
fn environment(realm: &Realm, lake: &Lake) -> [(&'static str, String); 2] {
    [
        ("KRB5_CONFIG", realm.secured.file("krb5.conf")),
        ("KRB5CCNAME", format!("FILE:{}", lake.file("tickets"))),
    ]
}

fn run(realm: &Realm, lake: &Lake, config: &Path, arguments: &[&str]) -> Service {
    let environment = environment(realm, lake);
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Service::run_with(TABLETOPIC, config, arguments, &environment)
}

/// `tabletopic check`: exit code, and what it and `kinit` say.
fn check(realm: &Realm, lake: &Lake, config: &Path) -> (Option<i32>, String) {
    let output = Command::new(TABLETOPIC)
        .arg("check")
        .arg("--config")
        .arg(config)
        .envs(environment(realm, lake))
        .output()
        .expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

fn topic(realm: &Realm, name: &str) -> Topic {
    Topic::create_on(&realm.secured.broker.bootstrap, name, 2, &[])
}

#[test]
fn records_come_in_by_gssapi() {
    let realm = Realm::start(3600);
    let (topic, lake) = (topic(&realm, "kerberos"), Lake::new());
    let produced = lake.file("produced.parquet");
    topic.produce("orders", &["--count", "200", "--produced", &produced]);
    let address = realm.secured.address("KERBEROS");
    let config = configure(&lake, &topic, address, &keys(&realm, "client.keytab"));
    let (code, said) = check(&realm, &lake, &config);
    assert_eq!(code, Some(0), "{said}");
    run(&realm, &lake, &config, &["--until-end"]).succeed();
    lake.holds(&[&produced], &[]);
}

#[test]
fn what_kerberos_refuses_is_said_with_what_to_do_next() {
    let realm = Realm::start(3600);
    let topic = topic(&realm, "no-ticket");
    let service = |name: &str| {
        with(
            keys(&realm, "client.keytab"),
            [("sasl.kerberos.service.name", name.to_owned())],
        )
    };
    let cases = [
        (
            keys(&realm, "stale.keytab"),
            5,
            "check sasl.kerberos.principal and sasl.kerberos.keytab",
            "kinit: ",
        ),
        (
            service("nobody"),
            2,
            "check sasl.kerberos.service.name",
            "Server nobody/127.0.0.1",
        ),
    ];
    for (properties, code, advice, reason) in cases {
        let lake = Lake::new();
        let config = configure(&lake, &topic, realm.secured.address("KERBEROS"), &properties);
        let waiting = run(&realm, &lake, &config, &[]);
        let (left_with, said) = check(&realm, &lake, &config);
        assert!(said.contains(advice) && said.contains(reason), "{said}");
        assert_eq!(left_with, Some(code), "{said}");
        let log = waiting.says(advice);
        assert!(
            log.contains(reason) && log.contains("waiting for the broker"),
            "{log}"
        );
        waiting.terminate();
    }
}

#[test]
fn a_ticket_is_renewed_while_a_service_runs_and_a_kdc_that_is_away_is_waited_out() {
    let mut realm = Realm::start(8);
    let (topic, lake) = (topic(&realm, "tickets"), Lake::new());
    let address = realm.secured.address("KERBEROS");
    let config = configure(&lake, &topic, address, &keys(&realm, "client.keytab"));
    let produce = |name: &str| {
        let produced = lake.file(&format!("{name}.parquet"));
        topic.produce("orders", &["--count", "50", "--produced", &produced]);
        produced
    };
    let before = produce("before");
    let service = run(&realm, &lake, &config, &[]);
    service.says(" committed table=");
    let given = realm.tickets_given();
    // Brokers have clients log in again every four seconds: with the first ticket alone that fails after eight.
    eventually("tickets for longer than one lives", || {
        (realm.tickets_given() > given + 60).then_some(())
    });
    assert!(
        !service.log().contains("waiting for the broker"),
        "{}",
        service.log()
    );

    realm.stop_kdc();
    let log =
        service.says("check sasl.kerberos.principal and sasl.kerberos.keytab, and that the KDC answers");
    assert!(log.contains("waiting for the broker"), "{log}");
    realm.start_kdc_again();
    let commits = service.commits();
    let after = produce("after");
    eventually("a commit with a new ticket", || {
        (service.commits() > commits).then_some(())
    });
    service.terminate();
    lake.holds(&[&before, &after], &[]);
}
