//! The totals in a snapshot's summary, against what is live (Iceberg specification, appendix F).

use iceberg::spec::{DataContentType, DataFile, SnapshotRef};

use crate::verify::verdict::Finding;

/// What the live files add up to.
#[derive(Debug, Default)]
pub struct Totals {
    data_files: u64,
    delete_files: u64,
    records: u64,
    position_deletes: u64,
    equality_deletes: u64,
    bytes: u64,
}

impl Totals {
    pub fn add(&mut self, file: &DataFile) {
        let rows = file.record_count();
        match file.content_type() {
            DataContentType::Data => {
                self.data_files += 1;
                self.records += rows;
            }
            DataContentType::PositionDeletes => {
                self.delete_files += 1;
                self.position_deletes += rows;
            }
            DataContentType::EqualityDeletes => {
                self.delete_files += 1;
                self.equality_deletes += rows;
            }
        }
        // Of a deletion vector its own bytes: the Puffin file may hold others.
        let own = file
            .content_size_in_bytes()
            .and_then(|bytes| u64::try_from(bytes).ok());
        self.bytes += own.unwrap_or_else(|| file.file_size_in_bytes());
    }

    /// Totals of the summary that are not true. Some writers leave some of them out.
    pub fn compare(&self, snapshot: &SnapshotRef) -> Vec<Finding> {
        let said = &snapshot.summary().additional_properties;
        let all = [
            ("total-data-files", self.data_files),
            ("total-delete-files", self.delete_files),
            ("total-records", self.records),
            ("total-position-deletes", self.position_deletes),
            ("total-equality-deletes", self.equality_deletes),
            ("total-files-size", self.bytes),
        ];
        let wrong = all.into_iter().filter_map(|(name, found)| {
            let text = said.get(name)?;
            (text.parse() != Ok(found)).then(|| {
                let says = format!(
                    "the summary of snapshot {} says {name} = {text}, and its manifests have {found}",
                    snapshot.snapshot_id()
                );
                Finding::failed("totals", says)
            })
        });
        wrong.collect()
    }
}
