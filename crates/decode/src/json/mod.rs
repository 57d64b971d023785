//! `json`: one JSON object per value, read straight into Arrow builders by the table's schema; there
//! is no tree of the document and no object per row. `docs/json.md` says what becomes what.

use arrow::datatypes::{Fields, SchemaRef};
use iceberg::spec::{NestedField, NestedFieldRef, Schema};
use jiter::{Jiter, Peek};
use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::error::DecodeError;
use crate::rows::Rows;
use crate::settings::{DecodeSettings, Limits};
use crate::{Decoded, Decoder, MAX_BATCH_BYTES, MAX_BATCH_VALUES};

mod column;
mod infer;
mod leaf;
mod number;
mod plain;
mod reading;
mod time;

use column::StructColumn;
use infer::Growth;
use reading::{Outcome, Reading, Rules, syntax};

pub(crate) struct Json {
    rows: Rows,
    rules: Rules,
    record: StructColumn,
    /// The table's schema, against which growth is proposed.
    schema: Schema,
    /// Where jiter unescapes strings; kept, so that it is allocated once.
    tape: Vec<u8>,
}

impl Json {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        check(settings)?;
        let rows = Rows::new(settings, schema)?;
        let own = |i: &usize| rows.is_own(*i);
        let fields = schema.as_struct().fields();
        let iceberg: Vec<&NestedField> = (0..fields.len())
            .filter(own)
            .map(|i| fields[i].as_ref())
            .collect();
        let arrow: Fields = (0..fields.len())
            .filter(own)
            .map(|i| rows.arrow.fields()[i].clone())
            .collect();
        let event_time: Option<Vec<&str>> =
            settings.event_time.as_ref().map(|path| path.split('.').collect());
        let mut record =
            StructColumn::new(&iceberg, arrow, "", event_time.as_deref()).map_err(|(column, problem)| {
                DecodeError::Column {
                    topic: settings.topic.clone(),
                    column,
                    problem,
                }
            })?;
        record.pass_over(&settings.ignored, Vec::new());
        Ok(Self {
            rows,
            rules: Rules::new(settings),
            record,
            schema: schema.clone(),
            tape: Vec::new(),
        })
    }

    /// Reads one record: one entry more in every column, whatever comes.
    fn read(&mut self, record: &Record<'_>, reading: &mut Reading<'_>) -> Outcome {
        let Some(value) = record.value else {
            return self.record.append_tombstone();
        };
        if let Err(fault) = check_size(value, reading.rules) {
            self.record.pad(false);
            return Err(fault);
        }
        if self.record.append_plain(value, reading.rules) {
            return Ok(());
        }
        let mut json = Jiter::with_tape(value, std::mem::take(&mut self.tape));
        let outcome = match json.peek() {
            Ok(Peek::Object) => {
                let outcome = self.record.append(&mut json, Peek::Object, reading, false);
                outcome.and_then(|()| json.finish().map_err(syntax))
            }
            Ok(peek) => {
                self.record.pad(false);
                Err(not_an_object(&mut json, peek, reading))
            }
            Err(error) => {
                self.record.pad(false);
                Err(syntax(error))
            }
        };
        self.tape = json.into_tape();
        outcome
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
            .finish_columns()
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

fn check(settings: &DecodeSettings) -> Result<(), DecodeError> {
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

#[cold]
fn not_an_object(json: &mut Jiter<'_>, peek: Peek, reading: &mut Reading<'_>) -> Box<Fault> {
    match reading
        .skip(json, peek)
        .and_then(|_| json.finish().map_err(syntax))
    {
        Ok(()) => Fault::fatal(
            Reason::NotAnObject,
            format!("the value is {}", reading::kind(peek)),
        ),
        Err(fault) => fault,
    }
}
