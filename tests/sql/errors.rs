//! What the shell says when it does not answer.

use crate::lake::lake;

#[test]
fn what_would_change_something_is_refused() {
    for (statement, named) in [
        ("INSERT INTO orders VALUES (1)", "INSERT"),
        ("CREATE TABLE copy AS SELECT * FROM orders", "CREATE"),
        ("SELECT * INTO copy FROM orders", "SELECT INTO"),
        ("COPY orders TO 'orders.csv'", "COPY"),
        ("DELETE FROM orders", "DELETE"),
        ("SET datafusion.execution.batch_size = 10", "SET"),
        (
            "EXPLAIN ANALYZE INSERT INTO orders SELECT * FROM orders",
            "INSERT",
        ),
        (
            "CREATE EXTERNAL TABLE passwords STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE",
        ),
    ] {
        let said = lake().refuses(statement);
        assert!(
            said.starts_with(&format!("{named} is refused: this shell only reads")),
            "{said}"
        );
    }
    assert!(!lake().path("orders.csv").exists());
}

#[test]
fn files_are_no_tables() {
    for query in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"warehouse/x.parquet\"",
        "SELECT * FROM read_csv('/etc/passwd')",
    ] {
        let said = lake().refuses(query);
        assert!(!said.contains("root:"), "{said}");
    }
}

#[test]
fn the_longest_chain_that_is_taken_is_answered_and_a_longer_one_is_refused() {
    // Two operators a term, and one between each two.
    let terms: Vec<String> = (0..666).map(|id| format!("order_id + 1 = {id}")).collect();
    let chain = |terms: &[String]| format!("SELECT count(*) FROM orders WHERE {}", terms.join(" OR "));
    let expected = lake().value("SELECT count(*) FROM orders WHERE order_id < 665");
    assert_eq!(lake().value(&chain(&terms)), expected);
    let sum = format!("SELECT 0{}", " + 1".repeat(2_000));
    assert_eq!(lake().value(&sum), 2_000);
    let said = lake().refuses(&chain(&[terms.clone(), terms].concat()));
    assert!(
        said.starts_with("the statement has more than 2000 operators"),
        "{said}"
    );
}

#[test]
fn an_unknown_table_comes_with_what_is_near_and_how_to_list() {
    assert_eq!(
        lake().refuses("SELECT * FROM ordes"),
        "there is no table shop.ordes (did you mean orders?); \\dt (or SHOW TABLES) lists all tables"
    );
    assert_eq!(
        lake().refuses("SELECT * FROM shoop.orders"),
        "there is no namespace shoop (did you mean shop?); \\dt lists all tables"
    );
    let said = lake().refuses("SELECT * FROM \"orders$file\"");
    assert!(
        said.starts_with("orders has no \"$file\"; there are: snapshots, history"),
        "{said}"
    );
}

#[test]
fn an_unknown_column_comes_with_what_is_near() {
    assert_eq!(
        lake().refuses("SELECT custmer FROM orders"),
        "there is no column custmer (did you mean customer?)"
    );
    assert_eq!(
        lake().refuses("SELECT shipOn FROM orders"),
        "there is no column shipon (did you mean \"shipOn\"?)"
    );
    let said = lake().refuses("SELECT xyz FROM returns");
    assert_eq!(said, "there is no column xyz; there are: id, reason");
}

#[test]
fn time_travel_of_other_engines_is_refused_with_the_way_it_is_written_here() {
    for query in [
        "SELECT * FROM orders FOR VERSION AS OF 1",
        "SELECT * FROM orders TIMESTAMP AS OF '2026-01-01'",
        "SELECT * FROM orders AS OF '2026-01-01'",
    ] {
        let said = lake().refuses(query);
        assert!(said.contains("\"orders@<snapshot id>\""), "{said}");
    }
    let said = lake().refuses("SELECT * FROM \"orders@17\"");
    assert_eq!(
        said,
        "shop.orders has no snapshot 17, or it was expired; \"orders$snapshots\" lists those there are"
    );
    let said = lake().refuses("SELECT * FROM \"orders@2001-01-01T00:00:00Z\"");
    assert!(said.contains("the oldest is of 20"), "{said}");
    let said = lake().refuses("SELECT * FROM \"orders@yesterday\"");
    assert!(
        said.starts_with("\"yesterday\" is neither a snapshot id nor a time"),
        "{said}"
    );
}

#[test]
fn a_script_stops_at_its_first_failure_and_names_the_line() {
    let script = lake().path("script.sql");
    std::fs::write(
        &script,
        "SELECT 1 AS one;\n\n-- and now:\nSELECT *\nFROM ordes;\nSELECT 2 AS two;\n",
    )
    .unwrap();
    let output = lake().sql(&["-f", "script.sql", "--output", "csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "one\n1\n",
        "what came before is answered"
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("error: script.sql:4: there is no table shop.ordes"),
        "{said}"
    );
}

#[test]
fn a_catalog_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(lake().path("tabletopic.toml")).unwrap();
    std::fs::write(folder.path().join("tabletopic.toml"), config).unwrap();
    let output = std::process::Command::new(crate::TABLETOPIC)
        .args(["sql", "-c", "SELECT 1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("there is no catalog at") && said.contains("tabletopic run"),
        "{said}"
    );
    assert!(!folder.path().join("catalog.db").exists());
}

#[test]
fn memory_has_a_bound() {
    let config = std::fs::read_to_string(lake().path("tabletopic.toml")).unwrap();
    let small = config.replace("[log]", "[memory]\nbudget = \"16MiB\"\n\n[log]");
    std::fs::write(lake().path("small.toml"), small).unwrap();
    let all_at_once = "SELECT array_length(array_agg(value)) AS n FROM generate_series(1, 5000000)";
    let output = lake().sql(&["--config", "small.toml", "-c", all_at_once]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("error: the query needs more memory than [memory] budget"),
        "{said}"
    );
    let output = lake().sql(&[
        "--config",
        "small.toml",
        "-c",
        "SELECT count(*) FROM generate_series(1, 5000000)",
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
