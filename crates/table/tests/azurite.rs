//! Files in Azure's store, as Azurite plays it. Run by `make test-full`.

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
use tabletopic_testkit::{AZURITE_KEY, Azurite};

#[tokio::test]
#[ignore = "make test-full: it needs Azurite, which make parts does not install"]
async fn files_are_written_in_one_piece_and_in_parts_and_read_and_deleted() {
    let store = Azurite::start();
    let properties = [
        ("adls.endpoint", store.endpoint.as_str()),
        ("adls.account-key", AZURITE_KEY),
        ("adls.write.access-tier", "Cool"),
        ("adls.write.tags.team", "lake"),
    ];
    let properties: BTreeMap<String, String> = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let warehouse = store.location("warehouse");
    let counts = Arc::new(RequestCounts::default());
    let settings = StorageSettings::new(&warehouse, &properties).unwrap();
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
