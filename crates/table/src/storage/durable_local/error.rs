//! Failures of the file system, with the path and what to do.

use std::io::{self, ErrorKind};
use std::path::Path;

use object_store::Error;

#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}; {advice}")]
struct FileError {
    action: &'static str,
    path: String,
    advice: &'static str,
    source: io::Error,
}

/// The store's error for one of the file system.
pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    let kind = source.kind();
    let path = path.display().to_string();
    let source = Box::new(FileError {
        action,
        path: path.clone(),
        advice: advice(kind),
        source,
    });
    match kind {
        ErrorKind::NotFound => Error::NotFound { path, source },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
        _ => Error::Generic {
            store: "DurableLocal",
            source,
        },
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull => "free space on the file system, or move the warehouse to a larger one",
        ErrorKind::QuotaExceeded => "raise the quota, or free space",
        ErrorKind::PermissionDenied => "give this process's user the right to write there",
        ErrorKind::ReadOnlyFilesystem => "mount the file system writable",
        ErrorKind::NotADirectory => "remove or rename the file that has a folder's name",
        ErrorKind::NotFound => "something removed the folder while a file was written to it",
        ErrorKind::AlreadyExists => "another writer was first",
        ErrorKind::InvalidFilename => "shorten the name",
        ErrorKind::StaleNetworkFileHandle => "check the mount, and mount it again",
        ErrorKind::Unsupported => "the file system lacks this operation; put the warehouse on another one",
        _ => "check the disk or the mount, and the system's log",
    }
}
