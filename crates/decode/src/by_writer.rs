//! The decoder of formats whose records are read by the schema that each was written with. What its bytes mean is the
//! format's own; finding the schema, and growing the table by it, is the same for all of them.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::{Fields, SchemaRef};
use arrow::error::ArrowError;
use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::{Record, SchemaId};

use crate::bad::{Fault, Reason};
use crate::columns::{Outcome, Reading, Rules, StructColumn};
use crate::error::DecodeError;
use crate::frame::Select;
use crate::ignored::Ignored;
use crate::kafka_columns::KafkaColumn;
use crate::rows::Rows;
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, WriterSchema};
use crate::{Awaited, Change, Decoded, Decoder, MAX_BATCH_BYTES, MAX_BATCH_VALUES, Proposal};

/// A format whose records name their writer's schema.
pub(crate) trait WrittenFormat: Send + 'static {
    type Columns: RecordColumns;

    /// How records of one type are read into the table's columns.
    type Plan: Send;

    /// Finds out which of a schema's types a record is, where schemas have several.
    const SELECT: Option<Select> = None;

    /// A type against the table's own columns: how it is read, and what the table lacks for it.
    ///
    /// # Errors
    /// The record names a type that the schema does not have, or one of which no columns can be made.
    fn resolve(
        schema: &WriterSchema,
        selector: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(Self::Plan, Vec<Change>)>;

    /// Reads a record to its end. Adds exactly one entry to each column, whatever comes.
    fn append(
        columns: &mut Self::Columns,
        plan: &mut Self::Plan,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome;
}

/// The columns that a format's records are appended to.
pub(crate) trait RecordColumns: Sized + Send {
    /// `arrow` are the Arrow fields of the fields `iceberg`. Errors name the column and the problem.
    fn new(
        iceberg: &[&NestedFieldRef],
        arrow: Fields,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)>;

    /// Passes fields over, for formats whose plans do not.
    fn pass_over(&mut self, _: &Ignored) {}

    /// One more entry that is no row.
    fn pad(&mut self);

    /// An entry of nulls: a fault if a column may not be null, though the missing event time is none.
    fn append_tombstone(&mut self) -> Outcome;

    /// Columns of one entry.
    fn width(&self) -> usize;

    /// The columns so far; the builders start again.
    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError>;
}

impl RecordColumns for StructColumn {
    fn new(
        iceberg: &[&NestedFieldRef],
        arrow: Fields,
        event_time: Option<&[&str]>,
    ) -> Result<Self, (String, String)> {
        Self::new(iceberg, arrow, "", event_time)
    }

    fn pad(&mut self) {
        self.pad(false);
    }

    fn append_tombstone(&mut self) -> Outcome {
        self.append_tombstone()
    }

    fn width(&self) -> usize {
        self.width()
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.finish_columns()
    }
}

/// See the module.
pub(crate) struct ByWriter<F: WrittenFormat> {
    rows: Rows,
    rules: Rules,
    record: F::Columns,
    writers: Writers<F>,
}

impl<F: WrittenFormat> ByWriter<F> {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        let rows = Rows::new(settings, schema)?;
        let own: Vec<(&NestedFieldRef, usize)> = schema.as_struct().fields().iter().zip(0..).collect();
        let own = own.into_iter().filter(|(_, i)| rows.is_own(*i));
        let (iceberg, arrow): (Vec<_>, Vec<_>) = own
            .map(|(field, i)| (field, rows.arrow.fields()[i].clone()))
            .unzip();
        let event_time: Option<Vec<&str>> =
            settings.event_time.as_ref().map(|path| path.split('.').collect());
        let mut record = F::Columns::new(&iceberg, Fields::from(arrow), event_time.as_deref()).map_err(
            |(column, problem)| DecodeError::Column {
                topic: settings.topic.clone(),
                column,
                problem,
            },
        )?;
        record.pass_over(&settings.ignored);
        Ok(Self {
            rows,
            rules: Rules::new(settings),
            record,
            writers: Writers {
                settings: settings.clone(),
                schema: schema.clone(),
                resolved: Vec::new(),
                last: 0,
            },
        })
    }
}

impl<F: WrittenFormat> Decoder for ByWriter<F> {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let rules = self.rules.clone();
        let (mut bad, mut awaits, mut unknown_fields) = (Vec::new(), Vec::new(), 0);
        // The first good record of the first type that the table lacks something for.
        let mut growing: Option<(usize, usize)> = None;
        let (mut taken, mut bytes, mut values) = (0, 0, 0);
        for (i, record) in records.iter().enumerate() {
            bytes += record.value.map_or(0, <[u8]>::len);
            if i > 0 && (bytes > MAX_BATCH_BYTES || values > MAX_BATCH_VALUES) {
                break;
            }
            taken += 1;
            let mut reading = Reading::new(&rules);
            let outcome = match record.value {
                None => self.record.append_tombstone().map(|()| None),
                Some(value) => match self.writers.of(record, value, &rules) {
                    Ok(Writer::Known { number, body }) => {
                        let resolved = &mut self.writers.resolved[number];
                        F::append(&mut self.record, &mut resolved.plan, body, &mut reading)
                            .map(|()| (!resolved.growth.is_empty()).then_some(number))
                    }
                    Ok(Writer::Awaited(id)) => {
                        self.record.pad();
                        awaits.push(Awaited { index: i, id });
                        continue;
                    }
                    Err(fault) => {
                        self.record.pad();
                        Err(fault)
                    }
                },
            };
            bytes += reading.expanded;
            values += self.record.width() + reading.spent();
            match outcome.and_then(|grows| self.rows.check_timestamp(record).map(|()| grows)) {
                Ok(grows) => {
                    bad.extend(reading.nulled.into_iter().map(|fault| fault.into_bad(i, true)));
                    unknown_fields += reading.unknown_fields;
                    growing = growing.or(grows.map(|number| (number, i)));
                }
                // A table does not grow for a record that it will never hold.
                Err(fault) => bad.push(fault.into_bad(i, false)),
            }
        }
        let own = self
            .record
            .finish()
            .map_err(|source| self.rows.arrow_error(source))?;
        // One type at a time: what the next one lacks is seen against the table that has grown by then.
        let grown: Vec<Proposal> = growing.map_or_else(Vec::new, |(number, caused_by)| {
            let changes = self.writers.resolved[number].growth.iter().cloned();
            changes.map(|change| Proposal { change, caused_by }).collect()
        });
        let batch = if grown.is_empty() && awaits.is_empty() {
            self.rows.batch(&records[..taken], own, &bad)?
        } else {
            self.rows.empty()
        };
        Ok(Decoded {
            taken,
            batch,
            bad,
            filtered: Vec::new(),
            grown,
            awaits,
            unknown_fields,
        })
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.rows.arrow.clone()
    }
}

/// The types met so far, each resolved against the table.
struct Writers<F: WrittenFormat> {
    settings: DecodeSettings,
    schema: Schema,
    resolved: Vec<Resolved<F>>,
    /// The one that was met last: producers seldom take turns.
    last: usize,
}

struct Resolved<F: WrittenFormat> {
    /// `None` is the schema of a file.
    id: Option<SchemaId>,
    selector: Box<[u8]>,
    plan: F::Plan,
    growth: Vec<Change>,
}

enum Writer<'b> {
    /// Its number in `resolved`, and the record without its frame.
    Known { number: usize, body: &'b [u8] },
    /// Nobody has told its schema yet.
    Awaited(SchemaId),
}

impl<F: WrittenFormat> Writers<F> {
    fn of<'b>(&mut self, record: &Record<'_>, value: &'b [u8], rules: &Rules) -> Outcome<Writer<'b>> {
        let limit = rules.limits.max_record_bytes;
        if value.len() > limit {
            let detail = format!("{} bytes, more than {limit}", value.len());
            return Err(Fault::fatal(Reason::TooLarge, detail));
        }
        let (id, selector, body) = match self.settings.writers.is_framed() {
            false => (None, Cow::Borrowed(&[][..]), value),
            true => {
                let framing = self.settings.framing;
                let framed = framing.read(self.settings.part, record, value, F::SELECT)?;
                (Some(framed.id), framed.selector, framed.body)
            }
        };
        let is_it = |resolved: &Resolved<F>| resolved.id == id && *resolved.selector == *selector;
        if !self.resolved.get(self.last).is_some_and(is_it) {
            match self.resolved.iter().position(is_it) {
                Some(number) => self.last = number,
                None => match self.resolve(id, &selector)? {
                    Some(resolved) => {
                        self.resolved.push(resolved);
                        self.last = self.resolved.len() - 1;
                    }
                    None => {
                        return id
                            .map(Writer::Awaited)
                            .ok_or_else(|| unusable("no schema is configured"));
                    }
                },
            }
        }
        Ok(Writer::Known {
            number: self.last,
            body,
        })
    }

    /// `None` if nobody has told the schema yet.
    fn resolve(&self, id: Option<SchemaId>, selector: &[u8]) -> Outcome<Option<Resolved<F>>> {
        let schema = match self.settings.writers.find(id) {
            None => return Ok(None),
            Some(Found::Schema(schema)) => schema,
            Some(Found::NoSuchId) => {
                return Err(Fault::fatal(
                    Reason::UnknownSchema,
                    format!("the registry has no {}", named(id)),
                ));
            }
            Some(Found::Unusable(problem)) => return Err(unusable(format!("{}: {problem}", named(id)))),
        };
        schema
            .check(self.settings.recursive)
            .map_err(|problem| unusable(format!("{}: {problem}", named(id))))?;
        let own = own(&self.schema);
        let (plan, mut growth) =
            F::resolve(&schema, selector, &own, &self.schema, &self.settings).map_err(|mut fault| {
                fault.detail = format!("{}: {}", named(id), fault.detail);
                fault
            })?;
        growth.retain(|change| match change {
            Change::AddColumn { parent, name, .. } => !self.settings.ignored.has(parent, name),
            Change::Widen { .. } | Change::MakeOptional { .. } | Change::Rename { .. } => true,
        });
        Ok(Some(Resolved {
            id,
            selector: selector.into(),
            plan,
            growth,
        }))
    }
}

/// The columns that records fill.
pub(crate) fn own(table: &Schema) -> Vec<&NestedFieldRef> {
    let fields = table.as_struct().fields().iter();
    fields
        .filter(|field| KafkaColumn::by_name(&field.name).is_none())
        .collect()
}

fn named(id: Option<SchemaId>) -> String {
    id.map_or_else(|| "the file's schema".to_owned(), |id| format!("schema {id}"))
}

/// A fault of the schema that a record was written with.
#[cold]
pub(crate) fn unusable(problem: impl Into<String>) -> Box<Fault> {
    Fault::fatal(Reason::UnusableSchema, problem)
}
