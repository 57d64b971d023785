//! `status --table` says of any table what PyIceberg finds in it.

use std::collections::HashMap;
use std::fs;

use iceberg::spec::Schema;
use iceberg::{TableIdent, TableUpdate};
use serde_json::{Value, json};
use tabletopic_catalog::{CommitOutcome, TableChange};
use tabletopic_table::follower::create;
use tabletopic_testkit::must;

use crate::lake::{TestLake, lake, make, open};

/// The health of one table.
fn health(lake: &TestLake, table: &str) -> Value {
    let output = lake.tabletopic(&["status", "--table", table, "--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{said}"))[0].clone()
}

/// That PyIceberg finds the same, by contents.
fn is_true(lake: &TestLake, table: &str, told: &Value) {
    let catalog = lake.path("catalog.db").display().to_string();
    let found = must("health", &["--catalog", &catalog, "--table", table]);
    for count in ["files", "bytes", "rows"] {
        assert_eq!(told["files"][count], found["files"][count], "{count}");
    }
    for class in told["files"]["by_size"].as_array().unwrap() {
        let (from, below) = (&class["from_bytes"], &class["below_bytes"]);
        let sizes = found["sizes"].as_array().unwrap().iter();
        let within = sizes
            .filter(|size| size.as_u64() >= from.as_u64())
            .filter(|size| below.is_null() || size.as_u64() < below.as_u64());
        assert_eq!(class["files"], json!(within.count()), "{class}");
    }
    let told_partitions = told["partitions"]["worst"].as_array().unwrap();
    let found_partitions = found["partitions"].as_object().unwrap();
    assert_eq!(told["partitions"]["count"], json!(found_partitions.len()));
    assert_eq!(told_partitions.len(), found_partitions.len());
    for partition in told_partitions {
        let path = partition["partition"].as_str().unwrap();
        for count in ["files", "bytes"] {
            assert_eq!(partition[count], found_partitions[path][count], "{path}: {count}");
        }
    }
    for kind in ["position_files", "equality_files"] {
        assert_eq!(told["deletes"][kind], found[kind], "{kind}");
    }
    assert_eq!(told["deletes"]["bytes"], found["delete_bytes"]);
    assert_eq!(told["snapshots"], found["snapshots"]);
    let refs = told["refs"].as_array().unwrap().iter();
    let refs = refs.map(|each| {
        (
            each["name"].as_str().unwrap(),
            json!([each["kind"], each["snapshot_id"]]),
        )
    });
    assert_eq!(Value::from_iter(refs), found["refs"]);
    let manifests = &told["manifests"];
    let count = manifests["data"].as_u64().unwrap() + manifests["deletes"].as_u64().unwrap();
    assert_eq!(json!(count), found["manifests"]["count"]);
    assert_eq!(manifests["bytes"], found["manifests"]["bytes"]);
    assert_eq!(
        manifests["opened_for_one_partition"],
        found["manifests"]["opened"]
    );
    assert_eq!(told["metadata_bytes"], found["metadata_bytes"]);
}

#[test]
fn figures_of_a_partitioned_table_are_those_that_pyiceberg_finds() {
    let told = health(lake(), "shop.orders");
    assert_eq!(told["owner"], json!("main"), "{told:#}");
    assert!(told["partitions"]["count"].as_u64() > Some(5), "{told:#}");
    is_true(lake(), "shop.orders", &told);
}

#[test]
fn what_is_due_to_a_table_with_deletes_is_what_compact_then_does() {
    let lake = make();
    let told = health(&lake, "shop.returns");
    is_true(&lake, "shop.returns", &told);
    let deletes = &told["deletes"];
    assert_eq!(
        (
            &deletes["position_files"],
            &deletes["equality_files"],
            &deletes["data_files"]
        ),
        (&json!(1), &json!(2), &json!(2)),
        "{told:#}"
    );

    // Its rows came a moment ago, and what is hot waits.
    let compact = &told["next"]["compact"];
    assert_eq!(compact["pieces"], json!(0), "{told:#}");
    assert_eq!(
        (&compact["waits"]["partitions"], &compact["waits"]["files"]),
        (&json!(1), &json!(3)),
        "{told:#}"
    );
    assert_eq!(told["commands"], json!([]), "{told:#}");

    let config = fs::read_to_string(lake.path("tabletopic.toml")).unwrap();
    let config = config.replace("[log]", "[maintenance]\nhot_for = \"1ms\"\n\n[log]");
    fs::write(lake.path("tabletopic.toml"), config).unwrap();
    let told = health(&lake, "shop.returns");
    let cost = &told["next"]["compact"];
    let counts = ["pieces", "writes", "commits"].map(|count| &cost[count]);
    assert_eq!(counts, [&json!(1), &json!(1), &json!(1)], "{told:#}");
    assert_eq!(
        (&cost["data"]["files"], &cost["deletes"]["files"]),
        (&json!(3), &json!(3)),
        "{told:#}"
    );
    assert_eq!(
        told["commands"],
        json!(["tabletopic compact shop.returns"]),
        "{told:#}"
    );

    let done = lake.tabletopic(&["compact", "shop.returns"]);
    assert!(done.status.success(), "{done:?}");
    let told = health(&lake, "shop.returns");
    assert_eq!(told["next"]["compact"]["pieces"], json!(0), "{told:#}");
    assert_eq!(told["deletes"]["data_files"], json!(0), "{told:#}");
    is_true(&lake, "shop.returns", &told);
}

#[test]
fn a_table_that_cannot_be_read_is_told_and_the_others_are_shown() {
    let lake = make();
    let folder = lake.path("warehouse/shop/returns/metadata");
    let manifest = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-m0.avro"))
        .expect("it has manifests");
    fs::write(&manifest, "garbage").unwrap();
    let output = lake.tabletopic(&[
        "status",
        "--table",
        "shop.returns",
        "--table",
        "shop.orders",
        "--output",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let name = manifest.file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains("error: shop.returns: ") && said.contains(name),
        "{said}"
    );
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (told.as_array().unwrap().len(), &told[0]["table"]),
        (1, &json!("shop.orders"))
    );

    let output = lake.tabletopic(&["status", "--table", "shop.nothing"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn tables_that_maintenance_leaves_alone_are_shown_with_the_reason() {
    let made = make();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let lake = open(&made.path("")).await;
        let empty = TableIdent::from_strs(["shop", "empty"]).unwrap();
        create::table(&lake, &empty, Schema::builder().build().unwrap(), None)
            .await
            .unwrap();
        let returns = TableIdent::from_strs(["shop", "returns"]).unwrap();
        let base = lake.catalog.load(&returns).await.unwrap();
        let encrypted = TableUpdate::SetProperties {
            updates: HashMap::from([("encryption.key-id".to_owned(), "key".to_owned())]),
        };
        let change = TableChange {
            requirements: Vec::new(),
            updates: vec![encrypted],
        };
        let outcome = lake.catalog.commit(&base, change).await;
        assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
    });
    let empty = health(&made, "shop.empty");
    assert_eq!(empty["snapshots"]["count"], json!(0), "{empty:#}");
    assert_eq!(
        (&empty["files"]["files"], &empty["commands"]),
        (&json!(0), &json!([])),
        "{empty:#}"
    );
    let encrypted = health(&made, "shop.returns");
    assert_eq!(encrypted["files"]["files"], json!(3), "{encrypted:#}");
    let refused = encrypted["next"]["compact"]["refused"].as_str().unwrap();
    assert!(refused.contains("is encrypted"), "{refused}");

    let output = made.tabletopic(&["status", "--table", "shop.empty", "--table", "shop.returns"]);
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(
        page.contains("nothing was committed yet") && page.contains("not here: "),
        "{page}"
    );
}

#[test]
fn people_are_shown_a_page() {
    let output = lake().tabletopic(&["status", "--table", "shop.orders", "--table", "shop.returns"]);
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    for words in [
        "shop.orders  ",
        "tag tabletopic",
        "below 1.0 MiB",
        "created_at_day=",
        "1 by position, 2 by equality",
        "which are hot",
    ] {
        assert!(page.contains(words), "{words}:\n{page}");
    }
}
