//! Where the demo writes: one folder, which the next demo may replace. Nothing else is ever touched.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The folder is a demo's, and may be replaced. Locked while a demo writes there.
const MARK: &str = ".tabletopic-demo";
const CONFIG: &str = "tabletopic.toml";
const LOG: &str = "tabletopic.log";
const LAKE: &str = "lake";

const MARK_TEXT: &str =
    "The next `tabletopic demo` replaces this folder. Delete this file, and it will not.\n";

/// See the module.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held for its lock. `None` with `--keep`.
    _mark: Option<File>,
}

impl Folder {
    /// Takes `path` for this demo: makes it, or removes what an earlier demo left in it.
    ///
    /// # Errors
    /// It holds something that is not a demo's, another demo is writing to it, or the commands that open its tables would
    /// not work with its name. Nothing was changed then.
    pub fn claim(path: &Path, keep: bool) -> anyhow::Result<Self> {
        if !is_plain(path) {
            bail!(
                "{} can't be the demo's folder: programs that open its tables take a name with one of \" % ? # \\, with \
                 a line break, or with - at its beginning for something else; name another folder with --dir",
                path.display()
            );
        }
        fs::create_dir_all(path).with_context(|| format!("the folder {} can't be made", path.display()))?;
        let found = entries(path)?;
        if !found.is_empty() {
            replace(path, &found)?;
        }
        let mark = match keep {
            true => None,
            false => Some(mark(path)?),
        };
        Ok(Self {
            path: path.to_owned(),
            _mark: mark,
        })
    }

    /// As the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    pub fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    pub fn lake(&self) -> PathBuf {
        self.path.join(LAKE)
    }

    /// Writes the configuration that the demo's service runs with.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn configure(&self, bootstrap: &str) -> anyhow::Result<()> {
        let text = include_str!("tabletopic.toml").replace("BOOTSTRAP", bootstrap);
        let file = self.config();
        fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))
    }
}

/// Whether every reader takes the path for the path that it is, within a URI and on a command line.
fn is_plain(path: &Path) -> bool {
    let misread = |c: char| c.is_control() || "\"%?#\\".contains(c);
    path.to_str()
        .is_some_and(|text| !text.starts_with('-') && !text.contains(misread))
}

fn entries(path: &Path) -> anyhow::Result<Vec<OsString>> {
    let unreadable = || format!("the folder {} can't be read", path.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(path).with_context(unreadable)? {
        names.push(entry.with_context(unreadable)?.file_name());
    }
    Ok(names)
}

/// Removes what an earlier demo left, and nothing else.
fn replace(path: &Path, found: &[OsString]) -> anyhow::Result<()> {
    let shown = path.display();
    if !found.iter().any(|name| name == MARK) {
        bail!(
            "{shown} is not empty, and is not an earlier demo's to replace (or was kept with --keep): nothing was \
             changed; name another folder with --dir"
        );
    }
    if let Some(foreign) = found
        .iter()
        .find(|name| ![MARK, CONFIG, LOG, LAKE].iter().any(|ours| *name == ours))
    {
        bail!(
            "{shown} holds {}, which no demo wrote: nothing was changed; move it away, or name another folder with --dir",
            foreign.display()
        );
    }
    // Locked until everything is gone; the mark itself goes last, so that an interrupted removal goes on next time.
    let _mark = mark(path)?;
    for name in [LAKE, CONFIG, LOG, MARK] {
        let at = path.join(name);
        let removed = match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&at),
            Ok(_) => fs::remove_file(&at),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("{} of an earlier demo can't be removed", at.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the mark if it is not there, and locks it.
fn mark(path: &Path) -> anyhow::Result<File> {
    let at = path.join(MARK);
    let failed = || format!("{} can't be written", at.display());
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(&at)
        .with_context(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "another demo is writing to {}: wait for it, or name another folder with --dir",
            path.display()
        ),
        Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    if file.metadata().with_context(failed)?.len() == 0 {
        file.write_all(MARK_TEXT.as_bytes()).with_context(failed)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = entries(path)
            .unwrap()
            .into_iter()
            .map(|name| name.into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_earlier_demos_folder_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/demo");
        let first = Folder::claim(&path, false).unwrap();
        first.configure("127.0.0.1:1").unwrap();
        fs::create_dir(first.lake()).unwrap();
        fs::write(first.lake().join("catalog.db"), "old").unwrap();
        drop(first);
        Folder::claim(&path, false).unwrap();
        assert_eq!(names(&path), [MARK]);
    }

    #[test]
    fn what_is_not_a_demos_is_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let refused = Folder::claim(folder.path(), false).unwrap_err().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
        assert_eq!(names(folder.path()), ["notes.txt"]);

        fs::write(folder.path().join(MARK), "").unwrap();
        let refused = Folder::claim(folder.path(), false).unwrap_err().to_string();
        assert!(refused.contains("holds notes.txt"), "{refused}");
        assert_eq!(names(folder.path()), [MARK, "notes.txt"]);
    }

    #[test]
    fn names_that_readers_would_misread_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["100%", "a?b", "a#b", "a\"b", "a\\b", "a\nb"] {
            assert!(
                Folder::claim(&parent.path().join(name), false).is_err(),
                "{name:?}"
            );
        }
        assert!(Folder::claim(Path::new("-demo"), false).is_err());
        assert_eq!(names(parent.path()), [""; 0]);
        assert!(Folder::claim(&parent.path().join("my demo's größte"), false).is_ok());
    }

    #[test]
    fn what_was_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Folder::claim(folder.path(), true).unwrap();
        kept.configure("127.0.0.1:1").unwrap();
        drop(kept);
        let refused = Folder::claim(folder.path(), false).unwrap_err().to_string();
        assert!(refused.contains("--keep"), "{refused}");
        assert_eq!(names(folder.path()), [CONFIG]);
    }

    #[test]
    fn two_demos_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Folder::claim(folder.path(), false).unwrap();
        let refused = Folder::claim(folder.path(), false).unwrap_err().to_string();
        assert!(refused.contains("another demo"), "{refused}");
    }
}
