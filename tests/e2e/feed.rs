//! A topic that feeds a table, with the account of what was produced to it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tabletopic_testkit::{Lake, Service, Topic, eventually};

use crate::TABLETOPIC;

/// Settings of a topic: JSON orders, bad ones set aside.
pub const JSON: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

/// A share of the records can't become rows.
pub const POISON: &[&str] = &["--poison", "0.02"];

pub struct Feed {
    pub topic: Topic,
    pub lake: Lake,
    pub config: PathBuf,
    /// Files of `produce.py`.
    produced: Mutex<Vec<String>>,
}

impl Feed {
    /// A topic of its own into a table of its own.
    pub fn new(name: &str, partitions: u32) -> Self {
        Self::of(Topic::create(name, partitions, &[]), JSON)
    }

    /// `settings` are lines of the topic's section.
    pub fn of(topic: Topic, settings: &str) -> Self {
        Self::into(Lake::new(), topic, settings)
    }

    /// Into a table of this lake.
    pub fn into(lake: Lake, topic: Topic, settings: &str) -> Self {
        let config = lake.configure("tabletopic", &topic, "", settings);
        Self {
            topic,
            lake,
            config,
            produced: Mutex::default(),
        }
    }

    /// Produces `count` orders, in turn to each partition, and answers how many of them become rows.
    pub fn produce(&self, count: u32, more: &[&str]) -> u64 {
        self.produce_kind("orders", count, more)
    }

    /// Produces records of one of the kinds that `produce.py` knows.
    pub fn produce_kind(&self, kind: &str, count: u32, more: &[&str]) -> u64 {
        let mut produced = self.produced.lock().expect("no test has panicked");
        let number = produced.len().to_string();
        let file = self.lake.file(&format!("produced-{number}.parquet"));
        let count = count.to_string();
        let arguments = ["--count", &count, "--seed", &number, "--produced", &file];
        let answer = self.topic.produce(kind, &[&arguments, more].concat());
        produced.push(file);
        ["record", "tombstone"]
            .iter()
            .filter_map(|kind| answer["kinds"][kind].as_u64())
            .sum()
    }

    /// From now on ten times a second.
    pub fn commit_often(&self) {
        self.edit("interval = \"1s\"", "interval = \"100ms\"");
    }

    /// Takes both partitions, without a group that would wait for members that were killed.
    pub fn without_group(&self) {
        self.edit("[kafka]\n", "[kafka]\nassignment = \"static\"\n");
        self.edit("[topic.commit]", "partitions = [0, 1]\n\n[topic.commit]");
    }

    /// The topic goes into a raw-history table as well.
    pub fn keep_history(&self) {
        let raw = format!(
            "\n[[topic]]\nname = \"{}\"\ntable = \"raw.orders\"\njob = \"history\"\nformat = \"raw\"\n\n[topic.commit]\ninterval = \"1s\"\n",
            self.topic.name
        );
        let text = std::fs::read_to_string(&self.config).expect("the configuration is there");
        std::fs::write(&self.config, text + &raw).expect("it can be written");
    }

    /// Another configuration for the services that come.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).expect("the configuration is there");
        let edited = text.replacen(from, to, 1);
        assert_ne!(text, edited);
        std::fs::write(&self.config, edited).expect("it can be written");
    }

    pub fn run(&self) -> Service {
        Service::run(TABLETOPIC, &self.config, &[])
    }

    /// Exit code and log of `run --until-end`.
    pub fn run_until_end(&self) -> (i32, String) {
        Service::run(TABLETOPIC, &self.config, &["--until-end"]).finish()
    }

    /// The table gets everything that the topic has now.
    pub fn catch_up(&self) {
        Service::run(TABLETOPIC, &self.config, &["--until-end"]).succeed();
    }

    /// `tabletopic ARGUMENTS --output json` as a script would run it: exit code, what it answers, and what it says beside that.
    pub fn ran(&self, arguments: &[&str]) -> (i32, Value, String) {
        let output = Command::new(TABLETOPIC)
            .args(arguments)
            .args(["--output", "json", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .output()
            .expect("tabletopic starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap_or(-1), answer, said)
    }

    /// The same; it has to succeed.
    pub fn done(&self, arguments: &[&str]) -> Value {
        let (code, answer, said) = self.ran(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}\n{answer:#}");
        answer
    }

    /// `tabletopic resolve TABLE ARGUMENTS` as a script would run it: exit code, and all that it prints.
    pub fn resolve_table(&self, table: &str, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(TABLETOPIC)
            .args(["resolve", table])
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .output()
            .expect("tabletopic starts");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8(said).expect("UTF-8"),
        )
    }

    /// [`resolve_table`](Self::resolve_table) of the feed's own table.
    pub fn resolve(&self, arguments: &[&str]) -> (i32, String) {
        self.resolve_table(&self.lake.table, arguments)
    }

    /// An answer that has to be accepted.
    pub fn answer(&self, arguments: &[&str]) -> String {
        let (code, said) = self.resolve(&[arguments, &["--yes", "--reason", REASON]].concat());
        assert_eq!(code, 0, "resolve {arguments:?}: {said}");
        said
    }

    /// Every record that was produced is in the table once, or among its dead letters; `more` for the oracle.
    pub fn holds(&self, more: &[&str]) -> Value {
        self.holds_of(usize::MAX, more)
    }

    /// The table holds what was produced in the first `times`, and nothing else.
    pub fn holds_of_first(&self, times: usize) {
        self.holds_of(times, &[]);
    }

    fn holds_of(&self, times: usize, more: &[&str]) -> Value {
        let produced = self.produced.lock().expect("no test has panicked");
        let produced: Vec<&str> = produced.iter().take(times).map(String::as_str).collect();
        self.lake.holds(&produced, &[&["--dead-letters"], more].concat())
    }

    /// The table as PyIceberg sees it.
    pub fn show(&self) -> Value {
        self.lake.foreign(&["show"])
    }

    /// Ids of all snapshots in the table.
    pub fn snapshots(&self) -> Vec<i64> {
        let shown = self.show();
        let snapshots = shown["snapshots"].as_array().expect("a list");
        snapshots
            .iter()
            .filter_map(|snapshot| snapshot["id"].as_i64())
            .collect()
    }

    /// The snapshot that our tag is on.
    pub fn tagged(&self) -> i64 {
        reference(&self.show(), "tabletopic")
    }

    /// Rows of the ledger of one kind.
    pub fn ledger(&self, kind: &str) -> Vec<Value> {
        let rows = self.lake.must("ledger", &["--kind", kind]);
        rows["rows"].as_array().expect("a list of rows").clone()
    }

    /// Waits until a process has committed this many rows to the table, those read again counted again.
    pub fn wait_for_rows(&self, service: &Service, rows: u64) {
        wait_for_rows(service, &self.lake.table, rows);
    }
}

/// The operator's words.
pub const REASON: &str = "ticket 42";

/// The snapshot that a branch or tag is on, as [`Feed::show`] shows it.
pub fn reference(shown: &Value, name: &str) -> i64 {
    shown["refs"][name]["snapshot"]
        .as_i64()
        .unwrap_or_else(|| panic!("no {name} in {shown:#}"))
}

/// See [`Feed::wait_for_rows`].
pub fn wait_for_rows(service: &Service, table: &str, rows: u64) {
    let committed = format!(" committed table={table} ");
    eventually(&format!("{rows} rows committed to {table}"), || {
        let log = service.log();
        let words = log
            .lines()
            .filter(|line| line.contains(&committed))
            .flat_map(str::split_whitespace);
        let sum: u64 = words
            .filter_map(|word| word.strip_prefix("rows=")?.parse::<u64>().ok())
            .sum();
        (sum >= rows).then_some(())
    });
}

/// Nothing stood still in what a process said.
pub fn never_halted(log: &str) {
    assert!(!log.contains("halted="), "it halted:\n{log}");
}
