//! What all formats share around the value's own columns: the table's layout, the Kafka columns,
//! the check of the Kafka timestamp, and the batch of the rows that are good.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;
use tabletopic_records::Record;

use crate::bad::{BadRecord, Fault, Reason};
use crate::error::DecodeError;
use crate::kafka_columns::KafkaColumn;
use crate::schema::same_type;
use crate::settings::{DecodeSettings, Limits};

/// Where each column of the table comes from.
#[derive(Debug)]
pub(crate) struct Rows {
    pub topic: String,
    pub arrow: SchemaRef,
    kafka: Vec<Option<KafkaColumn>>,
    event_time_is_kafkas: bool,
    years: RangeInclusive<i64>,
}

impl Rows {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        let topic = settings.topic.clone();
        let column = |column: &str, problem: &str| DecodeError::Column {
            topic: topic.clone(),
            column: column.into(),
            problem: problem.into(),
        };
        let arrow = schema_to_arrow_schema(schema).map_err(|source| DecodeError::Schema {
            topic: topic.clone(),
            source: Box::new(source),
        })?;
        let fields = schema.as_struct().fields();
        for ours in KafkaColumn::ALL {
            match fields.iter().find(|field| field.name == ours.name()) {
                None if ours.is_in_every_table() => {
                    return Err(column(ours.name(), "is missing; every table of a topic needs it"));
                }
                Some(field) if !same_type(&field.field_type, &ours.field().field_type) => {
                    return Err(column(
                        ours.name(),
                        "has another type than this column always has",
                    ));
                }
                _ => {}
            }
        }
        Ok(Self {
            arrow: Arc::new(arrow),
            kafka: fields
                .iter()
                .map(|field| KafkaColumn::by_name(&field.name))
                .collect(),
            event_time_is_kafkas: settings.event_time.is_none(),
            years: micros_of_years(&settings.limits),
            topic,
        })
    }

    /// Whether column `i` of the table is the record's own, not Kafka's.
    pub fn is_own(&self, i: usize) -> bool {
        self.kafka.get(i).is_some_and(Option::is_none)
    }

    /// The Kafka timestamp must fit its column, and be a sane event time where it is the event time.
    pub fn check_timestamp(&self, record: &Record<'_>) -> Result<(), Box<Fault>> {
        let Some(millis) = record.timestamp else {
            return Ok(());
        };
        let reason = match millis.checked_mul(1_000) {
            None => Reason::OutOfRange,
            Some(micros) if self.event_time_is_kafkas && !self.years.contains(&micros) => {
                Reason::AbsurdEventTime
            }
            Some(_) => return Ok(()),
        };
        let mut fault = Fault::fatal(reason, format!("the record's Kafka timestamp is {millis} ms"));
        fault.field = Some(KafkaColumn::Timestamp.name().into());
        Err(fault)
    }

    /// The batch of the good rows. `own` are the record's own columns in the table's order, one row
    /// for each record, bad ones included.
    pub fn batch(
        &self,
        records: &[Record<'_>],
        own: Vec<ArrayRef>,
        bad: &[BadRecord],
    ) -> Result<RecordBatch, DecodeError> {
        let mut own = own.into_iter();
        let columns = self
            .arrow
            .fields()
            .iter()
            .zip(&self.kafka)
            .map(|(field, kafka)| match kafka {
                Some(column) => column.array(field, &self.topic, records),
                None => own
                    .next()
                    .ok_or_else(|| ArrowError::SchemaError(format!("no {}", field.name()))),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| self.arrow_error(source))?;
        let rows = RecordBatchOptions::new().with_row_count(Some(records.len()));
        let batch = RecordBatch::try_new_with_options(self.arrow.clone(), columns, &rows)
            .map_err(|source| self.arrow_error(source))?;
        let without: BTreeSet<usize> = bad
            .iter()
            .filter(|bad| !bad.nulled)
            .map(|bad| bad.index)
            .collect();
        if without.is_empty() {
            return Ok(batch);
        }
        let good: BooleanArray = (0..records.len()).map(|i| Some(!without.contains(&i))).collect();
        filter_record_batch(&batch, &good).map_err(|source| self.arrow_error(source))
    }

    pub fn empty(&self) -> RecordBatch {
        RecordBatch::new_empty(self.arrow.clone())
    }

    pub fn arrow_error(&self, source: ArrowError) -> DecodeError {
        DecodeError::Arrow {
            topic: self.topic.clone(),
            source,
        }
    }
}

/// First and last microsecond of the years that an event may be in.
pub(crate) fn micros_of_years(limits: &Limits) -> RangeInclusive<i64> {
    let start = |year: i32| days_before(i64::from(year)).saturating_mul(86_400_000_000);
    start(limits.first_year)..=start(limits.last_year.saturating_add(1)).saturating_sub(1)
}

/// Days from 1970-01-01 to the first of January of a year of the proleptic Gregorian calendar.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    365 * before + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}
