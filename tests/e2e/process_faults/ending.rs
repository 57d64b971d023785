//! How a process leaves.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tabletopic_testkit::Service;

use super::{Case, JSON, commit_every, path};
use crate::TABLETOPIC;

/// Never within a test: what is in the table was committed for another reason.
const NEVER: &str = "1h";

const HALTING: &str = "format = \"json\"\nevent_time = \"created_at\"";
const LEAVES: &str = "a second signal leaves at once";

#[test]
fn until_end_leaves_also_without_partitions() {
    let mut case = Case::new("alone", 1);
    case.produce(2000, &["--poison", "0.01"]);
    let config = case.configure("tabletopic", "", JSON);
    let two = [(); 2].map(|()| Service::run(TABLETOPIC, &config, &["--until-end"]));
    for service in two {
        service.succeed();
    }
    case.holds(&case.produced);
    case.lake.is_sound();
}

/// A member that left without saying so would keep its partitions until its session times out, and the next run
/// would wait for that: 45 s.
#[test]
fn short_runs_leave_the_group_behind_them() {
    let mut case = Case::new("short", 1);
    let config = case.configure("tabletopic", "", JSON);
    let begun = Instant::now();
    for _ in 0..4 {
        case.produce(100, &[]);
        Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
        // With nothing to read, it leaves while it is still joining.
        Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    }
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    case.holds(&case.produced);
}

/// A topic that is read up to a bad record at its end, and a process that has not committed any of it.
fn read_and_not_committed(name: &str) -> (Case, std::path::PathBuf, Service) {
    let mut case = Case::new(name, 1);
    case.produce(2000, &[]);
    case.produce(1, &["--poison", "1", "--first", "2000"]);
    let config = case.configure(
        "tabletopic",
        "assignment = \"static\"",
        &format!("partitions = [0]\n{HALTING}"),
    );
    commit_every(NEVER, &config);
    let service = Service::run(TABLETOPIC, &config, &[]);
    // It stops there, so all before it has been read.
    service.says("offset 2000: bad record");
    assert_eq!(service.commits(), 0, "{}", service.log());
    (case, config, service)
}

#[test]
fn sigterm_commits_what_was_read() {
    let (case, _, service) = read_and_not_committed("told");
    let log = service.terminate();
    assert_eq!(log.matches(" committed table=").count(), 1, "{log}");
    case.holds(&case.produced[..1]);
    case.lake.is_sound();
}

#[test]
fn a_second_signal_leaves_at_once() {
    let (case, config, mut service) = read_and_not_committed("told-twice");
    let lock = Lock::of(&case.lake.catalog());
    service.signal("TERM");
    service.says(LEAVES);
    assert!(service.is_running(), "it can't have committed");
    service.signal("TERM");
    // Before the lock is gone: it waits for nothing.
    let (code, log) = service.finish();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("leaving at once"), "{log}");
    drop(lock);
    let snapshots = case.lake.foreign(&["show"])["snapshots"].as_array().map(Vec::len);
    assert_eq!(snapshots, Some(1), "the anchor alone");
    // Nothing is lost by it: what it had read is read again, up to the bad record.
    let (code, log) = Service::run(TABLETOPIC, &config, &["--until-end"]).finish();
    assert_eq!(code, 4, "{log}");
    case.holds(&case.produced[..1]);
}

const LOCK: &str = "
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
held.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()
";

/// Another process that has the catalog's file locked, until it is dropped.
struct Lock(Child);

impl Lock {
    fn of(file: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", LOCK, &path(file)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut said)
            .expect("it says something");
        assert_eq!(said.trim(), "locked");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
