//! A catalog, a warehouse and a configuration in a folder of their own.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::readers::{Topic, must, run};

/// See the module. Its table is `shop.orders`.
#[derive(Debug)]
pub struct Lake {
    folder: TempDir,
    pub table: String,
}

impl Default for Lake {
    fn default() -> Self {
        Self::new()
    }
}

impl Lake {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            table: "shop.orders".to_owned(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// [`path`](Self::path) as text.
    pub fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("a UTF-8 path").to_owned()
    }

    pub fn warehouse(&self) -> PathBuf {
        self.path("warehouse")
    }

    pub fn catalog(&self) -> PathBuf {
        self.path("catalog.db")
    }

    /// Writes `NAME.toml`: the topic of a test as JSON into the lake's table, committed every second. `kafka` and
    /// `topic` are further lines of their sections.
    pub fn configure(&self, name: &str, topic: &Topic, kafka: &str, job: &str) -> PathBuf {
        let text = format!(
            r#"[kafka]
bootstrap = "{bootstrap}"
group = "{group}"
{kafka}

[catalog]
type = "sqlite"
uri = "catalog.db"
warehouse = "warehouse"

[workers]
count = 1

[[topic]]
name = "{topic}"
table = "{table}"
{job}

[topic.commit]
interval = "1s"
"#,
            bootstrap = topic.bootstrap,
            group = topic.name,
            topic = topic.name,
            table = self.table,
        );
        let path = self.path(&format!("{name}.toml"));
        std::fs::write(&path, text).expect("the configuration is written");
        path
    }

    /// Asks PyIceberg and DuckDB whether the table holds what the files of `produce.py` say, once each, and panics
    /// with their findings if not. `more` are further arguments of `oracle.py`.
    pub fn holds(&self, produced: &[&str], more: &[&str]) -> Value {
        let mut arguments = more.to_vec();
        for file in produced {
            arguments.extend(["--produced", file]);
        }
        self.must("oracle", &arguments)
    }

    /// Runs a reader on the table; it has to succeed.
    pub fn must(&self, program: &str, arguments: &[&str]) -> Value {
        must(
            program,
            &self
                .with(arguments)
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        )
    }

    /// Runs a reader on the table: exit code and answer.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> (i32, Value) {
        run(
            program,
            &self
                .with(arguments)
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        )
    }

    /// `foreign.py`: somebody else's hands on the table.
    pub fn foreign(&self, arguments: &[&str]) -> Value {
        self.must("foreign", arguments)
    }

    /// The audits of `sql/` find nothing, and bounds and counts in the manifests are true.
    pub fn is_sound(&self) {
        self.must("metrics", &[]);
        self.must("audit", &[]);
    }

    /// The arguments that name the table, and `more`.
    fn with(&self, more: &[&str]) -> Vec<String> {
        let named = [
            "--catalog".to_owned(),
            self.file("catalog.db"),
            "--table".to_owned(),
            self.table.clone(),
        ];
        named
            .into_iter()
            .chain(more.iter().map(|argument| (*argument).to_owned()))
            .collect()
    }
}
