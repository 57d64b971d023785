//! Every way to log in to Kafka: records arrive by each; what keeps a client out is said, with what to do next and
//! without any secret; and credentials that end while a service runs are renewed.

use std::path::{Path, PathBuf};
use std::process::Command;

use tabletopic_testkit::{Lake, PASSWORD, SECRET, Secured, Service, Topic, USER, admin, eventually};

use crate::TABLETOPIC;
use crate::environment::check;

const JSON: &str = "format = \"json\"\nevent_time = \"created_at\"";

/// What no output may show.
const WRONG: &str = "neither-this-nor-that";
const RENEWED: &str = "battery-staple-again";

/// Librdkafka's properties, in the order in which they are written.
pub type Properties = Vec<(&'static str, String)>;

fn tls(secured: &Secured) -> Properties {
    vec![
        ("security.protocol", "ssl".to_owned()),
        ("ssl.ca.location", secured.file("ca.pem")),
    ]
}

fn mutual_tls(secured: &Secured) -> Properties {
    with(
        tls(secured),
        [
            ("ssl.certificate.location", secured.file("client.pem")),
            ("ssl.key.location", secured.file("client-key.pem")),
        ],
    )
}

fn password(secured: &Secured, mechanism: &str, password: &str) -> Properties {
    with(
        tls(secured),
        [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", USER.to_owned()),
            ("sasl.password", password.to_owned()),
        ],
    )
}

fn token(secured: &Secured, secret: &str) -> Properties {
    with(
        tls(secured),
        [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", "OAUTHBEARER".to_owned()),
            ("sasl.oauthbearer.method", "oidc".to_owned()),
            ("sasl.oauthbearer.token.endpoint.url", secured.token_url.clone()),
            ("sasl.oauthbearer.client.id", USER.to_owned()),
            ("sasl.oauthbearer.client.secret", secret.to_owned()),
            ("https.ca.location", secured.file("ca.pem")),
        ],
    )
}

/// Some of them otherwise.
pub fn with(
    mut properties: Properties,
    others: impl IntoIterator<Item = (&'static str, String)>,
) -> Properties {
    for (name, value) in others {
        properties.retain(|(other, _)| *other != name);
        properties.push((name, value));
    }
    properties
}

/// A configuration for one of the broker's addresses, with a group of its own.
pub fn configure(lake: &Lake, topic: &Topic, address: &str, properties: &Properties) -> PathBuf {
    let topic = Topic {
        bootstrap: address.to_owned(),
        ..topic.clone()
    };
    let lines: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name} = \"{value}\""))
        .collect();
    let section = format!("[kafka.properties]\n{}", lines.join("\n"));
    let config = lake.configure("login", &topic, &section, JSON);
    let text = std::fs::read_to_string(&config).expect("it was written");
    let (from, to) = (
        format!("group = \"{}\"", topic.name),
        format!("group = \"{}\"", lake.file("group").replace('/', "-")),
    );
    std::fs::write(&config, text.replace(&from, &to)).expect("it is written");
    config
}

fn shows_no_secret(said: &str) {
    for secret in [PASSWORD, SECRET, WRONG, RENEWED] {
        assert!(!said.contains(secret), "a secret in\n{said}");
    }
}

#[test]
fn records_come_in_by_every_way_to_log_in() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "login", 2, &[]);
    let source = Lake::new();
    let produced = source.file("produced.parquet");
    topic.produce("orders", &["--count", "200", "--produced", &produced]);
    let ways = [
        ("MUTUAL", mutual_tls(&secured)),
        ("LOGIN", password(&secured, "PLAIN", PASSWORD)),
        ("LOGIN", password(&secured, "SCRAM-SHA-256", PASSWORD)),
        ("LOGIN", password(&secured, "SCRAM-SHA-512", PASSWORD)),
        ("LOGIN", token(&secured, SECRET)),
    ];
    std::thread::scope(|scope| {
        for (address, properties) in ways {
            let (secured, topic, produced) = (&secured, &topic, &produced);
            scope.spawn(move || {
                let lake = Lake::new();
                let config = configure(&lake, topic, secured.address(address), &properties);
                let (code, said) = check(&config);
                assert_eq!(code, 0, "{properties:?}: {said}");
                let log = Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
                shows_no_secret(&format!("{said}{log}"));
                lake.holds(&[produced], &[]);
            });
        }
    });
}

/// What `tests/parts/IamValidator.java` knows of those whom AWS's IAM lets in.
const IAM: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
    ("AWS_SECRET_ACCESS_KEY", "signed-with-this"),
    ("AWS_SESSION_TOKEN", "and/this+too="),
    ("AWS_REGION", "eu-test-1"),
];

#[test]
fn amazons_brokers_let_in_who_signs_with_keys_that_iam_knows() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "iam", 2, &[]);
    let lake = Lake::new();
    let properties = with(
        tls(&secured),
        [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", "AWS_MSK_IAM".to_owned()),
        ],
    );
    let config = configure(&lake, &topic, secured.address("IAM"), &properties);
    let check = |environment: &[(&str, &str)]| {
        let mut command = Command::new(TABLETOPIC);
        command.arg("check").arg("--config").arg(&config);
        let output = command
            .envs(environment.iter().copied())
            .output()
            .expect("it starts");
        (
            output.status.code(),
            String::from_utf8(output.stdout).expect("UTF-8"),
        )
    };
    let (code, said) = check(&IAM);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(&[&IAM[..], &[("AWS_SECRET_ACCESS_KEY", WRONG)]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("what the brokers expect of a token"), "{said}");
    shows_no_secret(&said);

    let before = lake.file("before.parquet");
    topic.produce("orders", &["--count", "100", "--produced", &before]);
    let service = Service::run_with(TABLETOPIC, &config, &[], &IAM);
    service.says(" committed table=");
    let commits = service.commits();
    let after = lake.file("after.parquet");
    topic.produce("orders", &["--count", "100", "--produced", &after]);
    eventually("a commit", || (service.commits() > commits).then_some(()));
    let log = service.terminate();
    assert!(!log.contains("signed-with-this"), "{log}");
    lake.holds(&[&before, &after], &[]);
}

/// The exit code of a check, and what it and a run that waits say beside the broker.
fn is_kept_out(config: &Path, code: i32, words: &str) {
    let service = Service::run(TABLETOPIC, config, &[]);
    let (left_with, said) = check(config);
    assert!(said.contains(words), "no {words:?} in\n{said}");
    assert_eq!(left_with, code, "{said}");
    let log = service.says(words);
    assert!(log.contains("waiting for the broker"), "{log}");
    // Not at the pace at which the client tries.
    assert!(log.lines().count() < 60, "{log}");
    shows_no_secret(&format!("{said}{log}"));
    service.terminate();
}

#[test]
fn what_keeps_a_client_out_is_said_with_what_to_do_next() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "kept-out", 1, &[]);
    let of = |name: &'static str, value: &str| [(name, value.to_owned())];
    let unknown = secured.file("other-ca.pem");
    let plaintext = secured.broker.bootstrap.as_str();
    let cases = [
        (
            secured.address("LOGIN"),
            password(&secured, "SCRAM-SHA-256", WRONG),
            2,
            "check sasl.mechanism, sasl.username and sasl.password",
        ),
        (
            secured.address("LOGIN"),
            with(
                password(&secured, "PLAIN", PASSWORD),
                of("ssl.ca.location", &unknown),
            ),
            2,
            "the broker's certificate is not from an authority in /",
        ),
        (
            secured.address("EXPIRED"),
            tls(&secured),
            2,
            "the broker's certificate has expired; have it renewed there",
        ),
        (
            secured.address("ELSEWHERE"),
            tls(&secured),
            2,
            "the broker's certificate is not for 127.0.0.1; write a name in `bootstrap` that it has",
        ),
        (
            secured.address("MUTUAL"),
            tls(&secured),
            2,
            "check ssl.certificate.location and ssl.key.location",
        ),
        (
            secured.address("MUTUAL"),
            of("security.protocol", "plaintext").to_vec(),
            2,
            "check security.protocol, and the ports in `bootstrap`",
        ),
        (
            plaintext,
            tls(&secured),
            2,
            "check security.protocol, and the ports in `bootstrap`",
        ),
        (
            secured.address("LOGIN"),
            token(&secured, WRONG),
            2,
            "check sasl.oauthbearer.client.id, sasl.oauthbearer.client.secret",
        ),
        (
            secured.address("LOGIN"),
            with(token(&secured, SECRET), of("https.ca.location", &unknown)),
            5,
            "https.ca.location if its certificate is from an authority of your own",
        ),
        (
            secured.address("LOGIN"),
            with(
                token(&secured, SECRET),
                of("sasl.oauthbearer.token.endpoint.url", "https://127.0.0.1:1/token"),
            ),
            5,
            "check that sasl.oauthbearer.token.endpoint.url answers",
        ),
    ];
    std::thread::scope(|scope| {
        for (address, properties, code, words) in cases {
            let topic = &topic;
            scope.spawn(move || {
                let lake = Lake::new();
                is_kept_out(&configure(&lake, topic, address, &properties), code, words);
            });
        }
    });
}

/// Without `ssl.ca.location` OpenSSL would look where it was built, and find nothing.
#[test]
fn the_authorities_of_the_system_are_trusted() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "system", 1, &[]);
    let lake = Lake::new();
    let mut properties = mutual_tls(&secured);
    properties.retain(|(name, _)| *name != "ssl.ca.location");
    let config = configure(&lake, &topic, secured.address("MUTUAL"), &properties);
    let (code, said) = check(&config);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("not from an authority in /"), "{said}");
    let ca = secured.file("ca.pem");
    let log = Service::run_with(TABLETOPIC, &config, &["--until-end"], &[("SSL_CERT_FILE", &ca)]);
    log.succeed();
}

#[test]
fn a_token_is_renewed_while_a_service_runs_and_an_endpoint_that_is_away_is_waited_out() {
    let mut secured = Secured::start(15);
    let topic = Topic::create_on(&secured.broker.bootstrap, "tokens", 1, &[]);
    let lake = Lake::new();
    let config = configure(&lake, &topic, secured.address("LOGIN"), &token(&secured, SECRET));
    let produce = |name: &str| {
        let produced = lake.file(&format!("{name}.parquet"));
        topic.produce("orders", &["--count", "50", "--produced", &produced]);
        produced
    };
    let before = produce("before");
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let given = secured.tokens_given();
    eventually("further tokens", || {
        (secured.tokens_given() > given + 2).then_some(())
    });
    assert!(
        !service.log().contains("waiting for the broker"),
        "{}",
        service.log()
    );

    secured.refuse_tokens();
    let log = service.says("check that sasl.oauthbearer.token.endpoint.url answers");
    assert!(log.contains("waiting for the broker"), "{log}");
    secured.give_tokens();
    let commits = service.commits();
    let after = produce("after");
    eventually("a commit with a new token", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    shows_no_secret(&log);
    lake.holds(&[&before, &after], &[]);
}

#[test]
fn a_password_that_was_changed_is_read_again_from_its_file() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "password", 2, &[]);
    let lake = Lake::new();
    std::fs::write(lake.path("password"), format!("{PASSWORD}\n")).expect("it is written");
    let properties = password(&secured, "SCRAM-SHA-512", "${file:password}");
    let config = configure(&lake, &topic, secured.address("LOGIN"), &properties);
    let before = lake.file("before.parquet");
    topic.produce("orders", &["--count", "50", "--produced", &before]);
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");

    // First there: clients have to log in again every few seconds, and are told.
    let bootstrap = &secured.broker.bootstrap;
    admin(bootstrap, &["password", USER, "--is", RENEWED]);
    service.says("check sasl.mechanism, sasl.username and sasl.password");
    // A pod's secrets are replaced by a rename.
    std::fs::write(lake.path("new"), RENEWED).expect("it is written");
    std::fs::rename(lake.path("new"), lake.path("password")).expect("it is replaced");
    service.says("the credentials for Kafka were renewed");
    let commits = service.commits();
    let after = lake.file("after.parquet");
    topic.produce("orders", &["--count", "50", "--produced", &after]);
    eventually("a commit with the new password", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    shows_no_secret(&log);
    lake.holds(&[&before, &after], &[]);
    lake.is_sound();
}

#[test]
fn a_certificate_that_was_renewed_is_read_again() {
    let secured = Secured::start(300);
    let topic = Topic::create_on(&secured.broker.bootstrap, "certificate", 1, &[]);
    let lake = Lake::new();
    let copy = |from: &str, to: &str| {
        std::fs::copy(secured.file(from), lake.path(to)).expect("it is copied");
    };
    // Of the right authority, and out of date. Paths start at the configuration's folder.
    copy("expired.pem", "client.pem");
    copy("expired-key.pem", "client-key.pem");
    let properties = with(
        mutual_tls(&secured),
        [
            ("ssl.certificate.location", "client.pem".to_owned()),
            ("ssl.key.location", "client-key.pem".to_owned()),
        ],
    );
    let config = configure(&lake, &topic, secured.address("MUTUAL"), &properties);
    let produced = lake.file("produced.parquet");
    topic.produce("orders", &["--count", "50", "--produced", &produced]);
    let service = Service::run(TABLETOPIC, &config, &["--until-end"]);
    service.says("check ssl.certificate.location and ssl.key.location");
    copy("client.pem", "client.pem");
    copy("client-key.pem", "client-key.pem");
    service.succeed();
    lake.holds(&[&produced], &[]);
}
