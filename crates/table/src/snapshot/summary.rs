//! The counters of a snapshot's summary: what it added and what the table holds in total.
//!
//! Names and meaning are those of the Iceberg specification, appendix F ("optional snapshot summary fields").
//! Totals follow from the parent's; a parent without a total (some writers leave them out) ends the chain, since
//! a wrong total is worse than none.

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{DataFile, Struct};

/// What is counted of a file.
type Measure = fn(&DataFile) -> u64;

/// Properties for a snapshot that adds `added` and removes `removed` data files on top of `parent`.
pub fn counters(
    parent: Option<&HashMap<String, String>>,
    added: &[&DataFile],
    removed: &[&DataFile],
) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let changed: HashSet<&Struct> = added.iter().chain(removed).map(|file| file.partition()).collect();
    properties.insert("changed-partition-count".to_owned(), changed.len().to_string());

    let measures: [(&str, &str, &str, Measure); 3] = [
        (
            "added-data-files",
            "deleted-data-files",
            "total-data-files",
            |_| 1,
        ),
        (
            "added-records",
            "deleted-records",
            "total-records",
            DataFile::record_count,
        ),
        (
            "added-files-size",
            "removed-files-size",
            "total-files-size",
            DataFile::file_size_in_bytes,
        ),
    ];
    for (add, remove, total, measure) in measures {
        let plus: u64 = added.iter().map(|file| measure(file)).sum();
        let minus: u64 = removed.iter().map(|file| measure(file)).sum();
        if !added.is_empty() {
            properties.insert(add.to_owned(), plus.to_string());
        }
        if !removed.is_empty() {
            properties.insert(remove.to_owned(), minus.to_string());
        }
        if let Some(before) = total_of(parent, total) {
            properties.insert(
                total.to_owned(),
                (before + plus).saturating_sub(minus).to_string(),
            );
        }
    }
    for total in [
        "total-delete-files",
        "total-position-deletes",
        "total-equality-deletes",
    ] {
        if let Some(before) = total_of(parent, total) {
            properties.insert(total.to_owned(), before.to_string());
        }
    }
    properties
}

/// The parent's total; zero where there is no parent.
fn total_of(parent: Option<&HashMap<String, String>>, name: &str) -> Option<u64> {
    match parent {
        Some(summary) => summary.get(name)?.parse().ok(),
        None => Some(0),
    }
}
