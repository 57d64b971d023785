//! The counters of a snapshot's summary: what it added and what the table holds in total.
//!
//! Names and meaning are those of the Iceberg specification, appendix F ("optional snapshot summary fields").
//! Totals follow from the parent's; a parent without a total (some writers leave them out) ends the chain, since
//! a wrong total is worse than none.

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{DataContentType, DataFile, Struct};

use super::cluster::Clustered;

/// What is counted of a file.
type Measure = fn(&DataFile) -> u64;

/// A kind of files or rows that is counted: under which names, and what of a file.
struct Counter {
    added: &'static str,
    removed: &'static str,
    total: &'static str,
    of: Measure,
}

const COUNTERS: [Counter; 6] = [
    Counter {
        added: "added-data-files",
        removed: "deleted-data-files",
        total: "total-data-files",
        of: |file| u64::from(file.content_type() == DataContentType::Data),
    },
    Counter {
        added: "added-records",
        removed: "deleted-records",
        total: "total-records",
        of: |file| rows(file, DataContentType::Data),
    },
    Counter {
        added: "added-files-size",
        removed: "removed-files-size",
        total: "total-files-size",
        of: bytes,
    },
    Counter {
        added: "added-delete-files",
        removed: "removed-delete-files",
        total: "total-delete-files",
        of: |file| u64::from(file.content_type() != DataContentType::Data),
    },
    Counter {
        added: "added-position-deletes",
        removed: "removed-position-deletes",
        total: "total-position-deletes",
        of: |file| rows(file, DataContentType::PositionDeletes),
    },
    Counter {
        added: "added-equality-deletes",
        removed: "removed-equality-deletes",
        total: "total-equality-deletes",
        of: |file| rows(file, DataContentType::EqualityDeletes),
    },
];

/// Of a deletion vector its own bytes: the Puffin file may hold others.
fn bytes(file: &DataFile) -> u64 {
    let own = file
        .content_size_in_bytes()
        .and_then(|bytes| u64::try_from(bytes).ok());
    own.unwrap_or_else(|| file.file_size_in_bytes())
}

fn rows(file: &DataFile, content: DataContentType) -> u64 {
    match file.content_type() == content {
        true => file.record_count(),
        false => 0,
    }
}

/// Properties for a snapshot that adds the files `added` and removes `removed` on top of `parent`.
pub fn counters(
    parent: Option<&HashMap<String, String>>,
    added: &[&DataFile],
    removed: &[&DataFile],
) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let changed: HashSet<&Struct> = added.iter().chain(removed).map(|file| file.partition()).collect();
    properties.insert("changed-partition-count".to_owned(), changed.len().to_string());
    for counter in COUNTERS {
        let plus: u64 = added.iter().map(|file| (counter.of)(file)).sum();
        let minus: u64 = removed.iter().map(|file| (counter.of)(file)).sum();
        for (name, count) in [(counter.added, plus), (counter.removed, minus)] {
            if count > 0 {
                properties.insert(name.to_owned(), count.to_string());
            }
        }
        if let Some(before) = total_of(parent, counter.total) {
            let total = before.checked_add(plus).and_then(|sum| sum.checked_sub(minus));
            if let Some(total) = total {
                properties.insert(counter.total.to_owned(), total.to_string());
            }
        }
    }
    properties
}

/// Properties for a snapshot that puts manifests in the place of others, as Iceberg's `RewriteManifests` writes them.
pub fn of_manifests(clustered: &Clustered, kept: usize) -> BTreeMap<String, String> {
    if clustered.is_empty() {
        return BTreeMap::new();
    }
    let counts = [
        ("manifests-created", clustered.written.len() as u64),
        ("manifests-kept", kept as u64),
        ("manifests-replaced", clustered.replaced.len() as u64),
        ("entries-processed", clustered.entries()),
    ];
    let property = |(name, count): (&str, u64)| (name.to_owned(), count.to_string());
    counts.map(property).into()
}

/// The parent's total; zero where there is no parent.
fn total_of(parent: Option<&HashMap<String, String>>, name: &str) -> Option<u64> {
    match parent {
        Some(summary) => summary.get(name)?.parse().ok(),
        None => Some(0),
    }
}
