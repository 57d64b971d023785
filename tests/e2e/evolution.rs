//! Schemas that change while they are read, by a service that is killed at any moment: `evolution_stories.py` says what
//! is written, and what the tables, the ledgers and the dead letters must hold then.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_clock::{Entropy, SeededEntropy};
use tabletopic_testkit::{Lake, Registry, Service, Topic, must};

use crate::TABLETOPIC;

/// The topics of all stories, whose names begin alike, each into a table of its own.
struct Stories {
    lake: Lake,
    registry: Registry,
    bootstrap: String,
    prefix: String,
    config: PathBuf,
}

impl Stories {
    fn begin() -> Self {
        let (lake, registry) = (Lake::new(), Registry::start());
        let text = |story: &Value, key: &str| story[key].as_str().expect("a text").to_owned();
        let Topic {
            name: prefix,
            bootstrap,
        } = Topic::named("evolution");
        let stories = must(
            "evolution",
            &["begin", "--prefix", &prefix, "--bootstrap", &bootstrap],
        );
        let stories = stories.as_array().expect("a list");
        let mut config = format!(
            "[kafka]\nbootstrap = \"{}\"\nassignment = \"static\"\n\n[catalog]\ntype = \"sqlite\"\n\
             uri = \"catalog.db\"\nwarehouse = \"warehouse\"\n\n[workers]\ncount = 1\n\n[admin]\nlisten = \"off\"\n\n\
             [registry]\nurls = [\"{}\"]\n",
            bootstrap, registry.url
        );
        for story in stories {
            let (name, settings) = (text(story, "name"), text(story, "settings"));
            let topic = format!("{prefix}-{name}");
            config.push_str(&format!(
                "\n[[topic]]\nname = \"{topic}\"\ntable = \"shop.{name}\"\nformat = \"avro\"\npartitions = [0]\n\
                 partition_by = []\ncommit.interval = \"300ms\"\n{settings}\n"
            ));
        }
        let path = lake.path("evolution.toml");
        std::fs::write(&path, config).expect("the configuration is written");
        Self {
            lake,
            registry,
            bootstrap,
            prefix,
            config: path,
        }
    }

    fn produce(&self, wave: &str) {
        let arguments = [
            "produce",
            wave,
            "--prefix",
            &self.prefix,
            "--bootstrap",
            &self.bootstrap,
            "--registry",
            &self.registry.url,
        ];
        must("evolution", &arguments);
    }

    fn run(&self, arguments: &[&str]) -> Service {
        Service::run(TABLETOPIC, &self.config, arguments)
    }

    /// What `tabletopic ARGUMENTS --output json` says, with its exit code.
    fn says(&self, arguments: &[&str]) -> (i32, Value) {
        let output = Command::new(TABLETOPIC)
            .args(arguments)
            .args(["--output", "json", "--config"])
            .arg(&self.config)
            .output()
            .expect("tabletopic starts");
        let said = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap_or(-1), said)
    }

    /// The verdict on the newest schema of a story's subject, and its exit code.
    fn verdict(&self, story: &str) -> (i32, Value) {
        let (code, said) = self.says(&["plan", "--subject", &format!("{}-{story}-value", self.prefix)]);
        (
            code,
            json!([said["verdict"], said["changes"], said["refused"][0]["column"]]),
        )
    }
}

#[test]
fn tables_follow_their_schemas_whenever_the_service_is_killed() {
    let seed = match std::env::var("TABLETOPIC_TEST_SEED") {
        Ok(seed) => seed.parse().expect("TABLETOPIC_TEST_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("TABLETOPIC_TEST_SEED={seed}");
    let random = SeededEntropy::new(seed);

    let stories = Stories::begin();
    stories.produce("0");
    let catalog = stories.lake.file("catalog.db");
    stories.run(&["--until-end"]).succeed();
    must(
        "evolution",
        &[
            "require",
            "n",
            "--catalog",
            &catalog,
            "--table",
            "shop.made_optional",
        ],
    );
    stories.produce("1");
    planned(&stories);
    let killed = |longest: u64| {
        let service = stories.run(&[]);
        std::thread::sleep(Duration::from_millis(random.next_u64() % longest));
        service.kill();
    };
    killed(2_500);
    killed(2_500);
    stories.produce("2");
    killed(2_500);
    let (code, log) = stories.run(&["--until-end"]).finish();
    assert_eq!(code, 4, "one of them halts:\n{log}");
    let halt = format!(
        "{}-halted partition 0 offset 30: bad record (wrong_type in field `n`)",
        stories.prefix
    );
    assert!(log.contains(&halt), "{log}");
    must("evolution", &["judge", "--catalog", &catalog]);
    listed(&stories);
}

/// What the second wave's schemas would do, while no record of them has been read.
fn planned(stories: &Stories) {
    for (story, expected) in [
        ("added", json!(["changes", ["add column note string"], null])),
        ("enum_grown", json!(["compatible", [], null])),
        (
            "made_optional",
            json!(["changes", ["make column n optional"], null]),
        ),
        (
            "renamed",
            json!([
                "changes",
                ["rename column note to title", "rename column place.city to town"],
                null
            ]),
        ),
    ] {
        assert_eq!(stories.verdict(story), (0, expected), "{story}");
    }
    let refused = json!(["refused", [], "n"]);
    assert_eq!(stories.verdict("halted"), (4, refused.clone()));
    assert_eq!(stories.verdict("set_aside"), (4, refused));

    // An older version, and a file that nobody has registered.
    let subject = format!("{}-halted-value", stories.prefix);
    let (code, said) = stories.says(&["plan", "--subject", &subject, "--version", "1"]);
    assert_eq!((code, &said["verdict"]), (0, &json!("compatible")), "{said}");
    let file = stories.lake.file("next.avsc");
    let schema = json!({ "type": "record", "name": "Order", "fields": [
        { "name": "id", "type": "long" },
        { "name": "n", "type": "long" },
    ] });
    std::fs::write(&file, schema.to_string()).expect("it is written");
    let topic = format!("{}-halted", stories.prefix);
    let (code, said) = stories.says(&["plan", &topic, "--schema", &file]);
    assert_eq!(
        (code, &said["changes"]),
        (0, &json!(["widen column n from int to long"])),
        "{said}"
    );
}

/// `$schemas` tells what the ledger tells. Ours made the column what it was before, which has the schema's id from then.
fn listed(stories: &Stories) {
    let query =
        r#"SELECT change, changed_by, "offset" FROM shop."made_optional$schemas" ORDER BY changed_by"#;
    let (_, rows) = stories.says(&["sql", "-c", query]);
    let row = |change: &str, by: &str, offset: Option<i64>| json!({ "change": change, "changed_by": by, "offset": offset });
    assert_eq!(
        rows,
        json!([
            row("make column n required", "another writer", None),
            row("make column n optional", "tabletopic", Some(30)),
        ])
    );
}
