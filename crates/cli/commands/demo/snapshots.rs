//! The table as it tells its own story: each snapshot with the offsets that were committed with it.

use std::collections::BTreeMap;

use anyhow::Context;
use iceberg::TableIdent;
use iceberg::spec::TableMetadata;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_offsets::{Counts, Kind, Offset, OffsetRange, TableState};
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, TagState};

/// One snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub sequence_number: i64,
    pub id: i64,
    pub kind: Kind,
    /// What it added of each topic partition.
    pub ranges: BTreeMap<i32, OffsetRange>,
    pub counts: Counts,
    /// Columns that the table did not have before.
    pub new_columns: Vec<String>,
    /// The record that asked for them, such as `orders/1 offset 4711`.
    pub reason: String,
}

/// All snapshots of a table, oldest first.
///
/// # Errors
/// A snapshot that is not ours.
pub fn of(metadata: &TableMetadata) -> anyhow::Result<Vec<Snapshot>> {
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
    let mut known: Option<Vec<String>> = None;
    let mut told = Vec::new();
    for snapshot in snapshots {
        let id = snapshot.snapshot_id();
        let state = <TableState as TagState>::decode(&snapshot.summary().additional_properties)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("snapshot {id} can't be read"))?;
        let columns = columns(metadata, snapshot.schema_id());
        let new_columns = known.as_ref().map_or_else(Vec::new, |known| {
            columns
                .iter()
                .filter(|column| !known.contains(column))
                .cloned()
                .collect()
        });
        let mut counts = Counts::default();
        state.added.iter().for_each(|added| counts.add(added.counts));
        let mut entries = state.outbox.ledger.iter();
        let own = entries.rfind(|entry| entry.stamp.snapshot.snapshot_id == id);
        told.push(Snapshot {
            sequence_number: snapshot.sequence_number(),
            id,
            kind: state.kind,
            ranges: state
                .added
                .iter()
                .map(|added| (added.partition, added.range))
                .collect(),
            counts,
            new_columns,
            reason: own.map_or_else(String::new, |entry| entry.stamp.reason.clone()),
        });
        known = Some(columns);
    }
    Ok(told)
}

/// Partitions and ranges, such as `0:[120,250) 2:[80,90)`.
pub fn ranges(snapshot: &Snapshot) -> String {
    let ranges = snapshot.ranges.iter();
    let told: Vec<String> = ranges
        .map(|(partition, range)| format!("{partition}:[{},{})", range.start, range.end))
        .collect();
    told.join(" ")
}

fn columns(metadata: &TableMetadata, schema_id: Option<i32>) -> Vec<String> {
    let schema = schema_id.and_then(|id| metadata.schema_by_id(id));
    let schema = schema.unwrap_or_else(|| metadata.current_schema());
    let fields = schema.as_struct().fields().iter();
    fields.map(|field| field.name.clone()).collect()
}

/// Looks at a table that somebody else writes.
#[derive(Debug)]
pub struct Watch {
    lake: Lake,
    table: TableIdent,
    /// The sequence number of the last snapshot that was seen.
    seen: i64,
}

impl Watch {
    pub fn new(lake: Lake, table: TableIdent) -> Self {
        Self { lake, table, seen: 0 }
    }

    /// The table as it is now; `None` before it is there.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn table(&self) -> anyhow::Result<Option<LoadedTable>> {
        match self.lake.catalog.load(&self.table).await {
            Ok(table) => Ok(Some(table)),
            Err(CatalogError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The snapshots that were not seen before.
    ///
    /// # Errors
    /// As [`of`].
    pub fn news(&mut self, table: &LoadedTable) -> anyhow::Result<Vec<Snapshot>> {
        let mut snapshots = of(&table.metadata)?;
        snapshots.retain(|snapshot| snapshot.sequence_number > self.seen);
        if let Some(last) = snapshots.last() {
            self.seen = last.sequence_number;
        }
        Ok(snapshots)
    }
}

/// What a table accounts for, by its newest state.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub counts: Counts,
    /// Of each topic partition.
    pub ends: BTreeMap<i32, Offset>,
}

impl Held {
    /// # Errors
    /// A table that would halt.
    pub fn by(table: &LoadedTable) -> anyhow::Result<Self> {
        let base = Base::<TableState>::read(table.clone())?;
        let mut held = Self::default();
        let jobs = base.state().into_iter().flat_map(|state| state.jobs.values());
        for (number, partition) in jobs.flat_map(|job| &job.partitions) {
            held.counts.add(partition.counts);
            held.ends.insert(*number, partition.progress.live_end());
        }
        Ok(held)
    }

    /// Whether it accounts for everything up to these ends, by partition number.
    pub fn reaches(&self, ends: &[Offset]) -> bool {
        let reached = |(number, end): (i32, &Offset)| self.ends.get(&number).is_some_and(|held| held >= end);
        (0..).zip(ends).all(reached)
    }

    /// Records, as rows or set aside.
    pub fn records(&self) -> u64 {
        self.counts.offsets()
    }

    /// How many offsets the ranges span. A topic without transactions or compaction has a record at each.
    pub fn offsets(&self) -> u64 {
        self.ends.values().map(|end| end.unsigned_abs()).sum()
    }
}
