//! What the process knows of itself, for progress lines and for whoever asks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tabletopic_offsets::TableState;

use crate::halts::Halts;

/// Shared by all threads; written once per batch or commit, never per record.
#[derive(Debug, Default)]
pub struct Status {
    /// Records handed out by the sources of this process.
    pub records: AtomicU64,
    pub halts: Halts,
    tables: Mutex<BTreeMap<TableIdent, TableStatus>>,
}

/// A table as its committer saw it last.
#[derive(Debug, Clone)]
pub struct TableStatus {
    pub state: TableState,
    /// The last commit of this process that added rows or offsets.
    pub last_commit: Option<LastCommit>,
    pub commits: u64,
    /// Units that were dropped and read again.
    pub dropped: u64,
}

#[derive(Debug, Clone, Copy)]
pub struct LastCommit {
    pub snapshot_id: i64,
    pub at: Millis,
    pub rows: u64,
}

impl Status {
    pub fn add_records(&self, records: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Notes what a table holds.
    pub fn saw(&self, table: &TableIdent, state: &TableState) {
        let mut tables = self.lock();
        match tables.get_mut(table) {
            Some(status) => status.state = state.clone(),
            None => {
                let status = TableStatus {
                    state: state.clone(),
                    last_commit: None,
                    commits: 0,
                    dropped: 0,
                };
                tables.insert(table.clone(), status);
            }
        }
    }

    pub fn committed(&self, table: &TableIdent, commit: LastCommit) {
        if let Some(status) = self.lock().get_mut(table) {
            status.commits += 1;
            status.last_commit = Some(commit);
        }
    }

    pub fn dropped(&self, table: &TableIdent) {
        if let Some(status) = self.lock().get_mut(table) {
            status.dropped += 1;
        }
    }

    pub fn tables(&self) -> BTreeMap<TableIdent, TableStatus> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TableIdent, TableStatus>> {
        self.tables
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
