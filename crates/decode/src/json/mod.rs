//! `json`: one JSON object per value, read straight into Arrow builders by the table's schema; there
//! is no tree of the document and no object per row. `docs/json.md` says what becomes what.

use arrow::datatypes::{Fields, SchemaRef};
use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::by_writer::RecordColumns;
use crate::columns::{Outcome, Reading, Rules};
use crate::error::DecodeError;
use crate::rows::Rows;
use crate::settings::{DecodeSettings, Limits};
use crate::{Decoded, Decoder, MAX_BATCH_BYTES, MAX_BATCH_VALUES};

mod column;
mod infer;
mod leaf;
pub(crate) mod names;
mod number;
mod objects;
mod plain;
mod reading;
pub(crate) mod remarks;
mod time;

use infer::Growth;
pub(crate) use objects::ObjectColumns;

pub(crate) struct Json {
    rows: Rows,
    rules: Rules,
    record: ObjectColumns,
    /// The table's schema, against which growth is proposed.
    schema: Schema,
}

impl Json {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        check(settings)?;
        let rows = Rows::new(settings, schema)?;
        let own = |i: &usize| rows.is_own(*i);
        let fields = schema.as_struct().fields();
        let iceberg: Vec<&NestedFieldRef> = (0..fields.len()).filter(own).map(|i| &fields[i]).collect();
        let arrow: Fields = (0..fields.len())
            .filter(own)
            .map(|i| rows.arrow.fields()[i].clone())
            .collect();
        let event_time: Option<Vec<&str>> =
            settings.event_time.as_ref().map(|path| path.split('.').collect());
        let mut record =
            ObjectColumns::new(&iceberg, arrow, event_time.as_deref()).map_err(|(column, problem)| {
                DecodeError::Column {
                    topic: settings.topic.clone(),
                    column,
                    problem,
                }
            })?;
        record.pass_over(&settings.ignored);
        Ok(Self {
            rows,
            rules: Rules::new(settings),
            record,
            schema: schema.clone(),
        })
    }

    /// Reads one record: one entry more in every column, whatever comes.
    fn read(&mut self, record: &Record<'_>, reading: &mut Reading<'_>) -> Outcome {
        let Some(value) = record.value else {
            return self.record.append_tombstone();
        };
        if let Err(fault) = check_size(value, reading.rules) {
            self.record.pad();
            return Err(fault);
        }
        self.record.append(value, None, reading)
    }
}

impl Decoder for Json {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let rules = self.rules.clone();
        let (mut bad, mut growing, mut unknown_fields) = (Vec::new(), Vec::new(), 0);
        let (mut taken, mut bytes, mut values) = (0, 0, 0);
        for (i, record) in records.iter().enumerate() {
            bytes += record.value.map_or(0, <[u8]>::len);
            if i > 0 && (bytes > MAX_BATCH_BYTES || values > MAX_BATCH_VALUES) {
                break;
            }
            taken += 1;
            let mut reading = Reading::new(&rules);
            let outcome = self
                .read(record, &mut reading)
                .and_then(|()| self.rows.check_timestamp(record));
            values += self.record.width() + reading.spent();
            match outcome {
                Ok(()) => {
                    bad.extend(reading.nulled.into_iter().map(|fault| fault.into_bad(i, true)));
                    unknown_fields += reading.unknown_fields;
                    if reading.wants_growth {
                        growing.push(i);
                    }
                }
                Err(fault) => {
                    // A table does not grow for a record that it will never hold.
                    if reading.wants_growth && fault.reason == Reason::OutOfRange {
                        growing.push(i);
                    }
                    bad.push(fault.into_bad(i, false));
                }
            }
        }
        let records = &records[..taken];
        let own = self
            .record
            .finish()
            .map_err(|source| self.rows.arrow_error(source))?;
        let mut growth = Growth::of_table(&self.schema, &rules);
        for i in growing {
            growth.observe(&records[i], i);
        }
        let grown = growth.proposals();
        let batch = if grown.is_empty() {
            self.rows.batch(records, own, &bad)?
        } else {
            self.rows.empty()
        };
        Ok(Decoded {
            taken,
            batch,
            bad,
            filtered: Vec::new(),
            grown,
            awaits: Vec::new(),
            unknown_fields,
        })
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.rows.arrow.clone()
    }
}

/// The columns that a sample of records asks for; ids are placeholders.
pub(crate) fn infer(
    records: &[Record<'_>],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    check(settings)?;
    let rules = Rules::new(settings);
    let mut growth = Growth::of_nothing(settings.event_time.as_deref(), &rules);
    for (i, record) in records.iter().enumerate() {
        growth.observe(record, i);
    }
    Ok(growth.fields())
}

/// Whether the settings make sense for objects.
pub(crate) fn check(settings: &DecodeSettings) -> Result<(), DecodeError> {
    let limits = &settings.limits;
    let problem = if limits.max_depth == 0 || limits.max_depth > Limits::DEEPEST {
        format!(
            "max_depth = {} is not between 1 and {}",
            limits.max_depth,
            Limits::DEEPEST
        )
    } else if settings.infer && limits.max_depth > Limits::DEEPEST_TYPE {
        format!(
            "max_depth = {} is above {}, which is as deep as inferred columns may go; lower it, or state the columns \
             in a DDL file",
            limits.max_depth,
            Limits::DEEPEST_TYPE
        )
    } else if limits.max_record_bytes > MAX_BATCH_BYTES {
        format!(
            "max_record_bytes = {} is above {MAX_BATCH_BYTES}",
            limits.max_record_bytes
        )
    } else if limits.first_year > limits.last_year {
        format!(
            "first_year = {} is after last_year = {}",
            limits.first_year, limits.last_year
        )
    } else {
        return Ok(());
    };
    Err(DecodeError::Settings {
        topic: settings.topic.clone(),
        problem,
    })
}

fn check_size(value: &[u8], rules: &Rules) -> Outcome {
    let (bytes, limit) = (value.len(), rules.limits.max_record_bytes);
    if bytes > limit {
        return Err(Fault::fatal(
            Reason::TooLarge,
            format!("the value has {bytes} bytes, more than {limit}"),
        ));
    }
    Ok(())
}
