//! Reads the ledger back, newest entries first: what was drained from the table, the rest from the outbox.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use iceberg::expr::{Predicate, Reference};
use iceberg::spec::Datum;
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_offsets::{
    Counts, Follower, JobId, Kind, LedgerEntry, LedgerRange, OffsetRange, Recorded, SnapshotRef, TableState,
};

use crate::commit::{Base, CommitError, Tagged, check_standing};
use crate::follower::{FollowerState, ident};
use crate::lake::Lake;
use crate::rows::iceberg_table;

/// Sequence numbers of the main table that are read at once. Each has at most a row for each topic partition.
const WINDOW: i64 = 1_000;

/// All that was recorded of a main table.
#[derive(Debug)]
pub struct Ledger<'a> {
    lake: &'a Lake,
    table: Option<LoadedTable>,
    /// Entries up to this sequence number are in the table.
    drained: i64,
    pending: &'a [LedgerEntry],
}

impl<'a> Ledger<'a> {
    /// Opens the ledger of `main`, whose newest state is `tagged`.
    ///
    /// # Errors
    /// Halts of the ledger: rolled back, standing where `main` never was, or filled from another table.
    pub async fn open(
        lake: &'a Lake,
        main: &Base<TableState>,
        tagged: &'a Tagged<TableState>,
    ) -> Result<Self, CommitError> {
        let table = ident(&main.table.ident, Follower::Ledger);
        let pending = &tagged.state.outbox.ledger;
        let loaded = match lake.catalog.load(&table).await {
            // Somebody has dropped it: all that is left of it waits.
            Err(CatalogError::NotFound { .. }) => {
                return Ok(Self {
                    lake,
                    table: None,
                    drained: 0,
                    pending,
                });
            }
            loaded => loaded?,
        };
        let ledger = Base::<FollowerState>::read(loaded)?;
        check_standing(lake, &ledger).await?;
        let drained = match ledger.state() {
            Some(state) => state.stands(&table, main, tagged, Follower::Ledger)?,
            None => 0,
        };
        Ok(Self {
            lake,
            table: Some(ledger.table),
            drained,
            pending,
        })
    }

    /// The newest entries whose sequence numbers are not above `reach`, newest first; none if there are no older ones.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn newest(&self, reach: i64) -> Result<Vec<Recorded>, CommitError> {
        let above = |entry: &&LedgerEntry| {
            let number = entry.stamp.snapshot.sequence_number;
            self.drained < number && number <= reach
        };
        let pending: Vec<Recorded> = self
            .pending
            .iter()
            .rev()
            .filter(above)
            .map(Recorded::from)
            .collect();
        if !pending.is_empty() {
            return Ok(pending);
        }
        let mut upper = reach.min(self.drained);
        while upper > 0 {
            let number = || Reference::new("sequence_number");
            let lower = upper - WINDOW;
            let window = number()
                .greater_than(Datum::long(lower))
                .and(number().less_than_or_equal_to(Datum::long(upper)));
            let entries = self.scan(window).await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            upper = lower;
        }
        Ok(Vec::new())
    }

    /// The entries above one sequence number and up to another, oldest first.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn between(&self, above: i64, up_to: i64) -> Result<Vec<Recorded>, CommitError> {
        let number = || Reference::new("sequence_number");
        let window = number()
            .greater_than(Datum::long(above))
            .and(number().less_than_or_equal_to(Datum::long(up_to.min(self.drained))));
        let mut entries = match above < self.drained {
            true => self.scan(window).await?,
            false => Vec::new(),
        };
        entries.reverse();
        let pending = self.waiting().filter(|entry| {
            let number = entry.stamp.snapshot.sequence_number;
            above < number && number <= up_to
        });
        entries.extend(pending.map(Recorded::from));
        Ok(entries)
    }

    /// All entries of these kinds.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn of_kinds(&self, kinds: &[Kind]) -> Result<Vec<Recorded>, CommitError> {
        let names = kinds
            .iter()
            .map(|kind| Reference::new("kind").equal_to(Datum::string(kind.name())));
        let rows = names.reduce(Predicate::or).unwrap_or(Predicate::AlwaysFalse);
        let mut entries = self.scan(rows).await?;
        // One that has drained a newer state has its entries as well.
        let pending = self.waiting().filter(|entry| kinds.contains(&entry.kind));
        entries.extend(pending.map(Recorded::from));
        Ok(entries)
    }

    /// The entries that count anything of one topic partition's offsets, with these of their ranges.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn of_offsets(
        &self,
        job: &JobId,
        partition: i32,
        offsets: OffsetRange,
    ) -> Result<Vec<Recorded>, CommitError> {
        let rows = Reference::new("job")
            .equal_to(Datum::string(job.as_str()))
            .and(Reference::new("partition").equal_to(Datum::int(partition)))
            .and(Reference::new("start_offset").less_than(Datum::long(offsets.end)))
            .and(Reference::new("end_offset").greater_than(Datum::long(offsets.start)));
        let mut entries = self.scan(rows).await?;
        let wanted = |range: &LedgerRange| {
            range.job == *job && range.partition == partition && range.range.intersection(offsets).is_some()
        };
        for entry in self.waiting().filter(|entry| entry.ranges.iter().any(wanted)) {
            let mut entry = Recorded::from(entry);
            entry.ranges.retain(wanted);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Whether there is a ledger: without one, all that is known is what waits for it.
    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// What the table does not have yet.
    fn waiting(&self) -> impl Iterator<Item = &'a LedgerEntry> {
        let drained = self.drained;
        let pending = self.pending.iter();
        pending.filter(move |entry| entry.stamp.snapshot.sequence_number > drained)
    }

    /// What was taken back because a log was cut.
    ///
    /// # Errors
    /// Those of reading the ledger.
    pub async fn replaced(&self) -> Result<Vec<Recorded>, CommitError> {
        let pending = self.pending.iter().filter(|entry| entry.kind == Kind::Replace);
        let mut replaced = self.scan(is_replaced()).await?;
        replaced.extend(pending.map(Recorded::from));
        Ok(replaced)
    }

    async fn scan(&self, rows: Predicate) -> Result<Vec<Recorded>, CommitError> {
        match &self.table {
            Some(table) => scan(self.lake, table, rows).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Rows of the kind that takes rows back.
pub(super) fn is_replaced() -> Predicate {
    Reference::new("kind").equal_to(Datum::string(Kind::Replace.name()))
}

/// The entries of a ledger table whose rows meet a condition, newest first.
pub(super) async fn scan(
    lake: &Lake,
    ledger: &LoadedTable,
    rows: Predicate,
) -> Result<Vec<Recorded>, CommitError> {
    let mut entries = BTreeMap::new();
    if ledger.metadata.current_snapshot().is_some() {
        let scan = iceberg_table(lake, ledger)?
            .scan()
            .select(COLUMNS)
            .with_filter(rows)
            .build()?;
        let mut batches = scan.to_arrow().await?;
        while let Some(batch) = batches.try_next().await? {
            add(&batch, &mut entries)
                .map_err(|why| CommitError::Encode(format!("table {}: {why}", ledger.ident)))?;
        }
    }
    let mut entries: Vec<Recorded> = entries.into_values().rev().collect();
    for entry in &mut entries {
        entry.ranges.sort_by(|left, right| key(left).cmp(&key(right)));
    }
    Ok(entries)
}

/// The order in which a state lists what it added.
fn key(range: &LedgerRange) -> (&JobId, i32, OffsetRange) {
    (&range.job, range.partition, range.range)
}

const COLUMNS: [&str; 14] = [
    "sequence_number",
    "snapshot_id",
    "abandons_since",
    "partition",
    "start_offset",
    "end_offset",
    "rows",
    "dead_letters",
    "filtered",
    "lost",
    "kind",
    "job",
    "topic",
    "topic_id",
];

/// A promote has entries of several kinds.
fn add(batch: &RecordBatch, entries: &mut BTreeMap<(SnapshotRef, Kind), Recorded>) -> Result<(), String> {
    // Anybody may widen a column as Iceberg allows.
    let column = |name: &str, ty: &DataType| {
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| format!("it has no column `{name}`"))?;
        cast(column, ty).map_err(|error| format!("its column `{name}` can't be read: {error}"))
    };
    let mut numbers = BTreeMap::<&str, ArrayRef>::new();
    for name in &COLUMNS[..10] {
        numbers.insert(name, column(name, &DataType::Int64)?);
    }
    let mut texts = BTreeMap::<&str, ArrayRef>::new();
    for name in &COLUMNS[10..] {
        texts.insert(name, column(name, &DataType::Utf8)?);
    }
    for row in 0..batch.num_rows() {
        let number = |name: &str| {
            let values = numbers[name].as_primitive::<Int64Type>();
            values.is_valid(row).then(|| values.value(row))
        };
        let text = |name: &str| {
            let values = texts[name].as_string::<i32>();
            values.is_valid(row).then(|| values.value(row))
        };
        let count = |name: &str| {
            let value = number(name).unwrap_or_default();
            u64::try_from(value).map_err(|_| format!("its column `{name}` has {value}, which is no count"))
        };
        let snapshot = SnapshotRef {
            sequence_number: number("sequence_number").unwrap_or_default(),
            snapshot_id: number("snapshot_id").unwrap_or_default(),
        };
        let kind = text("kind").unwrap_or_default();
        let kind = Kind::from_name(kind).ok_or_else(|| {
            format!("snapshot {snapshot} is of the kind `{kind}`, which this version does not know")
        })?;
        let entry = entries.entry((snapshot, kind)).or_insert_with(|| Recorded {
            snapshot,
            kind,
            abandons_since: number("abandons_since"),
            ranges: Vec::new(),
        });
        let (Some(job), Some(partition), Some(start), Some(end)) = (
            text("job"),
            number("partition"),
            number("start_offset"),
            number("end_offset"),
        ) else {
            continue;
        };
        entry.ranges.push(LedgerRange {
            job: JobId::new(job),
            topic: text("topic").unwrap_or_default().into(),
            topic_id: text("topic_id").map(str::to_owned),
            partition: i32::try_from(partition).map_err(|_| format!("{partition} is no partition number"))?,
            range: OffsetRange::new(start, end),
            counts: Counts {
                rows: count("rows")?,
                dead_letters: count("dead_letters")?,
                filtered: count("filtered")?,
                lost: count("lost")?,
                offset_sum: 0,
            },
        });
    }
    Ok(())
}
