//! The semantics that the rest of the program relies on, and what is left after a failure.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path as FilePath;
use std::process::Command;

use futures::TryStreamExt;
use object_store::{GetRange, ObjectStoreExt};
use tempfile::TempDir;

use super::*;

fn store() -> (TempDir, DurableLocal) {
    let folder = TempDir::new().unwrap();
    let store = DurableLocal::under(folder.path()).unwrap();
    (folder, store)
}

fn path(name: &str) -> Path {
    Path::parse(name).unwrap()
}

/// Every file below a folder, temporary ones too.
fn files(folder: &FilePath) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            found.extend(
                files(&entry.path())
                    .into_iter()
                    .map(|file| format!("{name}/{file}")),
            );
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

async fn contents(store: &DurableLocal, name: &str) -> Bytes {
    store.get(&path(name)).await.unwrap().bytes().await.unwrap()
}

async fn listed(store: &DurableLocal, prefix: &str) -> Vec<String> {
    let list = store
        .list(Some(&path(prefix)))
        .map_ok(|meta| meta.location.to_string());
    let mut names: Vec<String> = list.try_collect().await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_put_is_read_listed_and_deleted() {
    let (folder, store) = store();
    for (name, bytes) in [
        ("t/data/a=1/x", "first"),
        ("t/data/a=2/y z%2F", "second"),
        ("t/meta", ""),
    ] {
        store.put(&path(name), bytes.into()).await.unwrap();
        assert_eq!(contents(&store, name).await, bytes);
        assert_eq!(store.head(&path(name)).await.unwrap().size, bytes.len() as u64);
    }
    store.put(&path("t/meta"), "replaced".into()).await.unwrap();
    assert_eq!(contents(&store, "t/meta").await, "replaced");
    assert_eq!(
        listed(&store, "t/data").await,
        ["t/data/a=1/x", "t/data/a=2/y z%2F"]
    );
    assert_eq!(
        files(folder.path()),
        ["t/data/a=1/x", "t/data/a=2/y z%2F", "t/meta"],
        "nothing temporary stays"
    );

    assert_eq!(store.get_range(&path("t/meta"), 2..5).await.unwrap(), "pla");
    let tail = GetOptions {
        range: Some(GetRange::Suffix(3)),
        ..Default::default()
    };
    assert_eq!(
        store
            .get_opts(&path("t/meta"), tail)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "ced"
    );
    let ranges = store.get_ranges(&path("t/meta"), &[0..1, 7..8]).await.unwrap();
    assert_eq!(ranges, ["r", "d"]);

    store.delete(&path("t/meta")).await.unwrap();
    assert!(matches!(
        store.get(&path("t/meta")).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        store.delete(&path("t/meta")).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn put_if_absent_has_one_winner() {
    let (folder, store) = store();
    for round in 0..50 {
        let name = path(&format!("t/metadata/{round}"));
        let puts = (0..4).map(|writer| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move {
                store
                    .put_opts(&name, format!("writer {writer}").into(), PutMode::Create.into())
                    .await
            })
        });
        let mut winners = Vec::new();
        for (writer, put) in puts.collect::<Vec<_>>().into_iter().enumerate() {
            match put.await.unwrap() {
                Ok(_) => winners.push(writer),
                Err(Error::AlreadyExists { path, .. }) => assert!(path.ends_with(name.as_ref()), "{path}"),
                Err(error) => panic!("{error}"),
            }
        }
        let [winner] = winners[..] else {
            panic!("round {round}: {winners:?} won")
        };
        assert_eq!(contents(&store, name.as_ref()).await, format!("writer {winner}"));
    }
    assert_eq!(files(folder.path()).len(), 50, "nothing temporary stays");
}

#[tokio::test]
async fn an_upload_is_visible_only_when_complete() {
    let (folder, store) = store();
    let name = path("t/data/large");
    let mut upload = store.put_multipart(&name).await.unwrap();
    let parts: Vec<_> = (0..3u8)
        .map(|part| upload.put_part(vec![part; 100_000].into()))
        .collect();
    // Out of order and at once: each part has its place.
    for part in futures::future::join_all(parts.into_iter().rev()).await {
        part.unwrap();
    }
    assert!(matches!(store.head(&name).await, Err(Error::NotFound { .. })));
    assert!(
        listed(&store, "t")
            .await
            .iter()
            .all(|name| name.starts_with("t/data/large#")),
        "only the temporary file is listed"
    );
    upload.complete().await.unwrap();
    let expected: Vec<u8> = (0..3u8).flat_map(|part| vec![part; 100_000]).collect();
    assert_eq!(contents(&store, "t/data/large").await, expected);
    assert_eq!(files(folder.path()), ["t/data/large"]);
}

#[tokio::test]
async fn an_upload_that_is_dropped_or_aborted_leaves_nothing() {
    let (folder, store) = store();
    let name = path("t/data/cut-off");
    let mut dropped = store.put_multipart(&name).await.unwrap();
    dropped.put_part("half".into()).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    drop(dropped);
    assert!(files(folder.path()).is_empty());

    let mut aborted = store.put_multipart(&name).await.unwrap();
    aborted.put_part("half".into()).await.unwrap();
    aborted.abort().await.unwrap();
    assert!(files(folder.path()).is_empty());
    assert!(aborted.complete().await.is_err());
    assert!(aborted.put_part("more".into()).await.is_err());
}

#[tokio::test]
async fn an_upload_with_an_unwritten_part_cannot_be_completed() {
    let (folder, store) = store();
    let mut upload = store.put_multipart(&path("t/holed")).await.unwrap();
    upload.put_part("written".into()).await.unwrap();
    drop(upload.put_part("never polled".into()));
    let error = upload.complete().await.unwrap_err().to_string();
    assert!(error.contains("7 of 19 bytes of t/holed"), "{error}");
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn what_a_crash_left_is_listed_and_not_in_the_way() {
    let (folder, store) = store();
    let staged = store.stage(&path("t/x")).await.unwrap();
    staged.write_at(&"torn".into(), 0).unwrap();
    // The process ends here: nothing is dropped.
    std::mem::forget(staged);
    assert_eq!(files(folder.path()).len(), 1);
    assert!(files(folder.path())[0].starts_with("t/x#"));
    let left = listed(&store, "t").await;
    assert_eq!(left, files(folder.path()));
    store.put(&path("t/x"), "whole".into()).await.unwrap();
    assert_eq!(listed(&store, "t").await, ["t/x", left[0].as_str()]);
    store.delete(&path(&left[0])).await.unwrap();
    assert_eq!(listed(&store, "t").await, ["t/x"]);
    assert_eq!(contents(&store, "t/x").await, "whole");
}

#[tokio::test]
async fn what_a_link_leads_to_is_not_listed() {
    let (folder, store) = store();
    store.put(&path("elsewhere/x"), "x".into()).await.unwrap();
    store.put(&path("t/y"), "y".into()).await.unwrap();
    symlink(folder.path().join("elsewhere"), folder.path().join("t/folder")).unwrap();
    symlink(folder.path().join("elsewhere/x"), folder.path().join("t/file")).unwrap();
    fs::write(folder.path().join("t/two\nlines"), "no location has a line's end").unwrap();
    assert_eq!(listed(&store, "t").await, ["t/y"]);
    assert!(listed(&store, "t/y").await.is_empty(), "a file is no folder");
    assert!(listed(&store, "t/never").await.is_empty());
}

#[tokio::test]
async fn a_copy_is_a_file_of_its_own() {
    let (_folder, store) = store();
    store.put(&path("a"), "one".into()).await.unwrap();
    store.copy(&path("a"), &path("deep/b")).await.unwrap();
    store.put(&path("a"), "two".into()).await.unwrap();
    assert_eq!(contents(&store, "deep/b").await, "one");
    let again = store.copy_if_not_exists(&path("a"), &path("deep/b")).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    store.rename(&path("a"), &path("c")).await.unwrap();
    assert_eq!(listed(&store, "").await, ["c", "deep/b"]);
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_named() {
    let (folder, store) = store();
    fs::write(folder.path().join("t"), "").unwrap();
    let error = store
        .put(&path("t/data/x"), "x".into())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/t/data/x") && error.contains("remove or rename the file"),
        "{error}"
    );
}

/// A file system of its own, unmounted at the end; `None` where this user may not mount.
struct Mounted(TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then_some(Self(folder))
    }

    fn remount_read_only(&self) {
        let remount = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.0.path())
            .output()
            .unwrap();
        assert!(remount.status.success(), "{remount:?}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmount = Command::new("umount").arg(self.0.path()).output();
        assert!(unmount.is_ok_and(|unmount| unmount.status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_partial_stays() {
    let Some(disk) = Mounted::tmpfs("size=1m") else {
        eprintln!("not checked: mounting a tmpfs takes root");
        return;
    };
    let store = DurableLocal::under(disk.0.path()).unwrap();
    store.put(&path("kept"), "kept".into()).await.unwrap();
    let error = store
        .put(&path("t/big"), vec![7; 2 << 20].into())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/t/big") && error.contains("free space"),
        "{error}"
    );

    let mut upload = store.put_multipart(&path("t/parts")).await.unwrap();
    let mut parts = Vec::new();
    for _ in 0..8 {
        parts.push(upload.put_part(vec![7; 256 << 10].into()).await);
    }
    assert!(parts.iter().any(|part| part.is_err()));
    assert!(
        upload.complete().await.is_err(),
        "an upload that missed a part must not become a file"
    );
    assert_eq!(files(disk.0.path()), ["kept"]);

    store.put(&path("t/small"), "fits".into()).await.unwrap();
    assert_eq!(contents(&store, "t/small").await, "fits");
    drop(store);
}

#[tokio::test]
async fn a_read_only_file_system_is_said() {
    let Some(disk) = Mounted::tmpfs("size=1m") else {
        eprintln!("not checked: mounting a tmpfs takes root");
        return;
    };
    let store = DurableLocal::under(disk.0.path()).unwrap();
    disk.remount_read_only();
    let error = store.put(&path("t/x"), "x".into()).await.unwrap_err().to_string();
    assert!(
        error.contains("/t") && error.contains("mount the file system writable"),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_without_permission_is_said() {
    let (folder, store) = store();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(closed.join("probe"), "").is_ok() {
        eprintln!("not checked: root may write anywhere");
        return;
    }
    let error = store.put(&path("closed/x"), "x".into()).await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
    assert!(error.to_string().contains("right to write"), "{error}");
}
