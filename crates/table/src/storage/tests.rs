//! `FileIO` as the rest of the program uses it, over both stores.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use iceberg::ErrorKind;
use iceberg::io::FileIO;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;

fn open(store: Arc<dyn ObjectStore>, base_uri: &str) -> (FileIO, Arc<RequestCounts>) {
    let counts = Arc::new(RequestCounts::default());
    (file_io(store, base_uri, counts.clone()), counts)
}

async fn write(files: &FileIO, location: &str, bytes: impl Into<Bytes>) {
    files
        .new_output(location)
        .unwrap()
        .write(bytes.into())
        .await
        .unwrap();
}

/// What is below a folder, by location with its size.
async fn listed(listing: &dyn Listing, folder: &str) -> Vec<(String, u64)> {
    let files = listing.below(folder).map_ok(|file| (file.location, file.bytes));
    let mut files: Vec<_> = files.try_collect().await.unwrap();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_below_a_folder_is_listed_by_the_locations_that_tables_have() {
    let folder = TempDir::new().unwrap();
    let local = format!("file://{}", folder.path().display());
    let stores: [(Arc<dyn ObjectStore>, &str, String); 2] = [
        (
            Arc::new(InMemory::new()),
            "memory:///",
            "memory:///lake".to_owned(),
        ),
        (Arc::new(DurableLocal::new()), "file:///", local),
    ];
    for (store, base, root) in stores {
        let (files, _) = open(store.clone(), base);
        let counts = Arc::new(RequestCounts::default());
        let listing = listing(store, base, counts.clone());
        for name in ["t/metadata/v 1%2F.json", "t/data/x", "t2/y"] {
            write(&files, &format!("{root}/{name}"), "12345").await;
        }
        let expected = [
            (format!("{root}/t/data/x"), 5),
            (format!("{root}/t/metadata/v 1%2F.json"), 5),
        ];
        for spelled in [format!("{root}/t"), format!("{root}/t/")] {
            assert_eq!(listed(&*listing, &spelled).await, expected, "{spelled}");
        }
        assert!(listed(&*listing, &format!("{root}/never")).await.is_empty());
        assert_eq!(counts.of(RequestKind::List).requests, 3);
        for (location, _) in expected {
            assert!(files.exists(&location).await.unwrap(), "{location}");
        }
        let elsewhere = listing.below("s3://elsewhere/t").try_collect::<Vec<_>>().await;
        assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::DataInvalid);
    }
}

/// Files are written, read whole and by range, looked at and removed under `root`.
async fn files_come_and_go(files: &FileIO, root: &str) {
    let location = format!("{root}/t/metadata/v 1%2F.json");
    assert!(!files.exists(&location).await.unwrap());
    let missing = files.new_input(&location).unwrap().read().await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.retryable()),
        (ErrorKind::DataInvalid, false)
    );
    assert!(missing.to_string().contains(&location), "{missing}");

    write(files, &location, "0123456789").await;
    let input = files.new_input(&location).unwrap();
    assert!(input.exists().await.unwrap());
    assert_eq!(input.metadata().await.unwrap().size, 10);
    assert_eq!(input.read().await.unwrap(), "0123456789");
    let reader = input.reader().await.unwrap();
    assert_eq!(reader.read(3..6).await.unwrap(), "345");
    assert_eq!(reader.read(4..4).await.unwrap(), "");
    let short = reader.read(8..12).await.unwrap_err().to_string();
    assert!(
        short.contains("too short") && short.contains(&location),
        "{short}"
    );

    let mut writer = files
        .new_output(format!("{root}/t/data/large"))
        .unwrap()
        .writer()
        .await
        .unwrap();
    let block = Bytes::from(vec![1u8; 3 << 20]);
    for _ in 0..4 {
        writer.write(block.clone()).await.unwrap();
        assert!(
            !files.exists(format!("{root}/t/data/large")).await.unwrap(),
            "visible before it is closed"
        );
    }
    writer.close().await.unwrap();
    assert!(writer.close().await.is_err());
    assert!(writer.write(block).await.is_err());
    let large = files
        .new_input(format!("{root}/t/data/large"))
        .unwrap()
        .read()
        .await
        .unwrap();
    assert_eq!(large, vec![1u8; 12 << 20]);

    drop(
        files
            .new_output(format!("{root}/t/data/dropped"))
            .unwrap()
            .writer()
            .await
            .unwrap(),
    );
    assert!(!files.exists(format!("{root}/t/data/dropped")).await.unwrap());

    files.delete(&location).await.unwrap();
    files.delete(&location).await.unwrap();
    assert!(!files.exists(&location).await.unwrap());

    for name in ["t/data/a=1/x", "t/data/a=1/y", "t/data2/z", "t/data.json"] {
        write(files, &format!("{root}/{name}"), "x").await;
    }
    files.delete_prefix(format!("{root}/t/data")).await.unwrap();
    files.delete_prefix(format!("{root}/t/data.json")).await.unwrap();
    let left = [
        "t/data/large",
        "t/data/a=1/x",
        "t/data/a=1/y",
        "t/data2/z",
        "t/data.json",
    ];
    for (name, expected) in left.into_iter().zip([false, false, false, true, true]) {
        assert_eq!(
            files.exists(format!("{root}/{name}")).await.unwrap(),
            expected,
            "{name}"
        );
    }
    let rest = [
        format!("{root}/t/data2/z"),
        format!("{root}/t/data.json"),
        format!("{root}/never"),
    ];
    files
        .delete_stream(futures::stream::iter(rest.clone()).boxed())
        .await
        .unwrap();
    assert!(!files.exists(&rest[0]).await.unwrap());

    let elsewhere = files
        .new_input("s3://elsewhere/x")
        .unwrap()
        .read()
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::DataInvalid);
}

#[tokio::test]
async fn over_memory() {
    let (files, _) = open(Arc::new(InMemory::new()), "memory:///");
    files_come_and_go(&files, "memory:///warehouse").await;
}

#[tokio::test]
async fn over_a_durable_local_store() {
    let folder = TempDir::new().unwrap();
    let (files, _) = open(Arc::new(DurableLocal::new()), "file:///");
    let root = format!("file://{}", folder.path().display());
    files_come_and_go(&files, &root).await;

    write(&files, &format!("{root}/x"), "one file").await;
    for spelled in [
        format!("file:{}/x", folder.path().display()),
        format!("{}//x", folder.path().display()),
    ] {
        assert_eq!(
            files.new_input(&spelled).unwrap().read().await.unwrap(),
            "one file",
            "{spelled}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let (files, counts) = open(Arc::new(InMemory::new()), "memory:///");
    write(&files, "memory:///a", "12345").await;
    let input = files.new_input("memory:///a").unwrap();
    input.read().await.unwrap();
    input.reader().await.unwrap().read(1..3).await.unwrap();
    input.metadata().await.unwrap();
    assert!(!files.exists("memory:///b").await.unwrap());
    write(&files, "memory:///large", vec![0; 20 << 20]).await;
    files.delete_prefix("memory:///nothing").await.unwrap();
    files.delete("memory:///a").await.unwrap();
    let count = |requests, bytes| RequestCount { requests, bytes };
    assert_eq!(counts.of(RequestKind::Put), count(1, 5));
    assert_eq!(counts.of(RequestKind::Get), count(2, 7));
    assert_eq!(counts.of(RequestKind::Head), count(2, 0));
    assert_eq!(counts.of(RequestKind::List), count(1, 0));
    assert_eq!(counts.of(RequestKind::Delete), count(1, 0));
    assert_eq!(counts.of(RequestKind::Copy), count(0, 0));
    let multipart = counts.of(RequestKind::Multipart);
    assert_eq!(multipart.bytes, 20 << 20);
    assert!(
        multipart.requests >= 3,
        "a start, at least one part, and an end: {multipart:?}"
    );
}

#[tokio::test]
async fn an_open_store_cannot_be_sent_away() {
    let counts = Arc::new(RequestCounts::default());
    let store = open_store(
        Arc::new(InMemory::new()),
        "memory:///",
        counts,
        WriteOptions::default(),
    );
    let storage = ObjectStorage::new(Arc::new(OneStore(store)));
    let error = serde_json::to_string(&storage).unwrap_err().to_string();
    assert!(error.contains("file_io"), "{error}");
}

#[test]
fn a_store_that_says_not_found_of_something_else_may_say_so_only_now() {
    let error = |answer: &str| object_store::Error::NotFound {
        path: "x".to_owned(),
        source: answer.into(),
    };
    for (answer, missing) in [
        ("404 Not Found: ", true),
        ("404 Not Found: <Error><Code>NoSuchKey</Code></Error>", true),
        ("404 Not Found: <Error><Code>BlobNotFound</Code></Error>", true),
        ("404 Not Found: <Error><Code>NoSuchBucket</Code></Error>", false),
    ] {
        let failed = object_storage::failed("read", "s3://lake/x", error(answer));
        assert_eq!(failed.kind() == ErrorKind::DataInvalid, missing, "{answer}");
        assert_eq!(failed.retryable(), !missing, "{answer}");
    }
}
