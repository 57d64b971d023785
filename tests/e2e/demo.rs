//! The demo: it does what it says, the commands that it prints work, and whenever it is ended its table is whole.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tabletopic_testkit::{must, python};
use tempfile::TempDir;

use crate::TABLETOPIC;

/// A demo in a folder of its own, not on a terminal. It is killed when it is dropped.
struct Demo {
    folder: TempDir,
    child: Child,
    output: BufReader<ChildStdout>,
    said: String,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(TABLETOPIC)
            .arg("demo")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tabletopic starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self {
            folder,
            child,
            output,
            said: String::new(),
        }
    }

    /// Reads its next lines, or what is left of them.
    fn hear(&mut self, lines: usize) {
        for _ in 0..lines {
            self.output.read_line(&mut self.said).expect("UTF-8");
        }
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        let sent = Command::new("kill")
            .args(["-s", "INT", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end, which has to be a good one.
    fn finish(&mut self) {
        while self.output.read_line(&mut self.said).expect("UTF-8") > 0 {}
        let status = self.child.wait().expect("it can be waited for");
        assert_eq!(status.code(), Some(0), "{}\n{}", self.said, self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("tabletopic-demo/tabletopic.log")).unwrap_or_default()
    }

    /// What PyIceberg finds, after the audits have found nothing.
    fn tables(&self) -> Value {
        let catalog = self.folder.path().join("tabletopic-demo/lake/catalog.db");
        let catalog = catalog.to_str().expect("a UTF-8 path");
        let table = ["--catalog", catalog, "--table", "shop.orders"];
        must("audit", &table);
        must("demo", &table)
    }

    /// The number before some words in what it said.
    fn number_before(&self, words: &str) -> u64 {
        let (before, _) = self
            .said
            .split_once(words)
            .unwrap_or_else(|| panic!("no {words:?} in:\n{}", self.said));
        let number = before.split_whitespace().next_back().expect("a number");
        number
            .replace(',', "")
            .parse()
            .unwrap_or_else(|_| panic!("{number:?} before {words:?}"))
    }

    /// The programs that it printed, each a here-document for a shell.
    fn programs(&self) -> Vec<String> {
        let starts = self.said.match_indices("python3 - <<'END'\n").map(|(at, _)| at);
        starts
            .map(|at| {
                let (program, _) = self.said[at..].split_once("\nEND\n").expect("an end");
                format!("{program}\nEND\n")
            })
            .collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home folder in which DuckDB has its extensions, as it has where it may download them.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    let install = "from duckdb_extensions import import_extension\nfor name in 'avro', 'iceberg': import_extension(name)";
    let status = Command::new(python())
        .args(["-c", install])
        .env("HOME", home.path())
        .status();
    assert!(status.expect("python runs").success());
    home
}

/// What a person sees who pastes a command into the shell.
fn paste(command: &str, folder: &Path, home: &Path) -> String {
    let mut path: Vec<PathBuf> = vec![python().parent().expect("a folder").to_owned()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let output = Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env("HOME", home)
        .env("PATH", std::env::join_paths(path).expect("a path"))
        .output()
        .expect("bash runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}\n{error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its numbers are those of the tables, and the tables are open to others.
#[test]
fn its_tables_hold_what_it_says_and_open_by_the_commands_that_it_prints() {
    let mut demo = Demo::start();
    demo.finish();
    let tables = demo.tables();
    let (sent, malformed) = (
        demo.number_before(" orders were sent"),
        demo.number_before(" malformed"),
    );
    let (rows, letters) = (
        demo.number_before(" rows and"),
        demo.number_before(" dead letters."),
    );
    assert_eq!((sent, rows + letters), (30_000, 30_000), "{}", demo.said);
    assert_eq!(letters, malformed, "{}", demo.said);
    assert_eq!(tables["rows"], rows);
    assert_eq!(tables["order_ids"], rows);
    assert_eq!(tables["offsets"], sent);
    assert_eq!(tables["in_ranges"], sent);
    assert_eq!(tables["late"], demo.number_before(" of them late"));
    assert_eq!(tables["first_coupon"], 115_000);
    let reasons = tables["dead_letters"].as_object().expect("an object");
    for reason in ["not_json", "wrong_type", "absurd_event_time"] {
        assert!(reasons.contains_key(reason), "{reason} in {reasons:?}");
    }
    assert!(
        demo.said.contains("column `coupon` is added: orders/"),
        "{}",
        demo.said
    );
    assert!(
        !demo.said.contains('\u{1b}'),
        "no colours where there is no terminal"
    );

    let (folder, home) = (demo.folder.path(), home());
    let asked = demo.said.lines().find(|line| line.contains(" sql --config "));
    let shell = asked.unwrap_or_else(|| panic!("no shell in:\n{}", demo.said));
    let question = format!("echo 'SELECT count(*) AS n FROM orders' | {shell} --output json");
    let counted = paste(&question, folder, home.path());
    assert!(counted.contains(&format!("{rows}")), "{counted}");
    for (reason, records) in reasons {
        let records = records.as_u64().expect("a number");
        let told = |line: &str| line.contains(reason) && line.ends_with(&format!("| {records:<7} |"));
        assert!(
            demo.said.lines().any(told),
            "{records} {reason} in:\n{}",
            demo.said
        );
    }
    let programs = demo.programs();
    let [duckdb, pyiceberg] = &programs[..] else {
        panic!("two programs in:\n{}", demo.said);
    };
    let by_day = paste(duckdb, folder, home.path());
    let orders: u64 = by_day
        .lines()
        .filter_map(|line| line.split('│').nth(2)?.trim().parse::<u64>().ok())
        .sum();
    assert_eq!(orders, rows, "{by_day}");
    let listed = paste(pyiceberg, folder, home.path());
    assert!(
        listed.starts_with(&format!("{rows} rows\n{letters} dead letters")),
        "{listed}"
    );
}

/// Ctrl-C after each of some lines that it says, from before the service starts to its last commits.
#[test]
fn ended_at_any_moment_it_leaves_a_whole_table() {
    const LINES: [usize; 7] = [4, 6, 7, 8, 9, 11, 14];
    let mut demos: Vec<Demo> = LINES.map(|_| Demo::start()).into();
    std::thread::scope(|scope| {
        for (demo, lines) in demos.iter_mut().zip(LINES) {
            scope.spawn(move || {
                demo.hear(lines);
                demo.interrupt();
                demo.finish();
            });
        }
    });
    let mut with_rows = 0;
    for demo in &demos {
        if demo.said.contains("nothing is left to see") {
            continue;
        }
        let (rows, letters) = (
            demo.number_before(" rows and"),
            demo.number_before(" dead letters."),
        );
        if rows == 0 {
            continue;
        }
        let tables = demo.tables();
        assert_eq!(tables["rows"], rows, "{}", demo.said);
        assert_eq!(tables["order_ids"], rows, "{}", demo.said);
        assert_eq!(tables["offsets"], rows + letters, "{}", demo.said);
        assert_eq!(tables["in_ranges"], rows + letters, "{}", demo.said);
        assert!(demo.number_before(" orders were sent") < 30_000, "{}", demo.said);
        with_rows += 1;
    }
    assert!(with_rows >= 3, "hardly any of them got that far");
}
