//! What merging costs: bytes, and the requests that a store bills. Pure; estimates, since only the files themselves tell
//! how they are laid out.

use std::collections::HashMap;
use std::ops::AddAssign;

use serde::Serialize;
use tabletopic_table::file::FileSettings;
use tabletopic_table::storage::requests_to_write;

use super::batches;
use super::choose::Piece;
use crate::survey::{Survey, Tally};

/// Requests for the footer of a Parquet file: how long it is, and what is in it.
const FOOTER: u64 = 2;

/// What one commit reads beside manifests, and writes: the metadata file and the manifest list; a manifest and these.
const READ_BY_COMMIT: u64 = 2;
const WRITTEN_BY_COMMIT: u64 = 3;

/// Requests to the store, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    pub get: u64,
    /// Parts of large files included.
    pub put: u64,
}

impl AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.get += other.get;
        self.put += other.put;
    }
}

/// What some pieces cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    pub pieces: u64,
    /// Data files that are read.
    pub data: Tally,
    /// Delete files that are read with them.
    pub deletes: Tally,
    /// Files that are written, about.
    pub writes: u64,
    pub commits: u64,
    pub requests: Requests,
}

impl Cost {
    /// Of pieces that were chosen from a survey for files of so many bytes.
    pub fn of(survey: &Survey, pieces: &[Piece], target: u64) -> Self {
        let mut cost = Self {
            pieces: pieces.len() as u64,
            ..Self::default()
        };
        let mut deletes = HashMap::<&str, u64>::new();
        for piece in pieces {
            let applied = piece
                .files
                .iter()
                .flat_map(|file| survey.deletes.of(file.data(&piece.place)));
            deletes.extend(applied.map(|delete| (delete.file.file_path(), delete.file.file_size_in_bytes())));
            cost.data += Tally {
                files: piece.files.len() as u64,
                bytes: piece.bytes,
            };
            let read = piece.files.iter().map(|file| requests_to_read(file.bytes));
            cost.requests.get += read.sum::<u64>();
            let writes = piece.makes(target);
            cost.writes += writes;
            cost.requests.put += writes * requests_to_write(piece.bytes / writes);
        }
        for bytes in deletes.into_values() {
            cost.deletes += Tally { files: 1, bytes };
            cost.requests.get += requests_to_read(bytes);
        }
        cost.commits = batches(pieces, target).len() as u64;
        cost.requests += Requests {
            get: cost.commits * (READ_BY_COMMIT + survey.manifests.len() as u64),
            put: cost.commits * WRITTEN_BY_COMMIT,
        };
        cost
    }
}

/// Requests that it takes to read a Parquet file: one for each row group, whose columns lie side by side.
fn requests_to_read(bytes: u64) -> u64 {
    FOOTER
        + bytes
            .div_ceil(FileSettings::default().row_group_size as u64)
            .max(1)
}
