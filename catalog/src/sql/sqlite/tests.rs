//! What is SQLite's own, beyond the conformance suite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::FileIO;
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tabletopic_clock::{OsEntropy, SystemClock};
use tempfile::TempDir;

use super::*;
use crate::conformance::{self, append, new_table, set_property};
use crate::sql::backend::{Backend, Statement, Transacted};
use crate::sql::layout;
use crate::sql::rows::Move;
use crate::{Catalog, CommitOutcome, LoadedTable, TableChange};

/// Long enough for another's lock of a few milliseconds, short enough to be waited out in a test.
const BUSY: Duration = Duration::from_millis(1500);

fn options(folder: &Path, busy_timeout: Duration) -> SqliteOptions {
    SqliteOptions {
        name: "test".to_owned(),
        path: folder.join("lake/catalog.db"),
        warehouse: format!("file://{}/lake/warehouse", folder.display()),
        busy_timeout,
        commit_timeout: Duration::from_secs(30),
    }
}

async fn open(options: SqliteOptions) -> Result<SqliteCatalog, CatalogError> {
    SqliteCatalog::open(
        options,
        FileIO::new_with_fs(),
        Arc::new(SystemClock),
        Arc::new(OsEntropy),
    )
    .await
}

async fn catalog(folder: &Path) -> SqliteCatalog {
    open(options(folder, BUSY)).await.unwrap()
}

/// A connection as another process would have it: not ours, with a lock of its own.
async fn foreign(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("lake/catalog.db"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::query(sql).execute(connection).await.unwrap();
}

fn metadata_files(table: &LoadedTable) -> Vec<String> {
    let folder = format!(
        "{}/metadata",
        table.metadata.location().strip_prefix("file://").unwrap()
    );
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files
}

fn file_name(location: &str) -> &str {
    location.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn conforms() {
    let folder = TempDir::new().unwrap();
    conformance::conformance(&catalog(folder.path()).await).await;
    conformance::served(&catalog(folder.path()).await).await;
}

#[tokio::test]
async fn a_second_process_sees_and_fences_the_first() {
    let folder = TempDir::new().unwrap();
    let ours = catalog(folder.path()).await;
    let theirs = catalog(folder.path()).await;
    let base = new_table(&ours, "shop").await;
    let seen = theirs.load(&base.ident).await.unwrap();
    for round in 0..20 {
        let current = ours.load(&base.ident).await.unwrap();
        let (a, b) = tokio::join!(
            ours.commit(&current, append(&current, 2 * round + 1)),
            theirs.commit(&current, append(&current, 2 * round + 2))
        );
        let wins = [&a, &b]
            .iter()
            .filter(|outcome| matches!(outcome, CommitOutcome::Applied(_)))
            .count();
        let conflicts = [&a, &b]
            .iter()
            .filter(|outcome| matches!(outcome, CommitOutcome::Conflict(_)))
            .count();
        assert_eq!((wins, conflicts), (1, 1), "{a:?} {b:?}");
    }
    assert_eq!(
        theirs.load(&base.ident).await.unwrap().metadata.snapshots().len(),
        20
    );
    assert!(matches!(
        theirs.commit(&seen, append(&seen, 99)).await,
        CommitOutcome::Conflict(_)
    ));
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_out() {
    let folder = TempDir::new().unwrap();
    let catalog = open(options(folder.path(), Duration::from_secs(60)))
        .await
        .unwrap();
    let table = new_table(&catalog, "shop").await;
    let mut other = foreign(folder.path()).await;
    run(&mut other, "BEGIN EXCLUSIVE").await;
    let (outcome, loaded, ()) = tokio::join!(
        catalog.commit(&table, set_property("a", "1")),
        catalog.load(&table.ident),
        async {
            // Both are under way and blocked before the lock goes.
            tokio::time::sleep(Duration::from_millis(200)).await;
            run(&mut other, "COMMIT").await;
        }
    );
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    loaded.unwrap();
}

#[tokio::test]
async fn a_lock_that_stays_is_a_proven_non_commit_and_a_clear_error() {
    let folder = TempDir::new().unwrap();
    let catalog = open(options(folder.path(), Duration::from_millis(50)))
        .await
        .unwrap();
    let table = new_table(&catalog, "shop").await;
    let mut other = foreign(folder.path()).await;

    // Nobody can even read.
    run(&mut other, "BEGIN EXCLUSIVE").await;
    let error = catalog.load(&table.ident).await.unwrap_err().to_string();
    for part in ["shop.t", "catalog.db", "locked", "50ms", "try again"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(
        matches!(outcome, CommitOutcome::Unavailable(ref words) if words.contains("locked")),
        "{outcome:?}"
    );
    run(&mut other, "COMMIT").await;

    // A reader that stays keeps the swap from starting, after the metadata file was written.
    run(&mut other, "BEGIN").await;
    sqlx::query("SELECT * FROM iceberg_tables")
        .fetch_all(&mut other)
        .await
        .unwrap();
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(
        matches!(outcome, CommitOutcome::Unavailable(ref words) if words.contains("locked")),
        "{outcome:?}"
    );
    assert_eq!(metadata_files(&table).len(), 2);
    run(&mut other, "COMMIT").await;

    let loaded = catalog.load(&table.ident).await.unwrap();
    assert_eq!(loaded.metadata_location, table.metadata_location);
    let again = catalog.commit(&loaded, set_property("a", "1")).await;
    assert!(matches!(again, CommitOutcome::Applied(_)), "{again:?}");
}

#[tokio::test]
async fn a_swap_lost_after_the_first_look_is_a_conflict() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    let table = new_table(&catalog, "shop").await;
    let swap = |to: &'static str| catalog.rows.swap(&table.ident, &table.metadata_location, to);
    assert!(matches!(swap("file:///first").await, Move::Done));
    assert!(matches!(swap("file:///second").await, Move::Moved));
    assert_eq!(
        catalog.rows.location(&table.ident).await.unwrap().as_deref(),
        Some("file:///first")
    );
}

#[tokio::test]
async fn a_metadata_file_that_cannot_be_written_is_a_proven_non_commit() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    let table = new_table(&catalog, "shop").await;
    let metadata = format!(
        "{}/metadata",
        table.metadata.location().strip_prefix("file://").unwrap()
    );
    std::fs::rename(&metadata, format!("{metadata}-away")).unwrap();
    std::fs::write(&metadata, "in the way").unwrap();
    let outcome = catalog.commit(&table, set_property("a", "1")).await;
    assert!(
        matches!(outcome, CommitOutcome::Unavailable(ref words) if words.contains("shop.t")),
        "{outcome:?}"
    );
    std::fs::remove_file(&metadata).unwrap();
    std::fs::rename(format!("{metadata}-away"), &metadata).unwrap();
    assert_eq!(catalog.load(&table.ident).await.unwrap().metadata, table.metadata);
}

#[tokio::test]
async fn missing_and_broken_metadata_files_are_corruption() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    let table = new_table(&catalog, "shop").await;
    let file = table.metadata_location.strip_prefix("file://").unwrap();
    std::fs::write(file, "{\"format-version\": 2").unwrap();
    let broken = catalog.load(&table.ident).await.unwrap_err();
    assert!(
        matches!(broken, CatalogError::Corrupt { ref location, .. } if *location == table.metadata_location),
        "{broken}"
    );
    std::fs::remove_file(file).unwrap();
    let missing = catalog.load(&table.ident).await.unwrap_err();
    assert!(
        matches!(missing, CatalogError::Corrupt { ref reason, .. } if reason.contains("does not exist")),
        "{missing}"
    );
}

#[tokio::test]
async fn a_table_with_a_type_that_is_not_known_is_refused_by_the_column() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    let table = new_table(&catalog, "shop").await;
    let file = table.metadata_location.strip_prefix("file://").unwrap();
    let mut metadata: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let column = &mut metadata["schemas"][0]["fields"][0];
    column["type"] = "variant".into();
    let name = column["name"].as_str().unwrap().to_owned();
    std::fs::write(file, metadata.to_string()).unwrap();
    let refused = catalog.load(&table.ident).await.unwrap_err();
    assert!(
        matches!(refused, CatalogError::Rejected { ref reason, .. } if reason.contains(&format!("{name} (variant)"))),
        "{refused}"
    );
}

#[tokio::test]
async fn old_metadata_files_are_deleted_after_a_commit_if_the_table_says_so() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    let mut table = new_table(&catalog, "shop").await;
    let properties = [
        ("write.metadata.previous-versions-max", "2"),
        ("write.metadata.delete-after-commit.enabled", "true"),
    ];
    let updates = properties
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let mut change = TableChange {
        updates: vec![TableUpdate::SetProperties { updates }],
        ..Default::default()
    };
    let mut written = vec![table.metadata_location.clone()];
    for n in 0..5 {
        let CommitOutcome::Applied(next) = catalog.commit(&table, change).await else {
            panic!("not applied")
        };
        written.push(next.metadata_location.clone());
        table = next;
        change = set_property("n", &n.to_string());
    }
    let mut kept: Vec<&str> = written[3..].iter().map(|location| file_name(location)).collect();
    kept.sort();
    assert_eq!(metadata_files(&table), kept, "the current file and two before it");

    // The removal is tidying up: that it fails does not undo the commit.
    let oldest = written[3].strip_prefix("file://").unwrap();
    std::fs::remove_file(oldest).unwrap();
    std::fs::create_dir(oldest).unwrap();
    let outcome = catalog.commit(&table, set_property("n", "last")).await;
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

#[tokio::test]
async fn version_0_of_the_layout_is_read_and_written() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    let file = SqliteConnectOptions::new()
        .filename(folder.path().join("lake/catalog.db"))
        .create_if_missing(true);
    let mut other = SqliteConnection::connect_with(&file).await.unwrap();
    for statement in layout::CREATE {
        run(&mut other, &statement.replace("iceberg_type VARCHAR(5),", "")).await;
    }
    conformance::conformance(&catalog(folder.path()).await).await;
}

#[tokio::test]
async fn views_and_other_catalogs_in_the_file_are_not_ours() {
    let folder = TempDir::new().unwrap();
    let ours = catalog(folder.path()).await;
    let table = new_table(&ours, "shop").await;
    let mut other = foreign(folder.path()).await;
    run(
        &mut other,
        "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
         VALUES ('test', 'shop', 'v', 'file:///v', 'VIEW'), ('else', 'elsewhere', 't', 'file:///t', 'TABLE')",
    )
    .await;
    let namespace = NamespaceIdent::new("shop".to_owned());
    assert_eq!(ours.list_tables(&namespace).await.unwrap(), [table.ident]);
    assert_eq!(
        ours.list_namespaces().await.unwrap(),
        std::slice::from_ref(&namespace)
    );
    let view = TableIdent::new(namespace, "v".to_owned());
    assert!(matches!(
        ours.load(&view).await,
        Err(CatalogError::NotFound { .. })
    ));
    assert!(matches!(
        ours.drop_table(&view).await,
        Err(CatalogError::NotFound { .. })
    ));
}

#[tokio::test]
async fn what_cannot_be_written_or_opened_is_refused() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    for levels in [&["a.b"][..], &["a", ""][..]] {
        let namespace = NamespaceIdent::from_strs(levels).unwrap();
        let refused = catalog.create_namespace(&namespace).await.unwrap_err();
        assert!(matches!(refused, CatalogError::Rejected { .. }), "{refused}");
    }

    let mut relative = options(folder.path(), BUSY);
    relative.warehouse = "./warehouse".to_owned();
    let refused = open(relative).await.unwrap_err();
    assert!(
        matches!(refused, CatalogError::Rejected { ref reason, .. } if reason.contains("./warehouse")),
        "{refused}"
    );

    let mut no_database = options(folder.path(), BUSY);
    no_database.path = folder.path().join("text");
    std::fs::write(
        &no_database.path,
        "not a database, and long enough to be told from an empty one".repeat(20),
    )
    .unwrap();
    let refused = open(no_database).await.unwrap_err();
    assert!(
        matches!(refused, CatalogError::Rejected { ref reason, .. } if reason.contains("text")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_new_file_keeps_a_rollback_journal_for_foreign_readers() {
    let folder = TempDir::new().unwrap();
    let catalog = catalog(folder.path()).await;
    new_table(&catalog, "shop").await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut foreign(folder.path()).await)
        .await
        .unwrap();
    assert_eq!(mode, "delete");
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let (database, _) = Sqlite::open(&options(folder.path(), BUSY)).await.unwrap();
    let insert = "INSERT OR ROLLBACK INTO iceberg_namespace_properties
                  (catalog_name, namespace, property_key, property_value) VALUES ($1, $2, $3, $4)";
    let row = Statement::must_write(insert, &["test", "shop", "owner", "Ann"]);
    let twice = [
        Statement::must_write(insert, &row.parameters),
        Statement::must_write(insert, &row.parameters),
    ];
    for _ in 0..2 {
        let transacted = database.transact(&twice).await;
        let Transacted::NotSent(error) = transacted else {
            panic!("{transacted:?}");
        };
        assert!(error.to_string().contains("UNIQUE"), "{error}");
    }
    let transacted = database.transact(&[row]).await;
    assert!(matches!(transacted, Transacted::Done(_)), "{transacted:?}");
}
