//! `tabletopic dead-letters`: bad records are found, shown, and after a fix redriven, each once, whatever happens to
//! whoever redrives them. PyIceberg and DuckDB say what the table holds then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Service, Topic};

use crate::TABLETOPIC;

const SETTINGS: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

/// A table whose ids are too small, and the configuration that lets them grow.
struct Story {
    topic: Topic,
    lake: Lake,
    narrow: PathBuf,
    mended: PathBuf,
    produced: Vec<String>,
}

impl Story {
    fn new(name: &str) -> Self {
        let (topic, lake) = (Topic::create(name, 2, &[]), Lake::new());
        let ddl = "CREATE TABLE orders (id INT, created_at TIMESTAMPTZ)";
        std::fs::write(lake.path("orders.sql"), ddl).expect("written");
        let narrow = lake.configure("narrow", &topic, "", &format!("{SETTINGS}\nddl = \"orders.sql\""));
        let mended = lake.configure("mended", &topic, "", SETTINGS);
        Self {
            topic,
            lake,
            narrow,
            mended,
            produced: Vec::new(),
        }
    }

    /// Produces lines (see `lines.py`) and reads them with the columns that are too small.
    fn read(&mut self, lines: impl IntoIterator<Item = Value>) {
        let number = self.produced.len();
        let (from, produced) = (
            self.lake.file(&format!("{number}.jsonl")),
            self.lake.file(&format!("{number}.parquet")),
        );
        let text: Vec<String> = lines.into_iter().map(|line| line.to_string()).collect();
        std::fs::write(&from, text.join("\n")).expect("the lines are written");
        self.topic
            .produce("lines", &["--from", &from, "--produced", &produced]);
        self.produced.push(produced);
        Service::run(TABLETOPIC, &self.narrow, &["--until-end"]).succeed();
    }

    /// Good records, and so many whose id is too large, in two partitions.
    fn with_letters(name: &str, letters: u64) -> Self {
        let mut story = Self::new(name);
        story.read((0..letters * 2).map(|i| match i % 2 {
            0 => line(i % 4 / 2, i),
            _ => too_large(i % 4 / 2, i),
        }));
        story
    }

    /// Every record is a row, but for letters; letters of these reasons are rows as well.
    fn holds(&self, redriven: &[&str]) {
        let produced: Vec<&str> = self.produced.iter().map(String::as_str).collect();
        let redriven = redriven.iter().flat_map(|reason| ["--redriven", *reason]);
        let arguments: Vec<&str> = ["--dead-letters"].into_iter().chain(redriven).collect();
        self.lake.holds(&produced, &arguments);
        self.lake.is_sound();
    }

    fn redrive(&self, code: i32, arguments: &[&str]) -> Value {
        asked(&self.mended, code, &[&["redrive", "--yes"], arguments].concat())
    }

    fn snapshots(&self) -> usize {
        let shown = self.lake.foreign(&["show"]);
        shown["snapshots"].as_array().map_or(0, Vec::len)
    }
}

fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(TABLETOPIC);
    command
        .args(["dead-letters", "shop.orders"])
        .args(arguments)
        .env("TABLETOPIC_CONFIG", config)
        .stdin(Stdio::null());
    command
}

/// `dead-letters shop.orders ARGUMENTS` as a script runs it: exit code, standard output and standard error.
pub fn letters(config: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command(config, arguments).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The JSON that a command prints which has to leave with this code.
pub fn asked(config: &Path, code: i32, arguments: &[&str]) -> Value {
    let (left, out, err) = letters(config, &[arguments, &["--output", "json"]].concat());
    assert_eq!(left, code, "{arguments:?}: {out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

pub fn start_redrive(config: &Path) -> Child {
    let mut command = command(config, &["redrive", "--yes", "--output", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

fn line(partition: u64, id: u64) -> Value {
    json!({"partition": partition, "value": {"id": id, "created_at": "2026-01-01T00:00:00Z"}})
}

fn too_large(partition: u64, id: u64) -> Value {
    json!({
        "partition": partition, "key": format!("k{id}"), "headers": [["trace", "t"], ["trace", null]],
        "value": {"id": (1_u64 << 40) + id, "created_at": "2026-01-02T00:00:00Z"},
        "kind": "poison", "reason": "out_of_range",
    })
}

#[test]
fn letters_are_listed_shown_and_redriven_with_the_column_that_they_need() {
    let mut story = Story::new("letters");
    let broken = json!({"text": "{\"id\": \u{7}", "kind": "poison", "reason": "not_json"});
    story.read([
        line(0, 1),
        too_large(0, 2),
        broken.clone(),
        line(1, 3),
        too_large(1, 4),
    ]);
    story.read([too_large(0, 5), line(0, 6)]);
    let topic = story.topic.name.clone();

    let all = asked(&story.narrow, 0, &[]);
    assert_eq!(
        (&all["letters"], &all["redriven"]),
        (&json!(4), &json!(0)),
        "{all:#}"
    );
    assert_eq!(all["reasons"]["out_of_range"]["letters"], 3, "{all:#}");
    assert_eq!(all["reasons"]["not_json"]["letters"], 1, "{all:#}");
    assert_eq!(all["newest"][0]["offset"], 3, "{all:#}");
    let one = asked(
        &story.narrow,
        0,
        &[
            "--reason",
            "out_of_range",
            "--partition",
            "1",
            "--topic",
            &topic,
            "--since",
            "2h",
        ],
    );
    assert_eq!(
        (&one["letters"], &one["newest"][0]["offset"]),
        (&json!(1), &json!(1)),
        "{one:#}"
    );
    let none = asked(&story.narrow, 0, &["--until", "2h"]);
    assert_eq!(none["letters"], 0, "{none:#}");
    let (code, out, _) = letters(&story.narrow, &[]);
    assert_eq!(code, 0);
    assert!(
        out.contains("shop.orders: 4 dead letters, 0 of them redriven"),
        "{out}"
    );

    let record = format!("{topic}/0@1");
    let shown = &asked(&story.narrow, 0, &["show", &record])[0];
    let value = "{\"created_at\":\"2026-01-02T00:00:00Z\",\"id\":1099511627778}";
    assert_eq!(shown["value"]["text"], value, "{shown:#}");
    assert_eq!(shown["key"]["text"], "k2", "{shown:#}");
    let headers = json!([{"key": "trace", "value": {"text": "t"}}, {"key": "trace", "value": null}]);
    assert_eq!(shown["headers"], headers, "{shown:#}");
    let (code, out, err) = letters(&story.narrow, &["show", &record, "--raw"]);
    assert_eq!((code, out.as_str()), (0, value), "{err}");
    let (code, out, err) = letters(&story.narrow, &["show", &format!("{topic}/0@2")]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("{\"id\": \\u{7}"), "a bell would ring: {out}");
    let (code, _, err) = letters(&story.narrow, &["show", &format!("{topic}/0@0")]);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("near it are {topic}/0@1, ")), "{err}");
    let (code, _, err) = letters(&story.narrow, &["--reason", "out_of_rage"]);
    assert_eq!(code, 2);
    assert!(err.contains("'out_of_range'"), "{err}");
    let (code, _, err) = letters(&story.narrow, &["--reason", "not_json", "redrive", "--yes"]);
    assert_eq!(code, 2, "it would redrive all: {err}");

    // Nothing is mended yet; then only half of it.
    let before = story.snapshots();
    let would = asked(&story.narrow, 1, &["redrive", "--dry-run"]);
    assert_eq!(
        (&would["rows"], &would["selected"]),
        (&json!(0), &json!(4)),
        "{would:#}"
    );
    let would = asked(&story.mended, 1, &["redrive", "--dry-run"]);
    assert_eq!(would["rows"], 3, "{would:#}");
    assert_eq!(would["staying"][0]["reason"], "not_json", "{would:#}");
    assert_eq!(story.snapshots(), before, "it only looked");
    let (code, _, err) = letters(&story.mended, &["redrive"]);
    assert_eq!(code, 1);
    assert!(err.contains("add --yes"), "{err}");
    story.holds(&[]);

    let done = story.redrive(0, &["--reason", "out_of_range"]);
    assert_eq!(
        (&done["rows"], &done["already"]),
        (&json!(3), &json!(0)),
        "{done:#}"
    );
    story.holds(&["out_of_range"]);
    let rows = story.lake.must("ledger", &["--kind", "redrive"]);
    let rows = rows["rows"].as_array().expect("rows").clone();
    assert_eq!(rows.len(), 3, "{rows:#?}");
    assert_eq!(
        rows[0]["reason"], "dead letters became rows: 3 out_of_range",
        "{rows:#?}"
    );
    let grown = story.lake.must("ledger", &["--kind", "schema"]);
    assert_eq!(
        grown["rows"][0]["reason"],
        format!("{topic}/0 offset 1"),
        "{grown:#}"
    );

    let again = story.redrive(1, &[]);
    assert_eq!(
        (&again["rows"], &again["already"]),
        (&json!(0), &json!(3)),
        "{again:#}"
    );
    assert_eq!(again["snapshot_ids"], json!([]), "{again:#}");
    let all = asked(&story.mended, 0, &[]);
    assert_eq!(
        (&all["letters"], &all["redriven"]),
        (&json!(4), &json!(3)),
        "{all:#}"
    );
    story.holds(&["out_of_range"]);
}

#[test]
fn redrives_that_are_killed_or_run_at_once_add_each_row_once() {
    let story = Story::with_letters("letters-killed", 2_000);
    let service = Service::run(TABLETOPIC, &story.mended, &[]);
    for millis in [50, 120, 200, 350] {
        let mut killed = start_redrive(&story.mended);
        // Where it dies is left to chance.
        std::thread::sleep(Duration::from_millis(millis));
        killed.kill().expect("it is there");
        killed.wait().expect("it ends");
    }
    let both = [start_redrive(&story.mended), start_redrive(&story.mended)];
    for one in both {
        let output = one.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let log = service.terminate();
    crate::feed::never_halted(&log);
    story.holds(&["out_of_range"]);
}

#[test]
fn a_rolled_back_redrive_is_redriven_again() {
    let story = Story::with_letters("letters-rolled-back", 10);
    let before = story.lake.foreign(&["show"])["refs"]["tabletopic"]["snapshot"].clone();
    story.redrive(0, &[]);
    story.holds(&["out_of_range"]);
    story.lake.foreign(&["rollback", "--to", &before.to_string()]);
    let (code, _, err) = letters(&story.mended, &["redrive", "--yes"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("rolled the table back"), "{err}");
    let answer = Command::new(TABLETOPIC)
        .args(["resolve", "shop.orders", "--rewind", "--yes", "--config"])
        .arg(&story.mended)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    // It brings the ledger up to date.
    Service::run(TABLETOPIC, &story.mended, &["--until-end"]).succeed();
    story.holds(&[]);
    let done = story.redrive(0, &[]);
    assert_eq!(done["rows"], 10, "{done:#}");
    story.holds(&["out_of_range"]);
}
