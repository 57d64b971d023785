//! `tabletopic test-sql`: what holds, what differs and what cannot be run, in words, JSON and JUnit's XML; expectations
//! that DuckDB has written hold, and the example of `docs/test-sql.md` prints what the page says.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::lake::{TestLake, lake, make};

const PAGE: &str = include_str!("../../docs/test-sql.md");

/// Files of one test, in a folder of their own.
struct Files {
    lake: &'static TestLake,
    folder: String,
}

impl Files {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let files_of = Self {
            lake: lake(),
            folder: format!("assertions/{test}"),
        };
        for (name, text) in files {
            files_of.write(name, text);
        }
        files_of
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.lake.path(&self.folder).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.lake.path(&self.folder).join(name)).unwrap()
    }

    fn test(&self, arguments: &[&str]) -> Output {
        let common = ["test-sql", &self.folder];
        self.lake.tabletopic(&[&common, arguments].concat())
    }

    /// What is printed in words, with this exit code.
    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.test(arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The outcome of each, by its file's name.
    fn outcomes(&self, arguments: &[&str], code: i32) -> Vec<(String, String)> {
        let document = self.document(arguments, code);
        let tests = document["tests"].as_array().unwrap().iter();
        let of_folder = format!("{}/", self.folder);
        let outcome = |test: &Value| {
            let name = test["name"].as_str().unwrap().strip_prefix(&of_folder).unwrap();
            (name.to_owned(), test["outcome"].as_str().unwrap().to_owned())
        };
        tests.map(outcome).collect()
    }

    fn document(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.test(&[&["--output", "json"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["exit_code"], code);
        document
    }
}

fn outcome(name: &str, outcome: &str) -> (String, String) {
    (name.to_owned(), outcome.to_owned())
}

#[test]
fn each_file_is_judged_and_one_that_fails_stops_no_other() {
    let files = Files::new(
        "each",
        &[
            ("a_holds.sql", "-- one\nSELECT count(*) AS orders FROM orders;"),
            ("a_holds.csv", "orders\n1100\n"),
            ("b_none.sql", "SELECT order_id FROM orders WHERE order_id < 0"),
            (
                "c_rows.sql",
                "SELECT order_id FROM orders WHERE order_id < 30 ORDER BY order_id",
            ),
            ("d_unknown.sql", "\nSELECT * FROM ordes"),
            ("e_writes.sql", "INSERT INTO orders SELECT * FROM orders"),
            ("f_two.sql", "SELECT 1; SELECT 2"),
            ("g_nested.sql", "SELECT tags FROM orders"),
            ("h_csv.sql", "SELECT 1 AS a, 2 AS b"),
            ("h_csv.csv", "a,b\n1\n"),
            ("i_columns.sql", "SELECT 1 AS b"),
            ("i_columns.csv", "a\n1\n"),
            ("more/holds.sql", "SELECT 1 AS a WHERE false"),
        ],
    );
    let failing = ["c_rows", "i_columns"];
    let broken = ["d_unknown", "e_writes", "f_two", "g_nested", "h_csv"];
    let mut wanted: Vec<_> = ["a_holds", "b_none", "more/holds"]
        .map(|name| outcome(name, "ok"))
        .into();
    wanted.extend(failing.map(|name| outcome(name, "differs")));
    wanted.extend(broken.map(|name| outcome(name, "cannot_run")));
    wanted.sort();
    assert_eq!(files.outcomes(&[], 1), wanted);
    let said = files.says(&[], 1);
    let folder = &files.folder;
    for words in [
        "a_holds ... ok (".to_owned(),
        "c_rows: 30 rows, where no rows are expected\n     order_id\n  +  0\n".to_owned(),
        "  +  19\n  and 10 more\n".to_owned(),
        format!("{folder}/d_unknown.sql:2: there is no table shop.ordes (did you mean orders?)"),
        "INSERT is refused".to_owned(),
        "one statement is expected here".to_owned(),
        "column tags is nested".to_owned(),
        format!("{folder}/h_csv.csv:2: 1 fields, where the header has 2"),
        "its columns are b, and a are expected".to_owned(),
        "3 as expected, 2 not, 5 could not be run; ".to_owned(),
    ] {
        assert!(said.contains(&words), "{words}\n{said}");
    }
    assert_eq!(
        files.outcomes(&["--filter", "a_holds"], 0),
        [outcome("a_holds", "ok")]
    );
    assert_eq!(
        files.outcomes(&["--filter", "c_rows"], 3),
        [outcome("c_rows", "differs")]
    );
}

#[test]
fn nothing_to_ask_does_not_pass() {
    let files = Files::new("nothing", &[("a.sql", "SELECT 1")]);
    for arguments in [
        &["--filter", "zzz"][..],
        &["no/such/folder"],
        &["tabletopic.toml"],
        &["warehouse"],
    ] {
        let output = files.test(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty());
    }
    let output = files.test(&["--namespace", "shp"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("there is no namespace shp (did you mean shop?)"),
        "{said}"
    );
}

#[test]
fn null_is_no_empty_text_and_order_counts_where_the_query_has_one() {
    let values = "SELECT * FROM (VALUES (1, NULL), (2, ''), (3, 'x,\"y\"'), (3, 'x,\"y\"')) AS t (a, b)";
    let right = "a,b\n1,\n2,\"\"\n3,\"x,\"\"y\"\"\"\n3,\"x,\"\"y\"\"\"\n";
    let turned = "a,b\n3,\"x,\"\"y\"\"\"\n2,\"\"\n1,\n3,\"x,\"\"y\"\"\"\n";
    let ordered = format!("{values} ORDER BY a");
    let files = Files::new("forms", &[]);
    for (name, query, expected) in [
        ("any", values, turned),
        ("right", &ordered, right),
        ("turned", &ordered, turned),
        ("emptied", values, &right.replace("2,\"\"", "2,")),
        ("once", values, &right.replacen("3,\"x,\"\"y\"\"\"\n", "", 1)),
    ] {
        files.write(&format!("{name}.sql"), query);
        files.write(&format!("{name}.csv"), expected);
    }
    let judged = files.outcomes(&[], 3);
    assert_eq!(
        judged,
        [
            outcome("any", "ok"),
            outcome("emptied", "differs"),
            outcome("once", "differs"),
            outcome("right", "ok"),
            outcome("turned", "differs"),
        ]
    );
    let said = files.says(&["--filter", "emptied"], 3);
    assert!(said.contains("  -  2  ∅\n  +  2  \n"), "{said}");
    let said = files.says(&["--filter", "turned"], 3);
    assert!(
        said.contains("the same rows in another order, from row 1 on"),
        "{said}"
    );
    let document = files.document(&["--filter", "once"], 3);
    let difference = &document["tests"][0]["difference"];
    assert_eq!(difference["unexpected"], 1, "{document:#}");
    assert_eq!(
        difference["lines"],
        json!([{ "side": "found", "row": ["3", "x,\"y\""] }])
    );
}

#[test]
fn update_writes_what_was_begun_and_nothing_else() {
    let files = Files::new(
        "update",
        &[
            (
                "begun.sql",
                "SELECT * FROM (VALUES ('b', NULL), ('a', '')) AS t (name, note)",
            ),
            ("begun.csv", ""),
            (
                "changed.sql",
                "SELECT value FROM generate_series(1, 3) ORDER BY value DESC",
            ),
            ("changed.csv", "value\n1\n"),
            ("same.sql", "SELECT 1 AS a"),
            ("same.csv", "a\r\n\"1\"\r\n"),
            ("must_be_none.sql", "SELECT 1 AS a"),
        ],
    );
    assert!(
        files
            .says(&["--filter", "begun"], 1)
            .contains("begun.csv:1: it is empty")
    );
    let said = files.says(&["--update"], 3);
    for name in ["begun", "changed"] {
        let words = format!(": wrote {}/{name}.csv\n", files.folder);
        assert!(said.contains(&words), "{words}\n{said}");
    }
    assert!(said.contains("1 as expected, 2 updated, 1 not; "), "{said}");
    assert_eq!(files.read("begun.csv"), "name,note\na,\"\"\nb,\n");
    assert_eq!(files.read("changed.csv"), "value\n3\n2\n1\n");
    assert_eq!(files.read("same.csv"), "a\r\n\"1\"\r\n", "equal by contents");
    assert!(!lake().path(&files.folder).join("must_be_none.csv").exists());
    std::fs::remove_file(lake().path(&files.folder).join("must_be_none.sql")).unwrap();
    assert_eq!(files.outcomes(&[], 0).len(), 3);
}

#[test]
fn an_expectation_that_duckdb_has_written_holds() {
    let query = "SELECT order_id, customer, note, quantity, CAST(created_at AS DATE) AS day FROM orders \
                 WHERE order_id BETWEEN 480 AND 520";
    let files = Files::new("duckdb", &[("some.sql", query)]);
    let catalog = lake().path("catalog.db").display().to_string();
    let answer = must("ask", &["--catalog", &catalog, "--table", "shop.orders", query]);
    let columns = ["order_id", "customer", "note", "quantity", "day"];
    let rows = answer["rows"][0].as_array().unwrap().iter().map(|row| {
        let cells = columns.map(|column| match &row[column] {
            Value::Null => String::new(),
            Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            other => other.to_string(),
        });
        cells.join(",")
    });
    let rows: Vec<String> = rows.collect();
    assert_eq!(rows.len(), 41);
    assert!(
        rows.iter().any(|row| row.contains(",,")),
        "some are null: {rows:?}"
    );
    let csv = format!("{}\n{}\n", columns.join(","), rows.join("\n"));
    files.write("some.csv", &csv);
    assert_eq!(files.outcomes(&[], 0), [outcome("some", "ok")]);
    files.write("some.csv", &csv.replacen("note 510", "note 511", 1));
    assert_eq!(files.outcomes(&[], 3), [outcome("some", "differs")]);
}

#[test]
fn the_same_files_judge_another_namespace() {
    let lake = make();
    let (catalog, folder) = (lake.path("catalog.db"), lake.path("tables"));
    let (catalog, folder) = (catalog.display().to_string(), folder.display().to_string());
    let made = [
        "--catalog",
        &catalog,
        "--table",
        "ci.orders",
        "make",
        "--folder",
        &folder,
        "--layout",
        "plain",
    ];
    must("compared", &made);
    std::fs::write(lake.path("rows.sql"), "SELECT count(*) AS rows FROM orders").unwrap();
    for (namespace, rows) in [("ci", 300), ("shop", 1100)] {
        std::fs::write(lake.path("rows.csv"), format!("rows\n{rows}\n")).unwrap();
        let output = lake.tabletopic(&["test-sql", "rows.sql", "--namespace", namespace]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("are those of {namespace}\n")), "{said}");
    }
    let output = lake.tabletopic(&["test-sql", "rows.sql"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("write ci.orders or shop.orders instead of orders"),
        "{said}"
    );
}

#[test]
fn a_query_that_takes_too_long_is_ended() {
    let product = "SELECT count(*) AS n FROM generate_series(1, 10000000) AS a (x), \
                   generate_series(1, 10000000) AS b (y) WHERE x * y % 7 = 3";
    let files = Files::new("long", &[("a.sql", product), ("b.sql", "SELECT 1 WHERE false")]);
    let began = std::time::Instant::now();
    let said = files.says(&["--timeout", "300ms"], 1);
    assert!(
        said.contains("a.sql: no answer after 300 ms; --timeout gives it longer"),
        "{said}"
    );
    assert!(said.contains("b ... ok"), "{said}");
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn junit_is_read_by_others_and_agrees_with_json() {
    let odd = "SELECT 'a]]>&<b' || chr(27) || chr(11) AS \"x<y\"";
    let files = Files::new(
        "junit",
        &[
            ("holds.sql", "SELECT 1 WHERE false"),
            ("odd.sql", odd),
            ("more/broken.sql", "SELECT FROM WHERE \"&\""),
            ("more/holds.sql", "SELECT 1 AS a"),
            ("more/holds.csv", "a\n1\n"),
        ],
    );
    let report = lake().path("report.xml").display().to_string();
    let document = files.document(&["--junit", &report], 1);
    let read = must("junit", &[&report]);
    assert_eq!(
        (&read["tests"], &read["failures"], &read["errors"]),
        (&json!(4), &json!(1), &json!(1))
    );
    let tests = document["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 4);
    for test in tests {
        let case = &read["cases"][test["name"].as_str().unwrap()];
        let kind = match test["outcome"].as_str().unwrap() {
            "ok" => "ok",
            "differs" => "failure",
            "cannot_run" => "error",
            other => panic!("{other}"),
        };
        assert_eq!(case[0], kind, "{read:#}");
        if kind != "ok" {
            assert_eq!(case[1], test["says"], "{read:#}");
        }
    }
    let shown = read["cases"][format!("{}/odd", files.folder)][2]
        .as_str()
        .unwrap();
    assert!(shown.contains("+  a]]>&<b\\u{1b}\\u{b}"), "{shown}");
    assert!(!Path::new(&format!("{report}.part")).exists());
    // A report that cannot be written is said before anything is asked.
    let output = files.test(&["--junit", "no/such/folder/report.xml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn the_example_of_the_page_prints_what_the_page_says() {
    let block = |kind: &str, number: usize| {
        let after = PAGE.split(&format!("```{kind}\n")).nth(number + 1).unwrap();
        after.split("```").next().unwrap().to_owned()
    };
    // The page's table, as a query: three columns of it.
    let orders = "(VALUES (1, 'ada', 1), (2, 'ada', 2), (3, 'bob', 1), (4, 'bob', 1)) AS orders (order_id, customer, quantity)";
    let lake = lake();
    let tests = lake.path("page/tests");
    std::fs::create_dir_all(&tests).unwrap();
    for (name, kind, number) in [
        ("by_customer.sql", "sql", 0),
        ("by_customer.csv", "csv", 0),
        ("no_negative_quantity.sql", "sql", 1),
    ] {
        let text = block(kind, number).replace("FROM orders", &format!("FROM {orders}"));
        std::fs::write(tests.join(name), text).unwrap();
    }
    let output = std::process::Command::new(crate::TABLETOPIC)
        .args(["test-sql", "tests", "--config", "../tabletopic.toml"])
        .current_dir(lake.path("page"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(without_times(&printed), without_times(&block("text", 0)));
}

/// How long something took is another time each time.
fn without_times(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let digits = word.trim_start_matches('(');
        match digits.parse::<f64>() {
            Ok(_) if digits.contains('.') => word.replace(digits, "N"),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
