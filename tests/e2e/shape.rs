//! Rows in another shape than their records: kept or left out, columns dropped, renamed, flattened, hashed and
//! computed, change events unwrapped. DuckDB says what the tables hold; the audits, that every record is accounted for.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Registry, Service, Topic, must};

use crate::TABLETOPIC;

/// HMAC-SHA-256 under the key of these tests, as Python's `hmac` has it.
const ADA: &str = "512383176ce1b4c279ee430548cf07ec0b58efa588517b611c1f0da6d2b9e577";
const BOB: &str = "bbc8434fd179b429f14ccaf6cb6053ca729b90169559151d0ba9f3e9770a8254";

/// A topic that is read into a table of its own.
struct Story {
    topic: Topic,
    lake: Lake,
    config: PathBuf,
    waves: usize,
}

impl Story {
    fn new(name: &str, settings: &str) -> Self {
        let (topic, lake) = (Topic::create(name, 1, &[]), Lake::new());
        std::fs::write(lake.path("hash-key"), "0123456789abcdef\n").expect("the key is written");
        let config = lake.configure("shape", &topic, "", settings);
        Self {
            topic,
            lake,
            config,
            waves: 0,
        }
    }

    /// Produces lines (see `lines.py`).
    fn produce(&mut self, lines: impl IntoIterator<Item = Value>) {
        let (from, produced) = (
            self.lake.file(&format!("{}.jsonl", self.waves)),
            self.lake.file(&format!("{}.parquet", self.waves)),
        );
        let text: Vec<String> = lines.into_iter().map(|line| line.to_string()).collect();
        std::fs::write(&from, text.join("\n")).expect("the lines are written");
        self.topic
            .produce("lines", &["--from", &from, "--produced", &produced]);
        self.waves += 1;
    }

    fn run(&self) {
        Service::run(TABLETOPIC, &self.config, &["--until-end"]).succeed();
    }

    fn asks(&self, query: &str) -> Value {
        let answer = self.lake.must("ask", &[query]);
        answer["rows"][0].clone()
    }

    /// Standard output of `tabletopic ARGUMENTS`, with its exit code.
    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(TABLETOPIC)
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .output()
            .expect("tabletopic starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

fn value(value: Value) -> Value {
    json!({ "value": value })
}

#[test]
fn rows_take_the_shape_that_the_configuration_says() {
    let mut story = Story::new(
        "shape",
        r#"format = "json"
on_bad_record = "dead-letter"
where = "NOT coalesce(is_test, false) AND quantity > 0"

[topic.columns]
drop = ["password", "is_test"]
flatten = ["address"]
hash = ["email"]
hash_key = "${file:hash-key}"
rename = { id = "order_id", address_city = "city" }
compute = { total = "price * quantity", each = "100 / quantity", domain = "split_part(email, '@', 2)" }
types = { is_test = "BOOLEAN" }"#,
    );
    story.produce([
        value(
            json!({"id": 1, "email": "ada@example.com", "price": 1.5, "quantity": 2, "password": "geheim",
            "address": {"city": "Bern", "zip": "3000"}}),
        ),
        value(
            json!({"id": 2, "email": "bob@example.com", "price": 2.0, "quantity": 3, "password": 7,
            "Password": "geheim", "is_test": false, "address": null}),
        ),
        value(json!({"id": 3, "email": "eve@example.com", "price": 9.0, "quantity": 3, "is_test": true})),
        // `where` is null, and so not true.
        value(json!({"id": 4, "email": "eve@example.com", "price": 9.0, "quantity": null})),
        // Bad in a column that stays, and in one that is only read.
        json!({"key": "eve@example.com", "value": {"id": "x", "email": "eve@example.com", "quantity": 1},
            "headers": [["who", "eve@example.com"]]}),
        value(json!({"id": 6, "email": "eve@example.com", "quantity": 1, "is_test": "geheim"})),
        json!({"value": null}),
    ]);
    story.run();
    assert_eq!(
        story.asks("SELECT * EXCLUDE (_kafka_partition, _kafka_timestamp) FROM orders ORDER BY ALL"),
        json!([
            {"order_id": 1, "price": 1.5, "quantity": 2, "city": "Bern", "address_zip": "3000", "email": ADA,
                "domain": "example.com", "each": 50, "total": 3.0, "_kafka_offset": 0},
            {"order_id": 2, "price": 2.0, "quantity": 3, "city": null, "address_zip": null, "email": BOB,
                "domain": "example.com", "each": 33, "total": 6.0, "_kafka_offset": 1},
        ])
    );
    assert_eq!(
        story.asks(
            r#"SELECT "offset", reason, field, "key", "value", headers FROM orders__dead_letters ORDER BY ALL"#
        ),
        json!([
            {"offset": 4, "reason": "wrong_type", "field": "id", "key": null, "value": null,
                "headers": [{"key": "tabletopic.withheld", "value": "value,key,headers"}]},
            {"offset": 5, "reason": "wrong_type", "field": "is_test", "key": null, "value": null,
                "headers": [{"key": "tabletopic.withheld", "value": "value,key,headers"}]},
        ])
    );
    // Three that `where` does not keep: a test, one without quantity, the tombstone.
    let counts = "SELECT sum(rows)::INT AS rows, sum(filtered)::INT AS filtered, sum(dead_letters)::INT AS letters \
                  FROM orders__ledger";
    assert_eq!(
        story.asks(counts),
        json!([{"rows": 2, "filtered": 3, "letters": 2}])
    );
    story.lake.is_sound();

    // Another process, with records that have more and less.
    story.produce([
        value(
            json!({"id": 7, "price": 1, "quantity": 4, "coupon": "SPRING", "is_test": null,
            "address": {"city": "Basel", "geo": {"lat": 47.5}}}),
        ),
        value(json!({"id": 8, "quantity": 1, "is_test": true, "surprise": 1})),
    ]);
    story.run();
    assert_eq!(
        story.asks(
            "SELECT order_id, coupon, city, address_geo, each, total, email FROM orders WHERE order_id > 2"
        ),
        json!([{"order_id": 7, "coupon": "SPRING", "city": "Basel", "address_geo": {"lat": 47.5}, "each": 25,
            "total": 4.0, "email": null}])
    );
    story.lake.is_sound();

    // The letters hold nothing to make rows of.
    let (code, said) = story.says(&["dead-letters", "shop.orders", "redrive", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("withheld"), "{said}");
    let bytes = std::fs::read_dir(story.lake.warehouse()).expect("it is there");
    for file in files(bytes) {
        let bytes = std::fs::read(&file).expect("it can be read");
        for secret in ["geheim", "eve@", "ada@", "0123456789abcdef"] {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} is in {}",
                file.display()
            );
        }
    }
}

/// All files below a folder.
fn files(folder: std::fs::ReadDir) -> Vec<PathBuf> {
    let entries = folder.map(|entry| entry.expect("it is read").path());
    entries
        .flat_map(|path| match std::fs::read_dir(&path) {
            Ok(inner) => files(inner),
            Err(_) => vec![path],
        })
        .collect()
}

#[test]
fn a_record_that_an_expression_fails_for_is_the_only_one_set_aside() {
    let mut story = Story::new(
        "expressions",
        r#"format = "json"
on_bad_record = "dead-letter"
where = "id <> 4"
otherwise = "dead-letter"

[topic.columns]
compute = { share = "100 / parts", number = "CAST(text AS BIGINT)" }"#,
    );
    story.produce((0..8).map(|id| {
        let (parts, text) = match id {
            2 => (0, "2".to_owned()),
            5 => (1, "secret".to_owned()),
            _ => (2, id.to_string()),
        };
        value(json!({"id": id, "parts": parts, "text": text}))
    }));
    story.run();
    assert_eq!(
        story.asks("SELECT id, share, number FROM orders ORDER BY id"),
        json!([0, 1, 3, 6, 7].map(|id| json!({"id": id, "share": 50, "number": id})))
    );
    let letters = story.asks(
        r#"SELECT "offset", reason, field, detail, "value" FROM orders__dead_letters ORDER BY "offset""#,
    );
    let told = |letter: &Value| {
        let detail = letter["detail"].as_str().expect("it has one").to_owned();
        assert!(!detail.contains("secret"), "{detail}");
        json!([letter["offset"], letter["reason"], letter["field"]])
    };
    let told: Vec<Value> = letters.as_array().expect("a list").iter().map(told).collect();
    assert_eq!(
        json!(told),
        json!([
            [2, "expression_failed", "share"],
            [4, "not_kept", null],
            [5, "expression_failed", "number"]
        ])
    );
    // Nothing is left out of this table, so that the letters are whole.
    assert_eq!(letters[0]["value"], json!(r#"{"id":2,"parts":0,"text":"2"}"#));
    story.lake.is_sound();

    // With another configuration they become rows.
    let text = std::fs::read_to_string(&story.config).expect("it was written");
    let mended = text
        .replace("100 / parts", "100 / nullif(parts, 0)")
        .replace("id <> 4", "true");
    std::fs::write(&story.config, mended).expect("it is written");
    let (code, said) = story.says(&["dead-letters", "shop.orders", "redrive", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        story.asks("SELECT id, share FROM orders WHERE id IN (2, 4, 5) ORDER BY id"),
        json!([{"id": 2, "share": null}, {"id": 4, "share": 50}])
    );
    story.lake.is_sound();
}

/// What `changes.py` writes, as a table should hold it.
fn changelog() -> Value {
    let row = |number: u64, op: &str, id: Option<i64>, name: Option<&str>| {
        json!({
            "_kafka_offset": number, "id": id, "name": name, "_op": op,
            "_ts_ms": format!("2026-01-31 09:26:56.{:03}000+00:00", 123 + number),
            "_source_ts_ms": match number {
                0 => "2026-01-31 09:26:56+00:00".to_owned(),
                _ => format!("2026-01-31 09:26:56.{number:03}000+00:00"),
            },
            // Above 2^53: no digit is lost on the way.
            "_source_lsn": (9_007_199_254_740_993 + number).to_string(),
        })
    };
    json!([
        row(0, "r", Some(2), Some("Bob")),
        row(1, "c", Some(1), Some("Ada")),
        row(2, "u", Some(1), Some("Eve")),
        row(3, "d", Some(1), Some("Eve")),
        row(5, "t", None, None),
    ])
}

/// What nobody may see of a change.
const DROPS: &str = "columns.drop = [\"secret\"]";

/// Reads the change events of `changes.py` and compares the table, twice: a second process goes on where it ended, with
/// events in the format `then`. The column of names is called `name` after them. What `left_out` names is not compared.
fn unwraps(format: &str, settings: &str, more: &[&str], then: &str, name: &str, left_out: &[&str]) {
    let story = Story::new(
        &format!("changes-{format}"),
        &format!("unwrap = \"debezium\"\npartition_by = []\n{settings}"),
    );
    let produce = |format: &str| {
        let topic = [
            story.topic.name.as_str(),
            "--bootstrap",
            &story.topic.bootstrap,
            "--as",
            format,
        ];
        must("changes", &[&topic[..], more].concat());
    };
    produce(format);
    story.run();
    let left_out = [&["_kafka_partition", "_kafka_timestamp"], left_out]
        .concat()
        .join(", ");
    let all = format!("SELECT * EXCLUDE ({left_out}) FROM orders ORDER BY _kafka_offset");
    assert_eq!(story.asks(&all), changelog(), "{format}");
    produce(then);
    story.run();
    let counts = "SELECT sum(rows)::INT AS rows, sum(filtered)::INT AS filtered FROM orders__ledger";
    assert_eq!(story.asks(counts), json!([{"rows": 10, "filtered": 2}]));
    let again = format!(
        "SELECT count(*)::INT AS rows, count(DISTINCT (id, {name}, _op, _source_lsn))::INT AS changes FROM orders"
    );
    assert_eq!(story.asks(&again), json!([{"rows": 10, "changes": 5}]));
    story.lake.is_sound();
}

#[test]
fn change_events_in_json_become_rows() {
    let json = format!("{DROPS}\nformat = \"json\"");
    unwraps("json", &json, &[], "json", "name", &[]);
    unwraps("wrapped", &json, &[], "wrapped", "name", &[]);
}

#[test]
fn change_events_whose_schemas_are_in_a_registry_become_rows() {
    let registry = Registry::start();
    let settings = |topic: &str| format!("{topic}\n\n[registry]\nurls = [\"{}\"]", registry.url);
    let registered = ["--registry", &registry.url];
    let renames = settings("format = \"avro\"\nschema.evolution = [\"add\", \"rename\"]");
    unwraps("avro", &renames, &registered, "avro-titled", "title", &["secret"]);
    let protobuf = settings(&format!("{DROPS}\nformat = \"protobuf\""));
    unwraps("protobuf", &protobuf, &registered, "protobuf", "name", &[]);
}
