//! Files in Azure's store, by Azurite, which stands for it. It is not among what `make parts` installs: start
//! `azurite-blob --skipApiVersionCheck`, make a container `lake`, and run this by
//! `TABLETOPIC_TEST_AZURITE=http://127.0.0.1:10000/devstoreaccount1 cargo test --workspace --test azurite -- --ignored`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iceberg::ErrorKind;
use tabletopic_table::storage::{RequestCounts, RequestKind, StorageSettings};

/// Azurite's own, which is everybody's.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[tokio::test]
#[ignore = "needs Azurite"]
async fn files_are_written_in_one_piece_and_in_parts_and_read_and_deleted() {
    let endpoint = std::env::var("TABLETOPIC_TEST_AZURITE").expect("see the head of this file");
    let properties = [
        ("adls.endpoint", endpoint.as_str()),
        ("adls.account-key", AZURITE_KEY),
        ("adls.write.access-tier", "Cool"),
        ("adls.write.tags.team", "lake"),
    ];
    let properties: BTreeMap<String, String> = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let warehouse = "abfss://lake@devstoreaccount1.dfs.core.windows.net/warehouse";
    let counts = Arc::new(RequestCounts::default());
    let settings = StorageSettings::new(warehouse, &properties).unwrap();
    let files = settings.open(&|_| None, counts.clone()).unwrap().file_io;

    let small = format!("{warehouse}/t/metadata/v 1%2F.json");
    let large = format!("{warehouse}/t/data/large");
    assert!(!files.exists(&small).await.unwrap());
    let missing = files.new_input(&small).unwrap().read().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::DataInvalid);
    let many: Bytes = (0..40u32 << 20).map(|at| (at >> 12) as u8).collect();
    for (location, content) in [(&small, Bytes::from("0123456789")), (&large, many)] {
        let output = files.new_output(location).unwrap();
        output.write(content.clone()).await.unwrap();
        let input = files.new_input(location).unwrap();
        assert_eq!(input.metadata().await.unwrap().size, content.len() as u64);
        assert_eq!(input.read().await.unwrap(), content);
        let reader = input.reader().await.unwrap();
        assert_eq!(reader.read(3..9).await.unwrap(), content.slice(3..9));
    }
    assert!(counts.of(RequestKind::Multipart).bytes >= 40 << 20);
    files.delete(&small).await.unwrap();
    files.delete(&small).await.unwrap();
    files.delete_prefix(format!("{warehouse}/t")).await.unwrap();
    assert!(!files.exists(&large).await.unwrap());
}
