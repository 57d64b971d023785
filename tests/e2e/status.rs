//! `tabletopic status` with a real broker: exact numbers of a known backlog, and halts with the command that answers
//! them. And the log lines that an operator greps.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;
use tabletopic_testkit::Topic;

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, POISON};

const DAY: i64 = 86_400_000;

/// Runs `tabletopic status`.
fn run(feed: &Feed, arguments: &[&str]) -> Output {
    Command::new(TABLETOPIC)
        .args(["status", &feed.lake.table])
        .args(arguments)
        .arg("--config")
        .arg(&feed.config)
        .stdin(Stdio::null())
        .output()
        .expect("tabletopic starts")
}

/// Exit code and report.
fn status(feed: &Feed) -> (i32, Value) {
    let output = run(feed, &["--output", "json"]);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("no report: {error}\n{said}")
    });
    (output.status.code().unwrap_or(-1), report)
}

/// The Kafka timestamp of a record, by the account of its producer.
fn produced_at(file: &str, partition: i32, offset: i64) -> i64 {
    let file = std::fs::File::open(Path::new(file)).expect("it was written");
    let reader = SerializedFileReader::new(file).expect("it is Parquet");
    let rows = reader.get_row_iter(None).expect("it has rows");
    rows.map(|row| row.expect("it can be read"))
        .find(|row| row.get_int(1).ok() == Some(partition) && row.get_long(2).ok() == Some(offset))
        .map(|row| row.get_long(3).expect("a timestamp"))
        .expect("the record was produced")
}

/// Seconds with their three decimals.
fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().expect("a number") * 1000.0).round() as i64
}

fn numbers(value: &Value, fields: &[&str]) -> Vec<Option<i64>> {
    fields.iter().map(|field| value[field].as_i64()).collect()
}

#[test]
fn a_known_backlog_is_told_exactly() {
    let topic = Topic::create(
        "backlog",
        2,
        &[&format!("retention.ms={DAY}"), "retention.bytes=-1"],
    );
    let feed = Feed::of(topic, JSON);
    feed.produce(600, &[]);
    feed.catch_up();
    let (code, report) = status(&feed);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["jobs"][0]["lag_records"], 0, "{report:#}");
    assert_eq!(report["jobs"][0]["partitions"][0]["to_retention"], "caught-up");

    feed.produce(400, &[]);
    let (code, report) = status(&feed);
    assert_eq!(code, 0, "{report:#}");
    let job = &report["jobs"][0];
    assert_eq!(job["retention"]["ms"], DAY, "{report:#}");
    assert_eq!(job["lag_records"], 400, "{report:#}");
    let backlog = feed.lake.file("produced-1.parquet");
    for partition in job["partitions"].as_array().expect("a list") {
        let number = partition["partition"].as_i64().expect("a number") as i32;
        assert_eq!(
            numbers(
                partition,
                &["next_offset", "log_start", "end_offset", "lag_records"]
            ),
            [300, 0, 500, 200].map(Some),
            "{partition:#}"
        );
        assert_eq!(partition["held"], serde_json::json!([{"start": 0, "end": 300}]));
        let last = &partition["last_commit"];
        assert_eq!(
            (last["end"].as_i64(), &last["snapshot_id"]),
            (Some(300), &report["tables"][0]["snapshot_id"]),
            "{partition:#}"
        );
        let age = report["made_at"].as_i64().expect("a time") - produced_at(&backlog, number, 300);
        assert_eq!(millis(&partition["lag_seconds"]), age, "{partition:#}");
        assert_eq!(partition["to_retention"], "by-time");
        assert_eq!(
            millis(&partition["seconds_to_retention"]),
            DAY - age,
            "{partition:#}"
        );
    }
    assert_eq!(report["tables"][0]["rows"], 600, "{report:#}");
}

#[test]
fn a_halt_is_told_with_the_command_that_resolves_it() {
    let feed = Feed::new("told", 1);
    feed.produce(300, &[]);
    feed.catch_up();
    feed.produce(300, &[]);
    feed.topic.admin("delete-records", &["--before", "0=400"]);

    let (code, report) = status(&feed);
    assert_eq!(code, 4, "{report:#}");
    let halt = &report["halts"][0];
    assert_eq!(
        (&halt["scope"], &halt["partition"]),
        (&"partition".into(), &0.into()),
        "{report:#}"
    );
    assert_eq!(report["jobs"][0]["partitions"][0]["to_retention"], "overtaken");
    let command = halt["commands"][0].as_str().expect("a command");
    let text = String::from_utf8(run(&feed, &[]).stdout).expect("UTF-8");
    assert!(text.contains(command), "{command} is missing in:\n{text}");
    assert!(
        !text.contains('\u{1b}'),
        "no colours where nobody sees them:\n{text}"
    );

    // As it stands there, from another folder, by somebody who is not asked.
    let folder = Path::new(TABLETOPIC).parent().expect("it is in a folder");
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let resolved = Command::new("sh")
        .args(["-c", &format!("{command} --yes --reason 'ticket 42'")])
        .current_dir("/")
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    assert!(resolved.status.success(), "{command}: {resolved:?}");
    let (code, report) = status(&feed);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["tables"][0]["lost"], 100, "{report:#}");
    assert_eq!(report["commits"][0]["kind"], "declare-lost", "{report:#}");
    feed.catch_up();
    feed.holds(&["--lost", "0=300-400"]);
}

#[test]
fn each_commit_is_one_log_line_with_what_the_ledger_says_of_it() {
    let feed = Feed::new("lines", 2);
    let text = std::fs::read_to_string(&feed.config).expect("it was written");
    std::fs::write(&feed.config, text + "\n[log]\nformat = \"json\"\n").expect("it can be written");
    let mut logs = String::new();
    for _ in 0..2 {
        feed.produce(400, POISON);
        let (code, log) = feed.run_until_end();
        assert_eq!(code, 0, "{log}");
        logs.push_str(&log);
    }
    let lines: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let table = feed.lake.table.as_str();
    for (kind, message) in [("append", "committed"), ("anchor", "recorded")] {
        let told: Vec<&Value> = lines
            .iter()
            .map(|line| &line["fields"])
            .filter(|line| line["message"] == message && line["kind"] == kind)
            .collect();
        let ledger = feed.ledger(kind);
        let mut snapshots: Vec<i64> = ledger
            .iter()
            .filter_map(|row| row["snapshot_id"].as_i64())
            .collect();
        snapshots.dedup();
        let named: Vec<i64> = told.iter().filter_map(|line| line["snapshot"].as_i64()).collect();
        assert_eq!(named, snapshots, "{message}: {told:#?}");
        for line in told {
            let rows: Vec<&Value> = ledger
                .iter()
                .filter(|row| row["snapshot_id"] == line["snapshot"])
                .collect();
            let sum = |column: &str| rows.iter().filter_map(|row| row[column].as_i64()).sum::<i64>();
            assert_eq!(line["table"], table, "{line:#}");
            assert_eq!(line["rows"].as_i64(), Some(sum("rows")), "{line:#}");
            assert_eq!(
                line["dead_letters"].as_i64(),
                Some(sum("dead_letters")),
                "{line:#}"
            );
            let ranges: Vec<String> = rows
                .iter()
                .map(|row| {
                    format!(
                        "{}/{}:{}-{}",
                        row["topic"].as_str().expect("a topic"),
                        row["partition"],
                        row["start_offset"],
                        row["end_offset"]
                    )
                })
                .collect();
            assert_eq!(line["ranges"], ranges.join(","), "{line:#}");
            let files = line["files"].as_u64().expect("a number");
            assert_eq!(files > 0, sum("rows") > 0, "{line:#}");
            assert_eq!(line["bytes"].as_u64() > Some(0), files > 0, "{line:#}");
            assert!(line["duration_ms"].is_u64(), "{line:#}");
        }
    }
}
