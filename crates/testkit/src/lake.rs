//! A catalog, a warehouse and a configuration in a folder of their own.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::azurite::Azurite;
use crate::gcs::Gcs;
use crate::postgres::{POSTGRES_PASSWORD, Postgres};
use crate::readers::{Topic, run_with};
use crate::s3::S3;

/// See the module. Its table is `shop.orders`.
#[derive(Debug)]
pub struct Lake {
    folder: TempDir,
    pub table: String,
    /// Of `[catalog]` in the configuration, without the warehouse.
    section: String,
    /// As the configuration has it.
    warehouse: String,
    /// As the readers are told of it: a file, or a URL of SQLAlchemy's.
    catalog: String,
    /// Of the readers.
    environment: Vec<(String, String)>,
}

impl Default for Lake {
    fn default() -> Self {
        Self::new()
    }
}

impl Lake {
    /// All of it in files.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let catalog = folder.path().join("catalog.db");
        Self {
            table: "shop.orders".to_owned(),
            section: "type = \"sqlite\"\nuri = \"catalog.db\"".to_owned(),
            warehouse: "warehouse".to_owned(),
            catalog: catalog.to_str().expect("a UTF-8 path").to_owned(),
            environment: Vec::new(),
            folder,
        }
    }

    /// Its catalog is a database of its own; the service finds the server at `port`, readers at the server's own.
    pub fn in_postgres(postgres: &Postgres, port: u16) -> Self {
        let database = postgres.create("lake");
        let uri = Postgres::uri(port, &database);
        Self {
            section: format!("type = \"postgres\"\nuri = \"{uri}\"\npassword = \"{POSTGRES_PASSWORD}\""),
            catalog: postgres.sqlalchemy(&database),
            ..Self::new()
        }
    }

    /// Its warehouse is in the bucket of an S3 server.
    pub fn in_s3(store: &S3) -> Self {
        Self {
            warehouse: "s3://lake/warehouse".to_owned(),
            environment: store.environment(),
            ..Self::new()
        }
    }

    /// Its warehouse is in the bucket of a server that speaks Google's dialect.
    pub fn in_gcs(store: &Gcs) -> Self {
        Self {
            warehouse: "gs://lake/warehouse".to_owned(),
            environment: store.environment(),
            ..Self::new()
        }
    }

    /// Its warehouse is in the container of what stands for Azure.
    pub fn in_azure(store: &Azurite) -> Self {
        Self {
            warehouse: store.location("warehouse"),
            environment: store.environment(),
            ..Self::new()
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
{section}
warehouse = "{warehouse}"

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
            section = self.section,
            group = topic.name,
            warehouse = self.warehouse,
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
        let (code, answer) = self.ask(program, arguments);
        assert_eq!(code, 0, "{program}.py {arguments:?}: {answer:#}");
        answer
    }

    /// Runs a reader on the table: exit code and answer.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> (i32, Value) {
        let arguments = self.with(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_with(program, &arguments, &self.environment)
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
            self.catalog.clone(),
            "--table".to_owned(),
            self.table.clone(),
        ];
        named
            .into_iter()
            .chain(more.iter().map(|argument| (*argument).to_owned()))
            .collect()
    }
}
