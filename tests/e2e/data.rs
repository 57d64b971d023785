//! Real input and formats: what is in the topic is in the table, value by value, as PyIceberg and DuckDB read it.

use std::path::Path;

use serde_json::{Value, json};
use tabletopic_testkit::{Lake, Service, Topic, eventually};

use crate::TABLETOPIC;

/// Predicates, each with the most files that may be opened for it.
type Filters<'a> = &'a [(&'a str, u64)];

const ORDERS: &str = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"dead-letter\"";

/// Changes a configuration where `configure` has no word for it.
fn edit(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).expect("it was written");
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(config, text.replace(from, to)).expect("it is written");
}

/// Cuts only where the run ends, so that each worker writes one file for a partition.
fn one_cut(config: &Path) {
    edit(config, "interval = \"1s\"", "interval = \"10m\"");
}

fn until_end(config: &Path) -> (i32, String) {
    Service::run(TABLETOPIC, config, &["--until-end"]).finish()
}

fn catch_up(config: &Path) {
    Service::run(TABLETOPIC, config, &["--until-end"]).succeed();
}

/// Produces records that a test wrote (see `lines.py`), and answers the file with the account of them.
fn produce_lines(topic: &Topic, lake: &Lake, name: &str, lines: impl IntoIterator<Item = Value>) -> String {
    let (from, produced) = (
        lake.file(&format!("{name}.jsonl")),
        lake.file(&format!("{name}.parquet")),
    );
    let text: Vec<String> = lines.into_iter().map(|line| line.to_string()).collect();
    std::fs::write(&from, text.join("\n")).expect("the lines are written");
    topic.produce("lines", &["--from", &from, "--produced", &produced]);
    produced
}

fn produce_orders(topic: &Topic, lake: &Lake, name: &str, arguments: &[&str]) -> String {
    let produced = lake.file(&format!("{name}.parquet"));
    topic.produce("orders", &[arguments, &["--produced", &produced]].concat());
    produced
}

/// The type of a column as PyIceberg names it.
fn column(lake: &Lake, name: &str) -> String {
    let shown = lake.foreign(&["show"]);
    shown["columns"][name]
        .as_str()
        .unwrap_or_else(|| panic!("no column {name} in {shown:#}"))
        .to_owned()
}

/// What the ledger says of schema changes: a row for each column.
fn schema_changes(lake: &Lake) -> Vec<Value> {
    let ledger = lake.must("ledger", &["--kind", "schema"]);
    ledger["rows"].as_array().expect("a list of rows").clone()
}

/// The columns that a snapshot changed; there is one such snapshot, and all of it has one cause.
fn changed_at_once(lake: &Lake) -> (Vec<String>, Value) {
    let changes = schema_changes(lake);
    for change in &changes {
        for same in ["snapshot_id", "reason", "record_offset"] {
            assert_eq!(change[same], changes[0][same], "{changes:#?}");
        }
    }
    let words = |change: &Value| change["change"].as_str().expect("words").to_owned();
    (changes.iter().map(words).collect(), changes[0]["reason"].clone())
}

/// Readers that prune count the rows of each filter right; a filter with a number reads that many data files at most.
fn prunes(lake: &Lake, rows: u64, filters: &[(&str, u64)]) {
    let arguments: Vec<&str> = filters
        .iter()
        .flat_map(|(filter, _)| ["--where", filter])
        .collect();
    let found = lake.must("prune", &arguments);
    assert_eq!(found["rows"], rows, "{found:#}");
    for ((filter, most), judged) in filters.iter().zip(found["filters"].as_array().expect("a list")) {
        assert_ne!(judged["rows"], 0, "{filter} tests nothing: {found:#}");
        assert!(
            judged["files"].as_u64().expect("a number") <= *most,
            "{filter} is not pruned: {found:#}"
        );
    }
}

#[test]
fn flights_are_as_in_the_csv_file() {
    let (topic, lake) = (Topic::create("flights", 6, &[]), Lake::new());
    topic.produce("flights", &["--produced", &lake.file("produced.parquet")]);
    let job = "format = \"json\"\nevent_time = \"time_hour\"\npartition_by = [\"day(time_hour)\"]";
    let config = lake.configure("flights", &topic, "", job);
    edit(&config, "count = 1", "count = 3");
    one_cut(&config);
    catch_up(&config);

    let csv = Path::new(&std::env::var("TABLETOPIC_CACHE").unwrap_or_else(|_| ".cache".to_owned()))
        .join("flights/flights.csv");
    let judged = lake.must("oracle", &["--csv", csv.to_str().expect("UTF-8")]);
    assert_eq!(judged["readers"]["duckdb"]["expected"], 336_776, "{judged:#}");
    lake.is_sound();
}

#[test]
fn raw_records_keep_key_value_and_headers() {
    let (topic, lake) = (Topic::create("raw", 2, &[]), Lake::new());
    let orders = produce_orders(
        &topic,
        &lake,
        "orders",
        &["--count", "500", "--headers", "--tombstones", "0.05"],
    );
    let lines = produce_lines(
        &topic,
        &lake,
        "lines",
        [
            json!({"text": "", "key": ""}),
            json!({"text": "no JSON \u{0}", "partition": 1, "headers": [["empty", ""], ["none", null], ["empty", "2"]]}),
            json!({"value": null, "key": "\u{1F9CA}", "headers": []}),
        ],
    );
    let config = lake.configure("raw", &topic, "", "format = \"raw\"");
    catch_up(&config);
    let judged = lake.holds(&[&orders, &lines], &["--format", "raw"]);
    assert_eq!(judged["readers"]["duckdb"]["rows"], 503, "{judged:#}");
    assert_eq!(column(&lake, "value"), "binary");
    lake.is_sound();
}

/// Two partitions, and in the first one bad record at offset 3.
fn one_bad_record(partition: u64, i: u64) -> Value {
    let mut line = json!({
        "partition": partition,
        "value": {"id": i, "created_at": "2026-01-01T00:00:00Z", "amount": i as f64 + 0.5},
    });
    if (partition, i) == (0, 3) {
        line["value"]["amount"] = json!("much");
        line["kind"] = json!("poison");
        line["reason"] = json!("wrong_type");
    }
    line
}

#[test]
fn a_bad_record_halts_its_partition_and_no_other() {
    let (topic, lake) = (Topic::create("halt", 2, &[]), Lake::new());
    let lines = (0..10).flat_map(|i| [one_bad_record(0, i), one_bad_record(1, i)]);
    let first = produce_lines(&topic, &lake, "first", lines);
    let halting = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"halt\"";
    let config = lake.configure("halting", &topic, "", halting);

    let (code, log) = until_end(&config);
    assert_eq!(code, 4, "{log}");
    let halt = format!(
        "topic {} partition 0 offset 3: bad record (wrong_type in field `amount`)",
        topic.name
    );
    assert!(log.contains(&halt), "{halt} is not in\n{log}");
    assert!(
        log.contains("dead-letter") && log.contains("null-field"),
        "it does not say what to do:\n{log}"
    );
    let judged = lake.holds(&[&first], &["--lost", "0=3-10"]);
    assert_eq!(judged["readers"]["duckdb"]["rows"], 13, "{judged:#}");

    // A service goes on with the other partition, and says the same again.
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(&halt);
    let second = produce_lines(&topic, &lake, "second", (10..20).map(|i| one_bad_record(1, i)));
    service.says(" committed table=");
    service.terminate();
    lake.holds(&[&first, &second], &["--lost", "0=3-10"]);

    let config = lake.configure("setting_aside", &topic, "", ORDERS);
    catch_up(&config);
    lake.holds(&[&first, &second], &["--dead-letters"]);
    lake.is_sound();
}

#[test]
fn a_field_that_does_not_fit_becomes_null_where_that_is_asked_for() {
    let (topic, lake) = (Topic::create("null-field", 1, &[]), Lake::new());
    let at = "2026-01-01T00:00:00Z";
    let good = json!({"id": 1, "created_at": at, "tags": [1, 2], "place": {"city": "Ulm", "zip": 89073}});
    let nulled = |value: Value, stored: Value| json!({"value": value, "stored": stored});
    let produced = produce_lines(
        &topic,
        &lake,
        "lines",
        [
            json!({"value": good}),
            nulled(
                json!({"id": "x", "created_at": at}),
                json!({"id": null, "created_at": at}),
            ),
            nulled(
                json!({"id": 2, "created_at": at, "tags": [1, "two"], "place": {"city": 5, "zip": 1}}),
                json!({"id": 2, "created_at": at, "tags": [1, null], "place": {"city": null, "zip": 1}}),
            ),
            json!({"value": {"id": 3, "created_at": "soon"}, "kind": "poison", "reason": "invalid_value"}),
            json!({"text": "{", "kind": "poison", "reason": "not-json"}),
        ],
    );
    let job = "format = \"json\"\nevent_time = \"created_at\"\non_bad_record = \"null-field\"";
    catch_up(&lake.configure("null-field", &topic, "", job));
    lake.holds(&[&produced], &["--dead-letters"]);
    lake.is_sound();
}

#[test]
fn dead_letters_are_whole_and_have_their_reason() {
    let (topic, lake) = (Topic::create("letters", 4, &[]), Lake::new());
    let arguments = ["--count", "20000", "--poison", "0.01", "--headers"];
    let produced = produce_orders(&topic, &lake, "orders", &arguments);
    catch_up(&lake.configure("letters", &topic, "", ORDERS));
    let judged = lake.holds(&[&produced], &["--dead-letters"]);
    let letters = judged["readers"]["duckdb"]["dead_letters"]["rows"]
        .as_u64()
        .expect("a number");
    assert!((100..300).contains(&letters), "{judged:#}");
    lake.is_sound();
}

const DDL: &str = "CREATE TABLE orders (
    id BIGINT NOT NULL,
    small INT,
    price DECIMAL(12,2),
    ratio DOUBLE,
    single REAL,
    yes BOOLEAN,
    name VARCHAR,
    day DATE,
    at_time TIME,
    created_at TIMESTAMPTZ,
    wall TIMESTAMP,
    bytes BINARY,
    place STRUCT<city VARCHAR, zip INT>,
    numbers ARRAY<INT>,
    counts MAP(VARCHAR, BIGINT)
)";

#[test]
fn a_ddl_file_says_the_columns() {
    let (topic, lake) = (Topic::create("ddl", 1, &[]), Lake::new());
    let full = |id: u64| {
        let stored = json!({
            "id": id, "small": -2147483648, "price": "9999999999.99", "ratio": 0.1, "single": 0.5, "yes": false,
            "name": "naïve \u{1F9CA}", "day": "2024-02-29", "at_time": "23:59:59.999999",
            "created_at": "2026-01-31T10:26:56.123456+01:00", "wall": "2026-01-31T09:26:56", "bytes": "AAEC/w==",
            "place": {"city": "Ulm", "zip": 89073}, "numbers": [1, null, 3],
            "counts": {"x": i64::MAX, "y": null},
        });
        let mut value = stored.clone();
        value["unknown"] = json!({"is": "ignored"});
        value["place"]["unknown"] = json!(true);
        json!({"value": value, "stored": stored})
    };
    let produced = produce_lines(
        &topic,
        &lake,
        "lines",
        [
            full(1),
            json!({"value": {"id": i64::MAX, "created_at": "1970-01-01T00:00:00Z"}}),
            json!({"value": {"created_at": "2026-01-01T00:00:00Z"}, "kind": "poison", "reason": "missing_required"}),
            json!({"value": {"id": 2, "small": 1u64 << 31, "created_at": 0}, "kind": "poison", "reason": "out_of_range"}),
            full(3),
        ],
    );
    std::fs::write(lake.path("orders.sql"), DDL).expect("the DDL file is written");
    catch_up(&lake.configure("ddl", &topic, "", &format!("{ORDERS}\nddl = \"orders.sql\"")));
    lake.holds(&[&produced], &["--dead-letters"]);
    let shown = lake.foreign(&["show"]);
    let columns: Vec<&String> = shown["columns"].as_object().expect("an object").keys().collect();
    assert_eq!(columns.len(), 18, "its own 15 and Kafka's 3: {columns:?}");
    assert_eq!(shown["columns"]["id"], "long required", "{shown:#}");
    assert_eq!(shown["columns"]["price"], "decimal(12, 2)", "{shown:#}");
    assert_eq!(schema_changes(&lake), Vec::<Value>::new());
    lake.is_sound();
}

#[test]
fn new_fields_become_columns_and_the_ledger_says_why() {
    let (topic, lake) = (Topic::create("growth", 1, &[]), Lake::new());
    let config = lake.configure("growth", &topic, "", ORDERS);
    let order = |i: u64, address: Value, items: Value| json!({"id": i, "created_at": "2026-01-02T00:00:00Z", "address": address, "items": items});
    let line = |i: u64, grown: bool| {
        let (country, price) = if grown {
            (json!({"code": "DE"}), json!(0.5))
        } else {
            (json!(null), json!(null))
        };
        let address = json!({"city": "Ulm", "zip": 1, "country": country});
        let mut stored = order(i, address, json!([{"sku": "a", "count": 1, "price": price}]));
        if grown {
            stored["channel"] = json!("web");
            return json!({"value": stored});
        }
        // Without the fields, which the table has as null once it has grown.
        json!({"value": order(i, json!({"city": "Ulm", "zip": 1}), json!([{"sku": "a", "count": 1}])), "stored": stored})
    };
    let before = produce_lines(&topic, &lake, "before", (0..200).map(|i| line(i, false)));
    let service = Service::run(TABLETOPIC, &config, &[]);
    service.says(" committed table=");
    let after = produce_lines(&topic, &lake, "after", (200..250).map(|i| line(i, i >= 220)));
    eventually("the new column in the table", || {
        lake.foreign(&["show"])["columns"].get("channel").map(|_| ())
    });
    service.terminate();
    catch_up(&config);
    lake.holds(&[&before, &after], &[]);
    let (columns, cause) = changed_at_once(&lake);
    assert!(
        columns.contains(&"add column channel string".to_owned()),
        "{columns:?}"
    );
    assert_eq!(cause, format!("{}/0 offset 220", topic.name));
    lake.is_sound();
}

#[test]
fn an_int_column_widens_to_long() {
    let (topic, lake) = (Topic::create("widen", 1, &[]), Lake::new());
    let line = |id: u64| json!({"value": {"id": id, "created_at": "2026-01-01T00:00:00Z"}});
    let small = produce_lines(&topic, &lake, "small", (0..10).map(line));
    std::fs::write(
        lake.path("orders.sql"),
        "CREATE TABLE orders (id INT, created_at TIMESTAMPTZ)",
    )
    .expect("written");
    catch_up(&lake.configure("ddl", &topic, "", &format!("{ORDERS}\nddl = \"orders.sql\"")));
    assert_eq!(column(&lake, "id"), "int");

    let large = produce_lines(&topic, &lake, "large", [line(11), line(1 << 31), line(12)]);
    catch_up(&lake.configure("inferring", &topic, "", ORDERS));
    assert_eq!(column(&lake, "id"), "long");
    lake.holds(&[&small, &large], &[]);
    let changes = schema_changes(&lake);
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(
        changes[0]["reason"],
        format!("{}/0 offset 11", topic.name),
        "{changes:#?}"
    );
    lake.is_sound();
}

#[test]
fn two_services_that_see_a_new_field_at_once_make_one_change() {
    let (topic, lake) = (Topic::create("together", 2, &[]), Lake::new());
    let line = |i: u64, more: Value| {
        let mut value = json!({"id": i, "created_at": "2026-01-01T00:00:00Z"});
        value
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({"partition": i % 2, "value": value})
    };
    let before = produce_lines(&topic, &lake, "before", (0..20).map(|i| line(i, json!({}))));
    let config = lake.configure("together", &topic, "", ORDERS);
    catch_up(&config);
    let services = [(); 2].map(|()| Service::run(TABLETOPIC, &config, &[]));
    eventually("a partition for each of the services", || {
        let group = tabletopic_testkit::admin(&topic.bootstrap, &["group", &topic.name]);
        let members = group["members"].as_array()?.clone();
        let each = members.iter().all(|member| {
            member["partitions"]
                .as_array()
                .is_some_and(|held| held.len() == 1)
        });
        (members.len() == 2 && each).then_some(())
    });
    let more = json!({"channel": "web", "place": {"city": "Ulm"}});
    let after = produce_lines(&topic, &lake, "after", (20..40).map(|i| line(i, more.clone())));
    for service in &services {
        service.says(" committed table=");
    }
    services.into_iter().for_each(|service| drop(service.terminate()));
    lake.holds(&[&before, &after], &[]);
    let (columns, _) = changed_at_once(&lake);
    let mut once = columns.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), columns.len(), "{columns:?}");
    lake.is_sound();
}

#[test]
fn an_empty_topic_becomes_a_table_that_grows_and_tombstones_are_rows() {
    let (topic, lake) = (Topic::create("empty", 2, &[]), Lake::new());
    let job = format!("{ORDERS}\nkafka_columns = [\"topic\", \"key\", \"headers\"]");
    let config = lake.configure("empty", &topic, "", &job);
    catch_up(&config);
    let shown = lake.foreign(&["show"]);
    assert_eq!(
        shown["partition_spec"],
        json!(["created_at_day: day of created_at"]),
        "{shown:#}"
    );

    let arguments = [
        "--count",
        "1000",
        "--headers",
        "--nested",
        "--tombstones",
        "0.1",
        "--poison",
        "0.01",
    ];
    let produced = produce_orders(&topic, &lake, "orders", &arguments);
    let sparse = produce_lines(
        &topic,
        &lake,
        "sparse",
        [json!({"value": {"created_at": "2026-01-01T00:00:00Z"}, "key": null, "headers": []})],
    );
    catch_up(&config);
    let judged = lake.holds(&[&produced, &sparse], &["--dead-letters"]);
    let rows = judged["readers"]["duckdb"]["rows"].as_u64().expect("a number");
    for name in [
        "_kafka_topic",
        "_kafka_key",
        "_kafka_headers",
        "address",
        "items",
        "paid",
    ] {
        column(&lake, name);
    }
    prunes(
        &lake,
        rows,
        &[("created_at is null", u64::MAX), ("_kafka_offset >= 0", u64::MAX)],
    );
    lake.is_sound();
}

/// Makes a table of the topic, partitioned in its own way.
fn partitioned(topic: &Topic, lake: &mut Lake, name: &str, partition_by: &str) {
    lake.table = format!("shop.{name}");
    let job = format!("format = \"json\"\nevent_time = \"created_at\"\npartition_by = {partition_by}");
    let config = lake.configure(name, topic, "", &job);
    one_cut(&config);
    catch_up(&config);
}

#[test]
fn partitions_of_every_transform_are_pruned_without_losing_rows() {
    let (topic, mut lake) = (Topic::create("transforms", 1, &[]), Lake::new());
    produce_orders(
        &topic,
        &lake,
        "orders",
        &["--count", "300", "--days", "1", "--tombstones", "0.1"],
    );
    let years = [
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59.999999Z",
        "2024-02-29T12:00:00+14:00",
        "2200-12-31T00:00:00Z",
    ];
    let lines = years.iter().zip([-1001i64, -1, 0, 1001]).map(|(at, quantity)| {
        json!({"value": {"id": i64::MIN, "created_at": at, "customer": "\u{1F9CA}\u{1F9CA}x", "quantity": quantity, "paid": true}})
    });
    produce_lines(&topic, &lake, "years", lines);

    let noon = "created_at >= '2026-01-01T12:00:00+00:00' and created_at < '2026-01-01T13:00:00+00:00'";
    let leap = "created_at >= '2024-02-01T00:00:00+00:00' and created_at < '2024-03-01T00:00:00+00:00'";
    let old = "created_at < '2000-01-01T00:00:00+00:00'";
    let any = u64::MAX;
    let tables: [(&str, &str, Filters<'_>); 5] = [
        (
            "hours",
            r#"["hour(created_at)"]"#,
            &[(noon, 1), (leap, 1), (old, 2), ("created_at is null", 1)],
        ),
        (
            "months",
            r#"["month(created_at)", "bucket(4, customer)"]"#,
            &[
                (leap, 1),
                (old, 2),
                ("customer = 'c17' or customer = '\u{1F9CA}\u{1F9CA}x'", any),
                ("customer = '\u{1F9CA}\u{1F9CA}x' and quantity < 0", 2),
            ],
        ),
        (
            "years",
            r#"["year(created_at)", "truncate(1, customer)"]"#,
            &[(old, 2), (leap, 1), ("customer >= 'c1' and customer < 'c2'", 1)],
        ),
        (
            "mixed",
            r#"["paid", "bucket(4, id)", "truncate(50, quantity)"]"#,
            &[
                ("paid = false", 8),
                ("quantity < 0", 2),
                ("quantity >= 50 and quantity < 100", 8),
                ("id = -9223372036854775808", 4),
            ],
        ),
        (
            "whole",
            "[]",
            &[(noon, 1), ("paid = true", 1), ("quantity = 1001", 1)],
        ),
    ];
    for (name, partition_by, filters) in tables {
        partitioned(&topic, &mut lake, name, partition_by);
        prunes(&lake, 304, filters);
        lake.must("metrics", &[]);
    }
}

#[test]
fn numbers_are_times_in_the_unit_that_is_configured() {
    for (unit, factor) in [("s", 1), ("ms", 1_000), ("us", 1_000_000)] {
        let (topic, lake) = (Topic::create(&format!("time-{unit}"), 1, &[]), Lake::new());
        let at = |seconds: i64| json!({"value": {"id": seconds, "created_at": seconds * factor}});
        let produced = produce_lines(
            &topic,
            &lake,
            "lines",
            [at(1_769_851_616), at(0), at(4_102_444_799)],
        );
        let job = format!("{ORDERS}\ntimestamp_unit = \"{unit}\"");
        let config = lake.configure("times", &topic, "", &job);
        one_cut(&config);
        catch_up(&config);
        lake.holds(&[&produced], &["--timestamp-unit", unit]);
        let exact = "created_at = '2026-01-31T09:26:56+00:00'";
        prunes(&lake, 3, &[(exact, 1)]);
    }
}

#[test]
fn late_events_and_zones_are_in_the_partition_of_their_day() {
    let (topic, lake) = (Topic::create("late", 1, &[]), Lake::new());
    let orders = produce_orders(&topic, &lake, "orders", &["--count", "400", "--days", "65"]);
    let at = |text: &str| json!({"value": {"id": 1, "created_at": text}});
    let zones = [
        "2025-12-31T23:59:59.999999-12:00",
        "2026-01-01T00:30:00+14:00",
        "2026-01-01 00:00:00",
        "2025-10-26T02:30:00+02:00",
    ];
    let zones = produce_lines(&topic, &lake, "zones", zones.map(at));
    let config = lake.configure("late", &topic, "", ORDERS);
    one_cut(&config);
    catch_up(&config);
    lake.holds(&[&orders, &zones], &[]);
    let first_of_january =
        "created_at >= '2026-01-01T00:00:00+00:00' and created_at < '2026-01-02T00:00:00+00:00'";
    let last_of_december =
        "created_at >= '2025-12-31T00:00:00+00:00' and created_at < '2026-01-01T00:00:00+00:00'";
    prunes(&lake, 404, &[(first_of_january, 1), (last_of_december, 1)]);
    lake.is_sound();
}
