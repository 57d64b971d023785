//! What the service stands on fails: the disk fills up or is read-only, the broker is away, the catalog's file is
//! locked. It waits, says for what and what to do, commits nothing partial, and goes on by itself.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tabletopic_testkit::{Broker, Lake, Service, Topic, eventually};

use crate::TABLETOPIC;

const JSON: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

fn produce(topic: &Topic, lake: &Lake, name: &str, count: &str) -> String {
    let produced = lake.file(&format!("{name}.parquet"));
    topic.produce("orders", &["--count", count, "--produced", &produced]);
    produced
}

/// Changes a configuration where `configure` has no word for it.
fn edit(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(config, text.replace(from, to)).expect("it is written");
}

/// A file system in memory, for the warehouse of a lake. Mounting it takes root.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&at).expect("the mount point is made");
        let disk = Self(at);
        let options = format!("size={size}");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&disk.0)
            .output();
        let output = output.expect("mount starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "no file system can be mounted; this test has to run as root: {said}"
        );
        disk
    }

    /// Again while it is busy: it cannot become read-only in the middle of a write.
    fn remount(&self, options: &str) {
        eventually(&format!("the disk as {options}"), || {
            let options = format!("remount,{options}");
            let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
            status.expect("mount starts").success().then_some(())
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a service that a failed test left may have files open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_out_and_nothing_partial_is_committed() {
    let (topic, lake) = (Topic::create("full-disk", 2, &[]), Lake::new());
    let disk = Disk::mount(lake.warehouse(), "1m");
    let small = produce(&topic, &lake, "small", "100");
    Service::run(
        TABLETOPIC,
        &lake.configure("small", &topic, "", JSON),
        &["--until-end"],
    )
    .succeed();

    // All in one unit, whose files do not fit.
    let large = produce(&topic, &lake, "large", "60000");
    let config = lake.configure("large", &topic, "", JSON);
    edit(&config, "interval = \"1s\"", "interval = \"10m\"");
    let service = Service::run(TABLETOPIC, &config, &["--until-end"]);
    service.says("waiting for the store");
    let log = service.says("free space on the file system, or move the warehouse to a larger one");
    let path = lake.file("warehouse");
    assert!(
        log.lines()
            .any(|line| line.contains("waiting for the store") && line.contains(&path)),
        "no path:\n{log}"
    );
    lake.holds(&[&small], &[]);
    assert_eq!(service.commits(), 0, "{}", service.log());

    disk.remount("size=256m");
    service.succeed();
    lake.holds(&[&small, &large], &[]);
    lake.is_sound();
}

#[test]
fn a_warehouse_that_became_read_only_is_waited_out() {
    let (topic, lake) = (Topic::create("read-only", 1, &[]), Lake::new());
    let disk = Disk::mount(lake.warehouse(), "64m");
    let config = lake.configure("read-only", &topic, "", JSON);
    let before = produce(&topic, &lake, "before", "100");
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let commits = service.commits();
    disk.remount("ro");
    let after = produce(&topic, &lake, "after", "100");
    service.says("mount the file system writable");
    assert_eq!(service.commits(), commits);
    lake.holds(&[&before], &[]);
    disk.remount("rw");
    eventually("a commit on the writable disk", || {
        (service.commits() > commits).then_some(())
    });
    service.terminate();
    lake.holds(&[&before, &after], &[]);
    lake.is_sound();
}

#[test]
fn a_warehouse_that_cannot_be_written_at_the_start_is_an_error_that_says_so() {
    let (topic, lake) = (Topic::create("unwritable", 1, &[]), Lake::new());
    produce(&topic, &lake, "orders", "10");
    let disk = Disk::mount(lake.warehouse(), "1m");
    disk.remount("ro");
    let config = lake.configure("unwritable", &topic, "", JSON);
    let (code, log) = Service::run(TABLETOPIC, &config, &["--until-end"]).finish();
    assert_eq!(code, 5, "{log}");
    let error = log
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error in\n{log}"));
    assert!(
        error.contains(&lake.file("warehouse")) && error.contains("mount the file system writable"),
        "{error}"
    );
    disk.remount("rw");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
}

#[test]
fn a_broker_that_is_away_for_a_minute_is_waited_out() {
    let broker = Broker::start(&[]);
    let (topic, lake) = (Topic::create_on(&broker.bootstrap, "away", 2, &[]), Lake::new());
    let config = lake.configure("away", &topic, "", JSON);
    let before = produce(&topic, &lake, "before", "1000");
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    broker.stop();
    service.says("waiting for the broker");
    // One that starts meanwhile waits as well. It asks the broker for its topics before anything else.
    let second = Service::run(TABLETOPIC, &config, &["--until-end"]);
    second.says("waiting for the broker");
    // Time itself is under test: longer than a group keeps a silent member.
    std::thread::sleep(Duration::from_secs(60));
    broker.start_again();
    let after = produce(&topic, &lake, "after", "1000");
    let commits = service.commits();
    eventually("commits after the outage", || {
        (service.commits() > commits).then_some(())
    });
    service.terminate();
    second.succeed();
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    lake.holds(&[&before, &after], &[]);
    lake.is_sound();
}

#[test]
fn a_signal_ends_a_run_that_waits_for_its_broker_before_it_has_read_anything() {
    let (topic, lake) = (Topic::create("nobody", 1, &[]), Lake::new());
    let nobody = Topic {
        bootstrap: "127.0.0.1:1".to_owned(),
        ..topic
    };
    let service = Service::run(TABLETOPIC, &lake.configure("nobody", &nobody, "", JSON), &[]);
    service.says("waiting for the broker");
    service.terminate();
}

/// Another process that holds the catalog's file for so long.
fn lock(catalog: &Path, seconds: u32) -> Child {
    let program = format!(
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30); \
         db.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep({seconds}); db.execute('ROLLBACK')"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .arg(catalog)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut line)
        .expect("it speaks");
    assert_eq!(line.trim(), "locked");
    child
}

#[test]
fn a_locked_catalog_is_waited_out_and_named() {
    let (topic, lake) = (Topic::create("locked", 1, &[]), Lake::new());
    let config = lake.configure("locked", &topic, "", JSON);
    let before = produce(&topic, &lake, "before", "100");
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let commits = service.commits();
    // Twice the time for which a lock is waited for at once: whatever asks in its first half runs into it.
    let mut holder = lock(&lake.catalog(), 20);
    let after = produce(&topic, &lake, "after", "100");
    let log = service.says("another process kept");
    assert!(
        log.contains(&format!(
            "another process kept {} locked for 10s",
            lake.file("catalog.db")
        )),
        "{log}"
    );
    assert!(holder.wait().expect("it ends").success());
    eventually("a commit after the lock", || {
        (service.commits() > commits).then_some(())
    });
    let log = service.terminate();
    assert!(!log.contains("halted="), "{log}");
    lake.holds(&[&before, &after], &[]);
    lake.is_sound();
}

#[test]
fn a_catalog_in_a_folder_that_is_not_there_is_made() {
    let (topic, lake) = (Topic::create("folder", 1, &[]), Lake::new());
    let produced = produce(&topic, &lake, "orders", "10");
    let config = lake.configure("folder", &topic, "", JSON);
    edit(&config, "catalog.db", "not/there/catalog.db");
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    std::os::unix::fs::symlink(lake.path("not/there/catalog.db"), lake.catalog()).expect("a link");
    lake.holds(&[&produced], &[]);
}

#[test]
fn a_catalog_that_cannot_be_made_is_an_error_that_names_it() {
    let (topic, lake) = (Topic::create("no-catalog", 1, &[]), Lake::new());
    let disk = Disk::mount(lake.path("disk"), "1m");
    disk.remount("ro");
    std::fs::write(lake.path("file"), "").expect("a file");
    for uri in ["disk/catalog.db", "disk/folder/catalog.db", "file/catalog.db"] {
        let config = lake.configure("no-catalog", &topic, "", JSON);
        edit(&config, "catalog.db", uri);
        let (code, log) = Service::run(TABLETOPIC, &config, &[]).finish();
        assert_eq!(code, 5, "{log}");
        let error = log
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap_or_else(|| panic!("no error in\n{log}"));
        let folder = lake.file(uri.rsplit_once('/').expect("a folder").0);
        assert!(
            error.contains(&folder) && error.contains("permissions"),
            "{error}"
        );
    }
}

/// `tabletopic check` as a script runs it: exit code and findings.
pub fn check(config: &Path) -> (i32, String) {
    let output = Command::new(TABLETOPIC)
        .arg("check")
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).expect("UTF-8"),
    )
}

/// `plan --subject` for the newest schema of the topic's records.
pub fn forecast(config: &Path, topic: &Topic) -> (i32, String) {
    let output = Command::new(TABLETOPIC)
        .args(["plan", "--subject"])
        .arg(format!("{}-value", topic.name))
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).expect("UTF-8"),
    )
}

#[test]
fn a_check_says_what_does_not_fit_and_where() {
    let (topic, lake) = (Topic::create("checked", 2, &[]), Lake::new());
    produce(&topic, &lake, "orders", "10");
    let config = lake.configure("checked", &topic, "", JSON);
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("ok    topic {}: 2 partitions, topic id ", topic.name)),
        "{said}"
    );
    Service::run(TABLETOPIC, &config, &["--until-end"]).succeed();
    let (code, said) = check(&config);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("ok    table shop.orders: exists and fits, at "),
        "{said}"
    );

    let missing = Topic {
        name: format!("{}-not-there", topic.name),
        ..topic.clone()
    };
    let (code, said) = check(&lake.configure("missing", &missing, "", JSON));
    assert_eq!(code, 2, "{said}");
    let advice = format!(
        "fail  topic {}: the brokers do not have it; create it, or correct topic.name",
        missing.name
    );
    assert!(said.contains(&advice), "{said}");

    let job = format!("{JSON}\npartitions = [0, 1, 7]");
    let (code, said) = check(&lake.configure("static", &topic, "assignment = \"static\"", &job));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("it has no partition 7; correct topic.partitions"),
        "{said}"
    );

    // The table is there, with other columns than the configuration needs.
    let job = "format = \"json\"\nevent_time = \"customer\"\npartition_by = []";
    let (code, said) = check(&lake.configure("misfit", &topic, "", job));
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("fail  table shop.orders: ") && said.contains("customer"),
        "{said}"
    );
    let (code, said) =
        check(&lake.configure("spec", &topic, "", &format!("{JSON}\npartition_by = [\"paid\"]")));
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("warn  table shop.orders: is partitioned by [day(created_at)], and will be by [paid]"),
        "{said}"
    );

    // A topic that is not there ends a run at once: nobody makes topics by a mistyped name.
    let (code, log) = Service::run(TABLETOPIC, &lake.path("missing.toml"), &[]).finish();
    assert_eq!(code, 2, "{log}");
    assert!(log.contains(&missing.name), "{log}");
}

#[test]
fn every_example_is_one_that_a_check_accepts() {
    let secrets = [
        ("CATALOG_CREDENTIAL", "id:secret"),
        ("DATABASE_PASSWORD", "secret"),
        ("HASH_KEY", "0123456789abcdef0123456789abcdef"),
        ("LAKE_CLIENT_SECRET", "secret"),
        ("S3_KEY_ID", "id"),
        ("S3_SECRET_KEY", "secret"),
    ];
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = std::fs::read_dir(examples).expect("the examples are there");
    let files = folders
        .filter_map(|folder| std::fs::read_dir(folder.expect("it can be read").path()).ok())
        .flatten()
        .map(|file| file.expect("it can be read").path());
    let configurations: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    for configuration in &configurations {
        let output = Command::new(TABLETOPIC)
            .args(["check", "--offline", "--config"])
            .arg(configuration)
            .envs(secrets)
            .output()
            .expect("it starts");
        if configuration.ends_with("login/kerberos.toml") && !cfg!(feature = "gssapi") {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(
                said.contains("build it with `cargo build --release --features gssapi`"),
                "{said}"
            );
        } else {
            assert!(output.status.success(), "{configuration:?}: {output:?}");
        }
    }
    assert!(configurations.len() > 15, "{configurations:?}");
}
