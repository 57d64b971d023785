//! `[storage]`, and the examples of warehouses in stores.

use super::*;

#[test]
fn a_warehouse_may_be_in_a_store_whose_properties_are_iceberg_s() {
    let text = SMALLEST.replace("\"lake/warehouse\"", "\"s3://bucket/lake/\"");
    let storage = "\n[storage]\ns3.endpoint = \"http://minio:9000\"\ns3.path-style-access = true\n\
                   s3.access-key-id = \"AKIA\"\ns3.secret-access-key = \"${env:SECRET}\"\n\
                   s3.write.tags.team = \"lake\"\n";
    let config = parse_with(&format!("{text}{storage}"), &|name| {
        (name == "SECRET").then(|| "wJalr".to_owned())
    });
    let config = config.unwrap();
    assert_eq!(
        config.catalog.warehouse,
        Warehouse::Uri("s3://bucket/lake".to_owned())
    );
    let shown = format!("{config:?}");
    assert!(shown.contains("minio") && shown.contains("AKIA"), "{shown}");
    assert!(!shown.contains("wJalr"), "{shown}");

    let refused = parse(&format!("{text}\n[storage]\ns3.secret-access-key = \"wJalr\"\n")).unwrap_err();
    assert!(
        refused.contains("storage.s3.secret-access-key: is one of two"),
        "{refused}"
    );
    assert!(!refused.contains("wJalr"), "{refused}");
}

#[test]
fn the_examples_of_stores_work() {
    let examples = [
        (include_str!("../../../../examples/s3/tabletopic.toml"), "s3://"),
        (
            include_str!("../../../../examples/s3-compatible/tabletopic.toml"),
            "s3://",
        ),
        (include_str!("../../../../examples/gcs/tabletopic.toml"), "gs://"),
        (
            include_str!("../../../../examples/azure/tabletopic.toml"),
            "abfss://",
        ),
    ];
    for (example, scheme) in examples {
        let config = parse_with(example, &|name| Some(format!("the value of {name}"))).unwrap();
        match &config.catalog.warehouse {
            Warehouse::Uri(uri) => assert!(uri.starts_with(scheme), "{uri}"),
            other => panic!("{other:?}"),
        }
    }
    let mounted = parse(include_str!("../../../../examples/mounted/tabletopic.toml")).unwrap();
    assert_eq!(mounted.storage, Storage::Warehouse(StorageSettings::Local.into()));
}
