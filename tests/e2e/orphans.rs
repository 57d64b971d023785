//! Files that nothing leads to are removed by the shipped command, from folders in which every file is old: outside readers
//! find what they found before, in every snapshot.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tabletopic_clock::{Clock, SystemClock};
use tabletopic_testkit::{Lake, S3, Service, Topic, eventually};

use crate::TABLETOPIC;
use crate::feed::{Feed, JSON, POISON, reference};
use crate::s3::configure;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(TABLETOPIC);
    command
        .arg("orphans")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null());
    command
}

/// `tabletopic orphans`: exit code, and all that it prints.
fn orphans(config: &Path, arguments: &[&str]) -> (i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(config, arguments).output().expect("it starts");
    let said = String::from_utf8([stdout, stderr].concat()).expect("UTF-8");
    (status.code().unwrap_or(-1), said)
}

/// What it says of one table, where it has to succeed.
fn told(config: &Path, arguments: &[&str]) -> Value {
    let output = command(config, &[arguments, &["--output", "json"]].concat())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {said}"));
    told[0].clone()
}

/// The orphans that it tells of, by their names below the table's location.
fn names(told: &Value, location: &str) -> BTreeSet<String> {
    let orphans = told["orphans"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    let locations = orphans.iter().filter_map(|orphan| orphan["location"].as_str());
    let name = |of: &str| {
        of.strip_prefix(location)
            .expect("it lies below the location")
            .trim_matches('/')
            .to_owned()
    };
    locations.map(name).collect()
}

/// Last changed ten days ago.
pub fn age(file: &Path) {
    let now = u64::try_from(SystemClock.now()).expect("it is after 1970");
    let opened = File::options().append(true).open(file).expect("it is there");
    opened
        .set_modified(UNIX_EPOCH + Duration::from_millis(now) - 10 * DAY)
        .expect("it is ours");
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Everything in the folder is old, what the tables need not least.
fn age_all(folder: &Path) {
    files(folder).iter().for_each(|file| age(file));
}

/// Files that nobody names, of every kind.
const GARBAGE: [&str; 6] = [
    "data/lost.parquet",
    "data/a%20b.parquet",
    "data/cut-off.parquet#4711000001",
    "metadata/lost-m0.avro",
    "metadata/snap-1-lost.avro",
    "metadata/00099-lost.metadata.json",
];

fn litter(table: &Path, names: &[&str]) {
    for name in names {
        let file = table.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
        fs::write(&file, "garbage").expect("it is written");
        age(&file);
    }
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Of a table in the lake's folder.
pub fn folder(lake: &Lake, table: &str) -> PathBuf {
    let shown = lake.foreign(&["--table", table, "show"]);
    let metadata = shown["metadata"].as_str().expect("a location");
    let file = Path::new(metadata.strip_prefix("file://").expect("a local file"));
    file.ancestors()
        .nth(2)
        .expect("<table>/metadata/<file>")
        .to_owned()
}

#[test]
fn old_garbage_goes_and_every_snapshot_stays_readable() {
    let feed = Feed::new("orphans", 2);
    for _ in 0..3 {
        feed.produce(300, POISON);
        feed.catch_up();
    }
    let table = feed.lake.table.clone();
    let letters = format!("{table}__dead_letters");
    // Rolled back, and kept by a tag alone.
    feed.lake.foreign(&["append", "--count", "3"]);
    feed.lake.foreign(&["tag", "kept"]);
    feed.lake.foreign(&["rollback", "--steps", "1"]);
    // Rolled back and expired by somebody who deletes no files.
    let before = files(&folder(&feed.lake, &table));
    let lost = reference(&feed.lake.foreign(&["append", "--count", "5"]), "main");
    let lost_files = files(&folder(&feed.lake, &table));
    feed.lake.foreign(&["rollback", "--steps", "1"]);
    feed.lake.foreign(&["expire", "--id", &lost.to_string()]);

    let root = folder(&feed.lake, &table);
    let location = root.to_str().expect("UTF-8").to_owned();
    litter(&root, &GARBAGE);
    age_all(&feed.lake.warehouse());
    fs::write(root.join("data/young.parquet"), "garbage").expect("it is written");
    litter(&root, &["data/_SUCCESS"]);
    let lost_files = lost_files.iter().filter(|file| !before.contains(file));
    let lost_files: Vec<&str> = lost_files
        .map(|file| file.strip_prefix(&root).expect("below").to_str().expect("UTF-8"))
        .filter(|name| !name.ends_with(".metadata.json"))
        .collect();
    assert_eq!(
        lost_files.len(),
        3,
        "a data file, a manifest and a list: {lost_files:?}"
    );
    let garbage = set(GARBAGE.into_iter().chain(lost_files));

    let read = feed.lake.must("snapshots", &[]);
    let metadata = feed.show()["metadata"].clone();
    let shown = told(&feed.config, &[&table]);
    let named = format!("file://{location}");
    assert_eq!(names(&shown, &named), garbage, "{shown:#}");
    assert_eq!(
        (
            &shown["deleted"],
            &shown["young"]["files"],
            &shown["hidden"]["files"]
        ),
        (&json!(false), &json!(1), &json!(1))
    );
    let (code, said) = orphans(&feed.config, &[&table, "--delete"]);
    assert!(code == 1 && said.contains("add --yes"), "{said}");
    let (code, said) = orphans(
        &feed.config,
        &[&table, "--older-than", "23h", "--delete", "--yes"],
    );
    assert!(code == 2 && said.contains("24 hours"), "{said}");
    assert_eq!(feed.show()["metadata"], metadata, "something was committed");
    assert!(garbage.iter().all(|name| root.join(name).exists()));

    let removed = told(&feed.config, &[&table, "--delete", "--yes"]);
    assert_eq!(names(&removed, &named), garbage, "{removed:#}");
    assert!(garbage.iter().all(|name| !root.join(name).exists()));
    assert!(root.join("data/young.parquet").exists() && root.join("data/_SUCCESS").exists());
    // With the fence, which is a snapshot more.
    let after = feed.lake.must("snapshots", &[]);
    for (id, rows) in read["snapshots"].as_object().expect("rows by snapshot") {
        assert_eq!(&after["snapshots"][id], rows, "{id}");
    }
    assert!(feed.show()["refs"]["kept"].is_object());
    feed.lake.must("files", &[]);
    feed.lake.must("metrics", &["--all-snapshots"]);

    litter(&folder(&feed.lake, &letters), &["data/lost.parquet"]);
    let removed = told(&feed.config, &[&letters, "--delete", "--yes"]);
    assert_eq!(removed["sum"]["files"], json!(1), "{removed:#}");
    feed.lake
        .must("metrics", &["--table", &letters, "--all-snapshots"]);
    let nothing = told(&feed.config, &[&table, "--delete", "--yes"]);
    assert_eq!(nothing["orphans"], json!([]), "{nothing:#}");

    feed.produce(300, POISON);
    feed.catch_up();
    feed.holds(&[]);
    feed.lake.must("audit", &[]);
}

#[test]
fn a_removal_that_is_killed_ends_the_same_the_next_time() {
    let feed = Feed::new("orphans-killed", 2);
    feed.produce(300, POISON);
    feed.catch_up();
    let root = folder(&feed.lake, &feed.lake.table);
    let garbage: Vec<String> = (0..30_000)
        .map(|number| format!("data/lost-{number:05}.parquet"))
        .collect();
    litter(&root, &garbage.iter().map(String::as_str).collect::<Vec<_>>());
    age_all(&feed.lake.warehouse());
    let left = || garbage.iter().filter(|name| root.join(name).exists()).count();

    let mut removal = command(&feed.config, &[&feed.lake.table, "--delete", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("the first file to go", || {
        (!root.join(&garbage[0]).exists()).then_some(())
    });
    removal.kill().expect("it can be killed");
    removal.wait().expect("it can be waited for");
    let rest = left();
    assert!(rest > 0, "it was too quick to be killed");

    let service = feed.run();
    let rows = feed.produce(300, POISON);
    let removed = told(&feed.config, &[&feed.lake.table, "--delete", "--yes"]);
    assert_eq!(
        (&removed["sum"]["files"], left()),
        (&json!(rest), 0),
        "{:#}",
        removed["sum"]
    );
    feed.wait_for_rows(&service, rows);
    service.terminate();
    feed.holds(&[]);
    feed.lake.is_sound();
}

#[test]
fn garbage_in_a_bucket_goes_and_the_table_stays() {
    let store = S3::start(0);
    let (topic, lake) = (Topic::create("s3-orphans", 1, &[]), Lake::in_s3(&store));
    let config = configure(&lake, &store, &topic, JSON, "");
    let produced = lake.file("orders1.parquet");
    topic.produce(
        "orders",
        &["--count", "300", "--seed", "1", "--produced", &produced],
    );
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();

    let shown = lake.foreign(&["show"]);
    let metadata = shown["metadata"].as_str().expect("a location");
    let location = metadata.split("/metadata/").next().expect("a folder");
    let root = store.folder.join(
        location
            .strip_prefix("s3://lake/")
            .expect("it lies in the bucket"),
    );
    let garbage = ["data/lost.parquet", "data/a%20b.parquet", "metadata/lost-m0.avro"];
    litter(&root, &garbage);
    age_all(&store.folder);
    fs::write(root.join("data/young.parquet"), "garbage").expect("it is written");

    let removed = told(&config, &[&lake.table, "--delete", "--yes"]);
    assert_eq!(names(&removed, location), set(garbage), "{removed:#}");
    assert!(garbage.iter().all(|name| !root.join(name).exists()));
    assert!(root.join("data/young.parquet").exists());
    lake.holds(&[&produced], &[]);
    lake.is_sound();
}
