//! The shell on a terminal.

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::TABLETOPIC;
use crate::lake::lake;

fn wait(text: &str) -> Value {
    json!({ "wait": text })
}

fn send(text: &str) -> Value {
    json!({ "send": text })
}

/// Runs a shell with a state folder of its own; what was on the terminal.
fn session(state: &str, steps: &[Value]) -> String {
    let script = lake().path(&format!("{state}.json"));
    std::fs::write(&script, Value::from(steps.to_vec()).to_string()).unwrap();
    let state = format!("XDG_STATE_HOME={}", lake().path(state).display());
    let config = lake().path("tabletopic.toml").display().to_string();
    let script = script.display().to_string();
    let answer = must(
        "terminal",
        &[&script, "env", &state, TABLETOPIC, "sql", "--config", &config],
    );
    assert_eq!(answer["code"], 0, "{answer:#}");
    answer["terminal"].as_str().unwrap().to_owned()
}

#[test]
fn a_session() {
    let steps = [
        wait("sql> "),
        // A statement over lines; the first is completed by a tab.
        send("SELECT count(*) AS n FROM ret\t\r"),
        wait("returns"),
        send("WHERE id > 990;\r"),
        wait("| 8 |"),
        wait("(1 row, "),
        // An error leaves the shell where it is.
        send("SELECT * FROM ordes;\r"),
        wait("did you mean orders?"),
        wait("sql> "),
        send("\\dt\r"),
        wait("| shop      | orders__ledger       |"),
        send("\\d orders\r"),
        wait("partitioned by: day(created_at)"),
        wait("1100 rows in 11 files"),
        send("\\timing\r"),
        wait("timing is off"),
        send("SELECT 1 AS one; SELECT 2 AS two;\r"),
        wait("(1 row)"),
        wait("| two |"),
        send("\\nonsense\r"),
        wait("\\? lists them all"),
        send("\\?\r"),
        wait("orders$snapshots"),
        wait("sql> "),
        send("\\q\r"),
    ];
    session("session", &steps);
    // The next shell knows what was typed.
    let steps = [
        wait("sql> "),
        send("\x1b[A\x1b[A\x1b[A"),
        wait("nonsense"),
        send("\x03"),
        wait("sql> "),
        send("\x04"),
    ];
    session("session", &steps);
    let history = std::fs::read_to_string(lake().path("session/tabletopic/history")).unwrap();
    assert!(history.contains("WHERE id > 990;"), "{history}");
}

#[test]
fn control_c_ends_a_query_or_a_line_and_never_the_shell() {
    let steps = [
        wait("sql> "),
        // It would take hours, and finds nothing: until its end it does not let go of its thread.
        send(
            "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value + b.value = 0;\r",
        ),
        wait("a.value + b.value"),
        // Until the query has begun, Ctrl-C would only clear the line.
        json!({ "send": "\x03", "until": "cancelled" }),
        wait("sql> "),
        // A join makes its rows without reading any; nothing else would let go of the thread.
        send("SELECT count(*) AS pairs FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b;\r"),
        wait("AS pairs"),
        json!({ "send": "\x03", "until": "cancelled" }),
        wait("sql> "),
        send("SELECT 'half"),
        wait("half"),
        send("\x03"),
        wait("sql> "),
        send("SELECT 40 + 2 AS answer;\r"),
        wait("| 42     |"),
        wait("sql> "),
        send("\x04"),
    ];
    session("interrupted", &steps);
}

#[test]
fn statements_come_from_a_pipe_too() {
    let mut child = std::process::Command::new(TABLETOPIC)
        .args(["sql", "--output", "csv"])
        .current_dir(lake().path("."))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        b"SELECT 1 AS a;\nSELECT 2 AS b\n",
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a\n1\nb\n2\n");
}
