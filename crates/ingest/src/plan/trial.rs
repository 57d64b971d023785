//! Decodes sampled records as a worker would, growing a copy of the schema where a worker would have the table grow.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use iceberg::spec::Schema;
use tabletopic_decode::{BadRecord, Change, DecodeError, DecodeSettings, FormerNames, OnBadRecord, Reason};
use tabletopic_offsets::Offset;
use tabletopic_records::Record;
use tabletopic_shape::{decoder, schema_change};
use tabletopic_table::schema::{differences, evolve};

use crate::job::Job;
use crate::worker::bad_record;

/// Records decoded at once.
const BATCH: usize = 1_000;

/// Rows that are shown.
const ROWS: usize = 5;

/// See the module.
#[derive(Debug)]
pub struct Trial {
    /// With everything that the records ask for.
    pub schema: Schema,
    pub wishes: Vec<Wish>,
    pub rows: RecordBatch,
    pub faults: Vec<Fault>,
    pub unknown_fields: u64,
    /// Records that are left out on purpose.
    pub filtered: u64,
    pub halts: Vec<String>,
}

/// A schema change that a record asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Such as `add column shipping.zip string`.
    pub change: String,
    /// The first record that asks for it.
    pub partition: i32,
    pub offset: Offset,
}

/// A kind of fault, and how often it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub field: Option<String>,
    /// The field would become null, and the record a row all the same.
    pub nulled: bool,
    pub records: u64,
    /// The first record that has it.
    pub partition: i32,
    pub offset: Offset,
    pub detail: String,
}

/// `earlier` are all schemas that the table has had.
///
/// # Errors
/// The job's settings do not fit the table.
pub fn of(
    job: &Job,
    schema: Schema,
    earlier: Vec<Schema>,
    last_column_id: i32,
    records: &[Record<'_>],
) -> Result<Trial, DecodeError> {
    let mut trying = Trying {
        job,
        settings: DecodeSettings {
            former_names: FormerNames::of(&schema, earlier.iter()),
            ..job.decode.clone()
        },
        earlier,
        schema,
        last_column_id,
        wishes: Vec::new(),
        faults: BTreeMap::new(),
        halts: BTreeMap::new(),
        shown: Vec::new(),
        growing: 0,
        unknown_fields: 0,
        filtered: 0,
        refused: None,
    };
    let shape = job.shape.as_ref();
    // An empty sample has to pass the decoder's checks, too.
    decoder(shape, &trying.settings, &trying.schema)?;
    for batch in records.chunks(BATCH) {
        trying.take(batch)?;
    }
    let rows = decoder(shape, &trying.settings, &trying.schema)?
        .decode(&trying.shown)?
        .batch;
    Ok(Trial {
        schema: trying.schema,
        wishes: trying.wishes,
        rows,
        faults: trying.faults.into_values().collect(),
        unknown_fields: trying.unknown_fields,
        filtered: trying.filtered,
        halts: trying.halts.into_values().chain(trying.refused).collect(),
    })
}

struct Trying<'t, 'r> {
    job: &'t Job,
    settings: DecodeSettings,
    /// The table's schemas, and those of the trial that had other names.
    earlier: Vec<Schema>,
    schema: Schema,
    last_column_id: i32,
    wishes: Vec<Wish>,
    faults: BTreeMap<(Reason, Option<String>, bool), Fault>,
    /// The first bad record of each partition, where it halts.
    halts: BTreeMap<i32, String>,
    /// Good records; those that made the schema grow first.
    shown: Vec<Record<'r>>,
    /// How many of `shown` made it grow.
    growing: usize,
    unknown_fields: u64,
    filtered: u64,
    /// Why the table can't grow as a record asks: a worker would stop there.
    refused: Option<String>,
}

impl<'r> Trying<'_, 'r> {
    fn take(&mut self, records: &[Record<'r>]) -> Result<(), DecodeError> {
        if self.refused.is_some() {
            return Ok(());
        }
        let mut causes = BTreeSet::new();
        let decoded = loop {
            let decoded = decoder(self.job.shape.as_ref(), &self.settings, &self.schema)?.decode(records)?;
            if decoded.grown.is_empty() {
                break decoded;
            }
            for proposal in &decoded.grown {
                let record = &records[proposal.caused_by];
                if let Err(refused) = self.grow(&proposal.change, record) {
                    self.refused = Some(refused);
                    return Ok(());
                }
                causes.insert(proposal.caused_by);
            }
        };
        self.unknown_fields += decoded.unknown_fields;
        let lost: BTreeSet<usize> = decoded
            .bad
            .iter()
            .filter(|bad| !bad.nulled)
            .map(|bad| bad.index)
            .chain(decoded.filtered.iter().copied())
            .collect();
        self.filtered += decoded.filtered.len() as u64;
        for bad in &decoded.bad {
            self.note(&records[bad.index], bad);
        }
        let good = |index: &usize| !lost.contains(index);
        let (growing, others): (Vec<usize>, Vec<usize>) = (0..records.len())
            .filter(good)
            .partition(|index| causes.contains(index));
        self.show(&growing, records, &others);
        Ok(())
    }

    /// Keeps the first [`ROWS`] of all good records, those that made the schema grow before the others.
    fn show(&mut self, growing: &[usize], records: &[Record<'r>], others: &[usize]) {
        let room = ROWS.saturating_sub(self.growing);
        let growing = growing.iter().take(room).map(|index| records[*index]);
        let before = self.growing;
        self.shown.splice(before..before, growing.clone());
        self.growing += growing.len();
        let others = others.iter().take(ROWS).map(|index| records[*index]);
        self.shown.extend(others);
        self.shown.truncate(ROWS);
    }

    fn grow(&mut self, change: &Change, record: &Record<'_>) -> Result<(), String> {
        let grown = evolve(&self.schema, self.last_column_id, &[schema_change(change)]);
        let (schema, last_column_id) = grown.map_err(|error| {
            format!(
                "{}/{} offset {} asks for a schema change that is refused: {error}",
                self.job.topic, record.partition, record.offset
            )
        })?;
        let changes = differences(&self.schema, &schema).into_iter();
        self.wishes.extend(changes.map(|change| Wish {
            change,
            partition: record.partition,
            offset: record.offset,
        }));
        let before = std::mem::replace(&mut self.schema, schema);
        self.last_column_id = last_column_id;
        if matches!(change, Change::Rename { .. }) {
            self.earlier.push(before);
            self.settings.former_names = FormerNames::of(&self.schema, self.earlier.iter());
        }
        Ok(())
    }

    fn note(&mut self, record: &Record<'_>, bad: &BadRecord) {
        if self.job.decode.on_bad_record == OnBadRecord::Halt && !bad.nulled {
            let message = || bad_record(self.job, record.partition, record.offset, bad);
            self.halts.entry(record.partition).or_insert_with(message);
        }
        match self.faults.entry((bad.reason, bad.field.clone(), bad.nulled)) {
            Entry::Occupied(mut known) => known.get_mut().records += 1,
            Entry::Vacant(new) => {
                new.insert(Fault {
                    reason: bad.reason,
                    field: bad.field.clone(),
                    nulled: bad.nulled,
                    records: 1,
                    partition: record.partition,
                    offset: record.offset,
                    detail: bad.detail.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use iceberg::TableIdent;
    use tabletopic_decode::{DecodeSettings, Format, create_schema, parse_ddl};
    use tabletopic_offsets::JobId;
    use tabletopic_records::NoHeaders;
    use tabletopic_table::file::FileSettings;

    use super::*;
    use crate::job::{Backfill, PartitionBy, Start};

    fn job() -> Job {
        Job {
            id: JobId::new("orders"),
            topic: "orders".into(),
            table: TableIdent::from_strs(["shop", "orders"]).unwrap(),
            decode: DecodeSettings::new("orders", Format::Json),
            shape: None,
            ddl: None,
            partition_by: PartitionBy::Said(Vec::new()),
            start: Start::Earliest,
            backfill: Backfill::First,
            partitions: None,
            files: FileSettings::default(),
            commit_interval: Duration::from_secs(60),
        }
    }

    /// Of these values, one after the other, for a table with the column `id`: wishes, and the ids that are shown.
    fn tried(values: &[String]) -> (usize, Vec<i64>) {
        let job = job();
        let schema = create_schema(
            &parse_ddl("CREATE TABLE orders (id BIGINT)").unwrap(),
            &job.decode,
        )
        .unwrap();
        let records: Vec<Record<'_>> = values
            .iter()
            .zip(0..)
            .map(|(value, offset)| Record {
                partition: 0,
                offset,
                timestamp: Some(0),
                key: None,
                value: Some(value.as_bytes()),
                headers: &NoHeaders,
            })
            .collect();
        let trial = of(
            &job,
            schema.clone(),
            Vec::new(),
            schema.highest_field_id(),
            &records,
        )
        .unwrap();
        let ids = trial.rows["id"].as_primitive::<Int64Type>();
        (trial.wishes.len(), ids.values().to_vec())
    }

    #[test]
    fn a_record_that_makes_the_table_grow_is_shown_once_and_first() {
        let values: Vec<String> = (0..10)
            .map(|id| match id {
                0..3 => format!(r#"{{"id": {id}}}"#),
                _ => format!(r#"{{"id": {id}, "coupon": "SPRING"}}"#),
            })
            .collect();
        assert_eq!(tried(&values), (1, vec![3, 0, 1, 2, 4]));
    }

    #[test]
    fn more_records_than_are_shown_may_make_it_grow() {
        let values: Vec<String> = (0..5_000)
            .map(|id| match id % 100 {
                7 => format!(r#"{{"id": {id}, "field_{id}": 1}}"#),
                _ => format!(r#"{{"id": {id}}}"#),
            })
            .collect();
        assert_eq!(tried(&values), (50, vec![7, 107, 207, 307, 407]));
    }
}
