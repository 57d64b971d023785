//! The ledger: one row for each snapshot of ours, topic partition and range, and for each change of the table's schema
//! or partitions. Append-only; what an auditor reads,
//! in any engine, years after the snapshots themselves were expired.

mod read;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use iceberg::TableIdent;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::expr::Reference;
use iceberg::spec::{Datum, NestedField, PrimitiveType, Schema, TableMetadata, Type};
use tabletopic_offsets::{Follower, JobId, Kind, LedgerRange, LedgerRow, Outbox, RecordAt};

pub use read::Ledger;

use super::ident;
use crate::commit::CommitError;
use crate::lake::Lake;
use crate::schema::{SchemaChange, evolve};

/// Columns of `<table>__ledger`. Its first row is an anchor, unless it was begun anew (see the drain). A snapshot
/// without ranges (a renewal) is one row whose job, topic, partition and offsets are null; one that changed the table has a
/// row for each `change`, with the record that asked for it in job, topic, partition and `record_offset`.
/// `abandons_since` is set on rewinds and declared losses: our snapshots with sequence numbers between it and the row's
/// own are no longer in the table.
///
/// # Errors
/// None in practice: the schema is fixed.
pub fn schema() -> Result<Schema, iceberg::Error> {
    use PrimitiveType::{Int, Long, String, Timestamptz};
    let columns = [
        ("sequence_number", Long, true),
        ("snapshot_id", Long, true),
        ("kind", String, true),
        ("job", String, false),
        ("topic", String, false),
        ("topic_id", String, false),
        ("partition", Int, false),
        ("start_offset", Long, false),
        ("end_offset", Long, false),
        ("rows", Long, true),
        ("dead_letters", Long, true),
        ("filtered", Long, true),
        ("lost", Long, true),
        ("schema_id", Int, true),
        ("actor", String, true),
        ("reason", String, true),
        ("committed_at", Timestamptz, true),
        ("abandons_since", Long, false),
        ("change", String, false),
        ("record_offset", Long, false),
    ];
    let fields = columns.into_iter().zip(1..).map(|((name, ty, required), id)| {
        Arc::new(NestedField::new(id, name, Type::Primitive(ty), required))
    });
    Schema::builder().with_fields(fields).build()
}

/// The schema of a ledger that an earlier release has made, with the columns that it lacks; `None` where it has them.
///
/// # Errors
/// Somebody has given it a column of such a name and another type.
pub fn grown(metadata: &TableMetadata) -> Result<Option<Schema>, CommitError> {
    let schema = metadata.current_schema();
    let wanted = self::schema()?;
    let lacking = wanted.as_struct().fields().iter();
    let lacking = lacking.filter(|column| schema.field_by_name(&column.name).is_none());
    let changes: Vec<SchemaChange> = lacking
        .map(|column| SchemaChange::AddColumn {
            parent: Vec::new(),
            name: column.name.clone(),
            ty: (*column.field_type).clone(),
        })
        .collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let (grown, _) = evolve(schema, metadata.last_column_id(), &changes)
        .map_err(|error| CommitError::Encode(format!("the ledger can't take up its new columns: {error}")))?;
    Ok(Some(grown))
}

/// Ledger rows as a batch in the layout of [`schema`].
///
/// # Errors
/// None in practice: the columns are those of the schema.
pub fn batch(rows: &[LedgerRow<'_>]) -> Result<RecordBatch, CommitError> {
    let arrow: ArrowSchemaRef = Arc::new(schema_to_arrow_schema(&schema()?)?);
    let committed_at =
        TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.stamp.time_ms * 1000));
    let columns = vec![
        long(rows, |row| Some(row.stamp.snapshot.sequence_number)),
        long(rows, |row| Some(row.stamp.snapshot.snapshot_id)),
        text(rows, |row| Some(row.kind.name())),
        text(rows, |row| {
            about(row, |range| &range.job, |record| &record.job).map(JobId::as_str)
        }),
        text(rows, |row| {
            about(row, |range| &*range.topic, |record| &*record.topic)
        }),
        text(rows, |row| {
            about(row, |range| &range.topic_id, |record| &record.topic_id)?.as_deref()
        }),
        int(rows, |row| {
            about(row, |range| &range.partition, |record| &record.partition).copied()
        }),
        long(rows, |row| row.range.map(|range| range.range.start)),
        long(rows, |row| row.range.map(|range| range.range.end)),
        long(rows, |row| Some(counted(row, |range| range.counts.rows))),
        long(rows, |row| Some(counted(row, |range| range.counts.dead_letters))),
        long(rows, |row| Some(counted(row, |range| range.counts.filtered))),
        long(rows, |row| Some(counted(row, |range| range.counts.lost))),
        int(rows, |row| Some(row.stamp.schema_id)),
        text(rows, |row| Some(row.stamp.actor.as_str())),
        text(rows, |row| Some(row.stamp.reason.as_str())),
        Arc::new(committed_at.with_timezone("+00:00")),
        long(rows, |row| {
            row.stamp.abandons_since.map(|since| since.sequence_number)
        }),
        text(rows, |row| row.change),
        long(rows, |row| row.cause.map(|record| record.offset)),
    ];
    RecordBatch::try_new(arrow, columns).map_err(|error| CommitError::Encode(error.to_string()))
}

/// Whether a snapshot of ours above the sequence number `since` took rows back, or swapped some: by the ledger, and by what waits
/// for it.
///
/// # Errors
/// Those of loading and reading the ledger.
pub async fn took_back(
    lake: &Lake,
    main: &TableIdent,
    outbox: &Outbox,
    since: i64,
) -> Result<bool, CommitError> {
    let took = |kind| matches!(kind, Kind::Replace | Kind::Withdraw);
    let pending = outbox
        .ledger
        .iter()
        .any(|entry| took(entry.kind) && entry.stamp.snapshot.sequence_number > since);
    if pending {
        return Ok(true);
    }
    let ledger = lake.catalog.load(&ident(main, Follower::Ledger)).await?;
    let above = Reference::new("sequence_number").greater_than(Datum::long(since));
    let withdrawn = Reference::new("kind").equal_to(Datum::string(Kind::Withdraw.name()));
    let taken = read::is_replaced().or(withdrawn).and(above);
    Ok(!read::scan(lake, &ledger, taken).await?.is_empty())
}

/// What a row is about: its range, or the record that asked for its change.
fn about<'a, T: ?Sized>(
    row: &LedgerRow<'a>,
    of_range: fn(&'a LedgerRange) -> &'a T,
    of_record: fn(&'a RecordAt) -> &'a T,
) -> Option<&'a T> {
    row.range.map(of_range).or(row.cause.map(of_record))
}

/// Iceberg has no unsigned integers; counts stay far below 2^63.
fn counted(row: &LedgerRow<'_>, of: fn(&LedgerRange) -> u64) -> i64 {
    row.range.map_or(0, |range| of(range) as i64)
}

fn long<'a>(rows: &[LedgerRow<'a>], of: fn(&LedgerRow<'a>) -> Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(of)))
}

fn int<'a>(rows: &[LedgerRow<'a>], of: fn(&LedgerRow<'a>) -> Option<i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter(rows.iter().map(of)))
}

fn text<'a>(rows: &[LedgerRow<'a>], of: fn(&LedgerRow<'a>) -> Option<&'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(of)))
}
