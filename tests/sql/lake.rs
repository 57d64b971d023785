//! A lake that all tests of this binary read: `shop.orders`, written by commits of ours, and `shop.returns`, in which
//! somebody else has deleted rows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tabletopic_catalog::{SqliteCatalog, SqliteOptions};
use tabletopic_clock::{OsEntropy, SystemClock};
use tabletopic_table::Lake;
use tabletopic_table::storage::{DurableLocal, RequestCounts, file_io};
use tempfile::TempDir;

use crate::{TABLETOPIC, deletes, orders};

const CONFIG: &str = r#"
[kafka]
bootstrap = "127.0.0.1:9"

[catalog]
type = "sqlite"
uri = "catalog.db"
warehouse = "warehouse"

[log]
level = "warn"

[[topic]]
name = "orders"
table = "shop.orders"
format = "json"
"#;

pub struct TestLake {
    folder: TempDir,
    /// The snapshot of `shop.orders` before its schema changed.
    pub before: i64,
}

/// The lake, made once.
pub fn lake() -> &'static TestLake {
    static LAKE: OnceLock<TestLake> = OnceLock::new();
    LAKE.get_or_init(make)
}

/// Another one, to change.
pub fn make() -> TestLake {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tabletopic.toml"), CONFIG).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let before = runtime.block_on(async {
        let lake = open(folder.path()).await;
        deletes::write(&lake).await;
        orders::write(&lake).await
    });
    TestLake { folder, before }
}

/// The catalog and the files in a folder.
pub async fn open(folder: &Path) -> Lake {
    let file_io = file_io(
        Arc::new(DurableLocal::new()),
        "file:///",
        Arc::new(RequestCounts::default()),
    );
    let options = SqliteOptions {
        name: "tabletopic".to_owned(),
        path: folder.join("catalog.db"),
        warehouse: format!("file://{}/warehouse", folder.display()),
        busy_timeout: Duration::from_secs(30),
        commit_timeout: Duration::from_secs(30),
    };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let catalog = SqliteCatalog::open(options, file_io.clone(), clock.clone(), entropy.clone());
    Lake {
        catalog: Arc::new(catalog.await.unwrap()),
        file_io,
        clock,
        entropy,
        actor: "test".into(),
    }
}

impl TestLake {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `tabletopic sql` with these arguments, in the folder of the lake.
    pub fn sql(&self, arguments: &[&str]) -> Output {
        self.tabletopic(&[&["sql"], arguments].concat())
    }

    /// `tabletopic` with these arguments, in the folder of the lake.
    pub fn tabletopic(&self, arguments: &[&str]) -> Output {
        Command::new(TABLETOPIC)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("TABLETOPIC_CONFIG")
            .output()
            .unwrap()
    }

    /// What a query prints in a format; it has to succeed.
    pub fn prints(&self, query: &str, format: &str) -> String {
        let output = self.sql(&["-c", query, "--output", format]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{query}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The rows of an answer.
    pub fn rows(&self, query: &str) -> Vec<Value> {
        serde_json::from_str(&self.prints(query, "json")).unwrap()
    }

    /// The only value of an answer.
    pub fn value(&self, query: &str) -> Value {
        let rows = self.rows(query);
        let [Value::Object(row)] = rows.as_slice() else {
            panic!("{query}: {rows:?}")
        };
        let [value] = row.values().collect::<Vec<_>>()[..] else {
            panic!("{query}: {row:?}")
        };
        value.clone()
    }

    /// What a query that fails says, without `error: `.
    pub fn refuses(&self, query: &str) -> String {
        let output = self.sql(&["-c", query]);
        assert_eq!(output.status.code(), Some(1), "{query}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        said.trim().strip_prefix("error: ").unwrap_or(&said).to_owned()
    }
}
