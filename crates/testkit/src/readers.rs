//! The Python programs in `tests/readers`: producers, administration, and the independent readers that judge.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

/// The project's root folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the project's folder")
}

/// An environment variable that `make test` sets.
pub(crate) fn provided(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by `make test`, or `make parts` and `tests/parts/kafka.py with -- cargo test`")
    })
}

/// The Python with the readers' packages: what `make test` says, else the one that `make parts` installed.
pub fn python() -> PathBuf {
    match std::env::var_os("TABLETOPIC_PYTHON") {
        Some(python) => python.into(),
        None => root().join(".cache/python/bin/python"),
    }
}

/// A program of `tests/readers`.
pub fn reader(program: &str) -> PathBuf {
    root().join("tests/readers").join(format!("{program}.py"))
}

/// Runs `tests/readers/PROGRAM.py` and returns the JSON that it prints, with its exit code.
pub fn run(program: &str, arguments: &[&str]) -> (i32, Value) {
    run_with(program, arguments, &[])
}

/// [`run`] with environment variables.
pub fn run_with(program: &str, arguments: &[&str], environment: &[(String, String)]) -> (i32, Value) {
    let output = Command::new(python())
        .arg(reader(program))
        .args(arguments)
        .env(
            "TABLETOPIC_CACHE",
            std::env::var_os("TABLETOPIC_CACHE").unwrap_or_else(|| root().join(".cache").into()),
        )
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap_or_else(|error| panic!("{program}.py does not start: {error}; run `make parts`"));
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!(
            "{program}.py {arguments:?} printed no JSON: {text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let code = output.status.code().unwrap_or_else(|| {
        panic!(
            "{program}.py {arguments:?} answered, and ended by {}",
            output.status
        )
    });
    (code, answer)
}

/// Runs a program that has to succeed.
pub fn must(program: &str, arguments: &[&str]) -> Value {
    let (code, answer) = run(program, arguments);
    assert_eq!(code, 0, "{program}.py {arguments:?}: {answer:#}");
    answer
}

/// A name that no other test of this run or an earlier one has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{name}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// `admin.py` against the broker of the test run, or of `bootstrap`.
pub fn admin(bootstrap: &str, arguments: &[&str]) -> Value {
    must("admin", &[&["--bootstrap", bootstrap], arguments].concat())
}

/// `produce.py`; what was produced goes to the file that `--produced` names.
pub fn produce(bootstrap: &str, arguments: &[&str]) -> Value {
    must("produce", &[arguments, &["--bootstrap", bootstrap]].concat())
}

/// A topic of a test.
#[derive(Debug, Clone)]
pub struct Topic {
    pub name: String,
    pub bootstrap: String,
}

impl Topic {
    /// Creates a topic of its own on the broker of the test run. `configs` are topic configs, `key=value`.
    pub fn create(name: &str, partitions: u32, configs: &[&str]) -> Self {
        Self::create_on(&provided("TABLETOPIC_TEST_BOOTSTRAP"), name, partitions, configs)
    }

    /// A topic on the broker of the test run, under a name of its own, that somebody else creates.
    pub fn named(name: &str) -> Self {
        Self {
            name: unique(name),
            bootstrap: provided("TABLETOPIC_TEST_BOOTSTRAP"),
        }
    }

    /// Creates a topic on another broker.
    pub fn create_on(bootstrap: &str, name: &str, partitions: u32, configs: &[&str]) -> Self {
        let topic = Self {
            name: unique(name),
            bootstrap: bootstrap.to_owned(),
        };
        let partitions = partitions.to_string();
        let mut arguments = vec!["create", &topic.name, "--partitions", &partitions];
        for config in configs {
            arguments.extend(["--config", config]);
        }
        admin(bootstrap, &arguments);
        topic
    }

    /// `produce.py KIND TOPIC ...`
    pub fn produce(&self, kind: &str, arguments: &[&str]) -> Value {
        produce(&self.bootstrap, &[&[kind, &self.name], arguments].concat())
    }

    /// `admin.py COMMAND TOPIC ...`
    pub fn admin(&self, command: &str, arguments: &[&str]) -> Value {
        admin(&self.bootstrap, &[&[command, &self.name], arguments].concat())
    }
}
