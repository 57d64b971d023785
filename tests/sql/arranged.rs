//! What `compact` does beyond merging: row groups copied as they are, rows put in order, files of old partition specs
//! rewritten; as DuckDB and PyArrow see it.

use serde_json::{Value, json};
use tabletopic_testkit::must;

use crate::compaction::compact;
use crate::lake::{TestLake, make};

const TABLE: &str = "shop.visits";

fn reader(lake: &TestLake, arguments: &[&str]) -> Value {
    let catalog = lake.path("catalog.db").display().to_string();
    must(
        "arranged",
        &[&["--catalog", &catalog, "--table", TABLE], arguments].concat(),
    )
}

fn made(more: &[&str]) -> (TestLake, Value) {
    let lake = make();
    let folder = lake.path("visits").display().to_string();
    reader(&lake, &[&["make", "--folder", &folder], more].concat());
    let before = reader(&lake, &["look"]);
    (lake, before)
}

fn files(look: &Value) -> &[Value] {
    look["files"].as_array().expect("a list")
}

#[test]
fn large_row_groups_are_copied_as_they_are() {
    let (lake, counted) = made(&["--large"]);
    // PyArrow writes no page indexes.
    compact(&lake, TABLE, &["--sort", "id", "--target-size", "20MiB"]);
    reader(&lake, &["append"]);
    let before = reader(&lake, &["look"]);
    let groups = |look: &Value| -> Vec<u64> {
        let groups = files(look)
            .iter()
            .flat_map(|file| file["row_groups"].as_array().unwrap());
        let mut groups: Vec<u64> = groups.map(|bytes| bytes.as_u64().unwrap()).collect();
        groups.sort_unstable();
        groups
    };
    let large = |look: &Value| -> Vec<u64> {
        let groups = groups(look).into_iter();
        groups.filter(|bytes| *bytes >= 16 << 20).collect()
    };
    let copied = large(&before);
    assert!(
        copied.len() > 1 && copied.len() < groups(&before).len(),
        "{before:#}"
    );

    let did = compact(&lake, TABLE, &[]);
    let after = reader(&lake, &["look"]);
    assert_eq!(after["counted"], before["counted"], "{did:#}");
    assert_eq!(
        before["counted"]["rows"].as_u64(),
        counted["counted"]["rows"].as_u64().map(|rows| rows + 10)
    );
    assert_eq!(
        (files(&after).len(), &files(&after)[0]["indexed"]),
        (1, &json!(true)),
        "{after:#}"
    );
    // What is not copied is encoded anew, in one row group.
    assert_eq!(large(&after), copied, "{after:#}");
    assert_eq!(groups(&after).len(), copied.len() + 1, "{after:#}");
    assert_eq!(files(&after)[0]["codecs"], json!(["ZSTD"]));
    let catalog = lake.path("catalog.db").display().to_string();
    must("metrics", &["--catalog", &catalog, "--table", TABLE]);
}

#[test]
fn files_of_old_specs_are_rewritten_under_the_new_one() {
    let (lake, before) = made(&[]);
    let specs = |look: &Value| -> Vec<i64> {
        let mut specs: Vec<i64> = files(look)
            .iter()
            .map(|file| file["spec"].as_i64().unwrap())
            .collect();
        specs.dedup();
        specs.sort_unstable();
        specs.dedup();
        specs
    };
    assert_eq!(specs(&before), [0, 1, 2]);
    compact(&lake, TABLE, &[]);
    assert_eq!(
        specs(&reader(&lake, &["look"])),
        [0, 1, 2],
        "it was not asked for"
    );

    let did = compact(&lake, TABLE, &["--old-specs"]);
    let after = reader(&lake, &["look"]);
    assert_eq!(after["counted"], before["counted"], "{did:#}");
    assert_eq!(specs(&after), [2], "{after:#}");
    compact(&lake, TABLE, &[]);
    let merged = reader(&lake, &["look"]);
    assert_eq!(merged["counted"], before["counted"]);
    assert_eq!(files(&merged).len(), 3, "one for each day: {merged:#}");
    let nothing_left = compact(&lake, TABLE, &["--old-specs"]);
    assert_eq!(nothing_left["pieces"], json!([]), "{nothing_left:#}");

    reader(&lake, &["unpartition"]);
    compact(&lake, TABLE, &["--old-specs"]);
    compact(&lake, TABLE, &[]);
    let after = reader(&lake, &["look"]);
    assert_eq!((&after["counted"], specs(&after)), (&before["counted"], vec![0]));
    assert_eq!(files(&after).len(), 1, "{after:#}");
}

#[test]
fn rows_are_sorted_as_asked() {
    let (lake, before) = made(&[]);
    compact(&lake, TABLE, &["--sort", "customer, id", "--old-specs"]);
    let after = reader(&lake, &["look", "--order", "customer,id"]);
    assert_eq!(after["counted"], before["counted"]);
    let in_order = |look: &Value| files(look).iter().all(|file| file["in_order"] == true);
    assert!(in_order(&after), "{after:#}");
    assert!(
        !in_order(&reader(&lake, &["look", "--order", "id"])),
        "the test sees order"
    );
    assert!(
        files(&after).iter().all(|file| file["sort_order"].is_null()),
        "{after:#}"
    );

    let did = compact(&lake, TABLE, &["--table-order"]);
    let after = reader(&lake, &["look", "--order", "customer"]);
    assert_eq!(after["counted"], before["counted"], "{did:#}");
    assert!(in_order(&after), "{after:#}");
    assert!(
        files(&after).iter().all(|file| file["sort_order"] == 1),
        "{after:#}"
    );
    let nothing_left = compact(&lake, TABLE, &["--table-order"]);
    assert_eq!(
        nothing_left["pieces"],
        json!([]),
        "manifests say that they are in order"
    );

    compact(&lake, TABLE, &["--z-order", "customer,at"]);
    let after = reader(&lake, &["look"]);
    assert_eq!(after["counted"], before["counted"]);
    assert!(
        files(&after).iter().all(|file| file["sort_order"].is_null()),
        "{after:#}"
    );
}

#[test]
fn what_has_no_order_is_told() {
    let (lake, before) = made(&[]);
    for (arguments, says) in [
        (
            ["--sort", "client"],
            "the table has no column `client`; it has id, region",
        ),
        (["--z-order", "tags"], "`tags` has no order"),
        (["--sort", "more"], "`more` has no order"),
    ] {
        let output = lake.tabletopic(&[&["compact", TABLE][..], &arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(says),
            "{arguments:?}: {said}"
        );
    }
    let output = lake.tabletopic(&["compact", "shop.returns", "--table-order"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the table has no sort order"), "{said}");
    assert_eq!(reader(&lake, &["look"])["counted"], before["counted"]);
}
