//! The forms in which answers are written.

use crate::lake::lake;

#[test]
fn a_table_tells_null_from_text() {
    let printed = lake().prints("SELECT NULL AS a, '' AS b, 'NULL' AS c", "table");
    let expected = "\
+---+---+------+
| a | b | c    |
+---+---+------+
| ∅ |   | NULL |
+---+---+------+
(1 row)
";
    assert_eq!(printed, expected);
    let printed = lake().prints("SELECT order_id FROM orders WHERE order_id < 0", "table");
    assert!(
        printed.contains("| order_id |") && printed.ends_with("(0 rows)\n"),
        "{printed}"
    );
}

#[test]
fn a_table_says_that_there_is_more() {
    let many = "SELECT * FROM generate_series(1, 20000)";
    let printed = lake().prints(many, "table");
    assert!(
        printed.contains("(the first 10000 rows; there are more: add LIMIT"),
        "{}",
        &printed[printed.len() - 200..]
    );
    assert_eq!(lake().prints(many, "csv").lines().count(), 20001);
}

#[test]
fn tables_are_listed_and_described_without_the_shell() {
    let printed = lake().prints("\\d", "table");
    assert!(
        printed.contains("| shop      | returns              |"),
        "{printed}"
    );
    let printed = lake().prints("\\d returns", "table");
    assert!(printed.contains("| id     | long   | yes  |"), "{printed}");
}

#[test]
fn csv_has_a_header_and_quotes_what_needs_it() {
    assert_eq!(
        lake().prints("SELECT 1 AS a, 'x,\"y\"' AS b, NULL AS c", "csv"),
        "a,b,c\n1,\"x,\"\"y\"\"\",\n"
    );
    assert_eq!(
        lake().prints("SELECT order_id FROM orders WHERE order_id < 0", "csv"),
        "order_id\n"
    );
    let said = lake().sql(&["-c", "SELECT tags FROM orders", "--output", "csv"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("nested column tags"), "{said}");
}

#[test]
fn json_is_one_array_for_each_statement() {
    assert_eq!(
        lake().prints("SELECT 1 AS a, NULL AS b; SELECT 2 AS c", "json"),
        "[{\"a\":1,\"b\":null}]\n[{\"c\":2}]\n"
    );
    assert_eq!(
        lake().prints("SELECT order_id FROM orders WHERE order_id < 0", "json"),
        "[]\n"
    );
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let file = lake().path("kept.json");
    std::fs::write(&file, "before").unwrap();
    // The first row is fine, and a later one cannot be cast.
    let fails = "SELECT CAST(CASE WHEN order_id < 1090 THEN '1' ELSE 'x' END AS BIGINT) AS n FROM orders ORDER BY order_id";
    let output = lake().sql(&["-c", fails, "--output", "json", "-o", "kept.json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
    let output = lake().sql(&["-c", "SELECT 1 AS a", "--output", "json", "-o", "kept.json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[{\"a\":1}]\n");
    assert!(!lake().path("kept.json.part").exists());
}

#[test]
fn a_file_takes_the_place_of_nothing_but_a_file() {
    let folder = lake().path("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("answer.json"), "before").unwrap();
    std::os::unix::fs::symlink("folder/answer.json", lake().path("link.json")).unwrap();
    let output = lake().sql(&["-c", "SELECT 1 AS a", "--output", "json", "-o", "link.json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer = std::fs::read_to_string(folder.join("answer.json")).unwrap();
    assert_eq!(answer, "[{\"a\":1}]\n", "a link stays one");
    let socket = lake().path("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in ["folder", "socket"] {
        let output = lake().sql(&["-c", "SELECT 1 AS a", "-o", path]);
        assert_eq!(output.status.code(), Some(1), "{path}: {output:?}");
    }
    assert!(!socket.is_file(), "devices and sockets are not replaced");
}

#[test]
fn parquet_needs_a_file_and_one_statement() {
    let output = lake().sql(&["-c", "SELECT 1", "--output", "parquet"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = lake().sql(&[
        "-c",
        "SELECT 1; SELECT 2",
        "--output",
        "parquet",
        "-o",
        "two.parquet",
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!lake().path("two.parquet").exists());
}
