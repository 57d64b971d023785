//! A file on its way to its name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use object_store::{PutPayload, Result};

use super::error::failed;

/// Makes temporary names of one process distinct.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The temporary file, removed when dropped unless it was published.
///
/// It is named like the file with `#` and digits behind it: a name that no table has, that `LocalFileSystem` does not
/// open, and by which an operator can tell what a crash left behind.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    temporary: PathBuf,
    name: PathBuf,
    written: AtomicU64,
    published: AtomicBool,
}

impl Staged {
    /// Makes the folder too, durably, if there is none.
    pub(super) fn create(name: PathBuf) -> Result<Self> {
        loop {
            let mut temporary = name.clone().into_os_string();
            temporary.push(format!(
                "#{}{:06}",
                process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ));
            let temporary = PathBuf::from(temporary);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    let (written, published) = (AtomicU64::new(0), AtomicBool::new(false));
                    return Ok(Self {
                        file,
                        temporary,
                        name,
                        written,
                        published,
                    });
                }
                // A process of another host, or one long dead, has used this name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => make_folder(folder_of(&name))?,
                Err(error) => return Err(failed("create", &temporary, error)),
            }
        }
    }

    /// Parts may be written at once from several threads.
    pub(super) fn write_at(&self, payload: &PutPayload, mut at: u64) -> Result<()> {
        for chunk in payload {
            self.file
                .write_all_at(chunk, at)
                .map_err(|error| failed("write", &self.name, error))?;
            at += chunk.len() as u64;
            self.written.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Takes the name, whether or not a file has it.
    pub(super) fn replace(&self) -> Result<()> {
        self.sync()?;
        fs::rename(&self.temporary, &self.name)
            .map_err(|error| failed("rename a file to", &self.name, error))?;
        self.published.store(true, Ordering::SeqCst);
        sync_folder(folder_of(&self.name))
    }

    /// Takes the name if no file has it; of several that try at once, one gets it. The temporary name goes
    /// with the value.
    pub(super) fn create_only(&self) -> Result<()> {
        self.sync()?;
        fs::hard_link(&self.temporary, &self.name).map_err(|error| failed("create", &self.name, error))?;
        sync_folder(folder_of(&self.name))
    }

    fn sync(&self) -> Result<()> {
        // After a failed sync the kernel forgets which pages were lost, so that a second one proves nothing:
        // the file is given up.
        self.file
            .sync_all()
            .map_err(|error| failed("sync", &self.name, error))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !*self.published.get_mut()
            && let Err(error) = fs::remove_file(&self.temporary)
        {
            tracing::warn!(file = %self.temporary.display(), %error, "a temporary file stays behind; remove it");
        }
    }
}

fn folder_of(name: &Path) -> &Path {
    name.parent().unwrap_or(Path::new("/"))
}

/// Makes a folder and those above it, and syncs each entry. Also what another process made a moment ago is
/// synced, for it may not have come to that yet.
fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|ancestor| !ancestor.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("make the folder", folder, error));
            }
            _ => sync_folder(folder_of(folder))?,
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| failed("sync the folder", folder, error))
}
