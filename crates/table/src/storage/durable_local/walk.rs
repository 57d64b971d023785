//! All files below a folder, links not followed.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::{Path as FilePath, PathBuf};

use futures::stream::{BoxStream, StreamExt, unfold};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use tokio::sync::mpsc::{Sender, channel};

use super::error::failed;

/// Files that are listed ahead of who asks for them.
const AHEAD: usize = 1024;

/// `prefix` is the folder's name in the store. A folder that is not there has no files.
pub(super) fn below(folder: PathBuf, prefix: Path) -> BoxStream<'static, Result<ObjectMeta>> {
    let (found, listed) = channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = walk(folder, prefix, &found) {
            // Nobody listens any more: nobody wants to know.
            let _ = found.blocking_send(Err(error));
        }
    });
    unfold(listed, |mut listed| async {
        listed.recv().await.map(|file| (file, listed))
    })
    .boxed()
}

fn walk(folder: PathBuf, prefix: Path, found: &Sender<Result<ObjectMeta>>) -> Result<()> {
    let mut folders = vec![(folder, prefix)];
    while let Some((folder, prefix)) = folders.pop() {
        let unlisted = |error| failed("list", &folder, error);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_no_folder(&error) => continue,
            Err(error) => return Err(unlisted(error)),
        };
        for entry in entries {
            let entry = entry.map_err(unlisted)?;
            let kind = entry.file_type().map_err(unlisted)?;
            let Some(location) = named(&prefix, &entry) else {
                let file = entry.path();
                tracing::warn!(file = %file.display(), "left alone: no file of a table has such a name");
                continue;
            };
            if kind.is_dir() {
                folders.push((entry.path(), location));
            } else if kind.is_file()
                && let Some(file) = described(&entry, location)?
                && found.blocking_send(Ok(file)).is_err()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Somebody removed it meanwhile, or it is a file.
fn is_no_folder(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The store's name of an entry, if it can have one.
fn named(prefix: &Path, entry: &DirEntry) -> Option<Path> {
    let name = entry.file_name();
    Path::parse(format!("{prefix}/{}", name.to_str()?)).ok()
}

/// `None` where it is gone meanwhile.
fn described(entry: &DirEntry, location: Path) -> Result<Option<ObjectMeta>> {
    let read = entry
        .metadata()
        .and_then(|metadata| Ok((metadata.modified()?, metadata.len())));
    let (modified, size) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("look at", FilePath::new(&entry.path()), error)),
    };
    Ok(Some(ObjectMeta {
        location,
        last_modified: modified.into(),
        size,
        e_tag: None,
        version: None,
    }))
}
