//! Bytes to Arrow: turns the records of one topic into a `RecordBatch` that has exactly the columns
//! of the topic's table. It knows neither the Kafka client nor storage.
//!
//! Decoding is strict against the table's schema. What a record holds that the table lacks comes back
//! as [`Proposal`]s, and the caller evolves the table and decodes the same records again; what does
//! not fit comes back as [`BadRecord`]s, beside the rows of the good ones. `docs/json.md` says which
//! JSON value becomes which type, `docs/json-schema.md` which columns a JSON Schema makes, `docs/avro.md` which Avro
//! value becomes which type, and `docs/protobuf.md` which Protobuf value.
//!
//! One file per format, and one `match` (in [`decoder`]) that lists them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, Type};
use tabletopic_records::{Record, SchemaId};

use by_writer::ByWriter;
use key::KeyAndValue;

mod avro;
mod bad;
mod by_writer;
mod columns;
mod ddl;
mod error;
mod forecast;
mod former_names;
mod frame;
mod ignored;
mod json;
mod json_schema;
pub mod kafka_columns;
mod key;
mod named_columns;
mod protobuf;
mod raw;
mod rows;
mod schema;
mod settings;
mod writer_schemas;

pub use bad::{BadRecord, Reason};
pub use ddl::{DdlError, parse_ddl};
pub use error::DecodeError;
pub use forecast::{Forecast, Misfit, forecast};
pub use former_names::FormerNames;
pub use ignored::Ignored;
pub use key::Key;
pub use named_columns::NamedColumns;
pub use schema::{PLACEHOLDER_ID, create_schema};
pub use settings::{
    ApicurioIds, DecodeSettings, Evolution, Format, Framing, JsonNumbers, KafkaColumns, Limits, Nanos,
    OnBadRecord, Part, ProtobufEnums, Recursive, TimestampUnit,
};
pub use writer_schemas::{Import, WriterSchemas, imported};

/// The most bytes of values that one batch is made of. Arrow's offsets are 32 bits wide.
pub const MAX_BATCH_BYTES: usize = 1 << 30;

/// A batch ends with the record that takes it above this number of values, nulls and those in lists included: a few
/// bytes of JSON can stand for thousands of them.
pub const MAX_BATCH_VALUES: usize = 1 << 22;

/// What one call of `decode` makes of a slice of records.
#[derive(Debug)]
pub struct Decoded {
    /// How many of the records this is about, from the first on; at least one if there was any. Decode the rest in
    /// another call: it would have made too large a batch.
    pub taken: usize,
    /// The rows of the good records, in their order: every column of the table (Kafka columns
    /// included), with `PARQUET:field_id` metadata. Empty when `grown` is not.
    pub batch: RecordBatch,
    /// The records without a row, and the fields that became null; in the order of the records.
    pub bad: Vec<BadRecord>,
    /// The records that a job's `where` leaves out, by their indexes: neither rows nor bad. A decoder leaves out none.
    pub filtered: Vec<usize>,
    /// What the table lacks. If there is any, evolve the table, make a new decoder and decode the
    /// same records again: `batch` is empty and `bad` provisional.
    pub grown: Vec<Proposal>,
    /// The records whose writer's schema nobody knows yet. If there is any, `batch` is empty: decode those before the
    /// first of them, fetch its schema, and go on there.
    pub awaits: Vec<Awaited>,
    /// Fields that neither the table nor a proposal has (inference is off, or the name is refused).
    pub unknown_fields: u64,
}

/// A record that can't be decoded before the registry has told its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// Index into the slice of records that was decoded.
    pub index: usize,
    pub id: SchemaId,
}

/// A change of the table that a record asks for, merged over all records of the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub change: Change,
    /// Index of the first record that asks for it.
    pub caused_by: usize,
}

/// Only what Iceberg can do without rewriting data.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new optional column. `parent` is the path of the struct that gets it (empty: the table;
    /// with `element` and `value` for lists and maps). Field ids within `ty` are [`PLACEHOLDER_ID`].
    AddColumn {
        parent: Vec<String>,
        name: String,
        ty: Type,
    },
    /// int to long, float to double, or a decimal of more digits.
    Widen { path: Vec<String>, to: PrimitiveType },
    /// A required column takes nulls.
    MakeOptional { path: Vec<String> },
    /// A column gets the name that its field has now.
    Rename { path: Vec<String>, to: String },
}

/// Decodes the records of one topic for one version of its table's schema.
pub trait Decoder: Send {
    /// Never fails because of what a record holds. May take fewer records than it is given: see
    /// [`Decoded::taken`].
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError>;

    /// The schema of every batch.
    fn arrow_schema(&self) -> SchemaRef;
}

/// Builds the decoder for a table's schema.
///
/// Errors: settings that contradict themselves or the schema (no such event-time column, a column
/// type that the format cannot fill, no Kafka columns).
pub fn decoder(settings: &DecodeSettings, schema: &Schema) -> Result<Box<dyn Decoder>, DecodeError> {
    match &settings.key {
        Some(key) => Ok(Box::new(KeyAndValue::new(settings, key, schema)?)),
        None => of_format(settings, schema),
    }
}

/// The decoder of one part of a record.
fn of_format(settings: &DecodeSettings, schema: &Schema) -> Result<Box<dyn Decoder>, DecodeError> {
    match settings.format {
        Format::Raw => Ok(Box::new(raw::Raw::new(settings, schema)?)),
        Format::Json => Ok(Box::new(json::Json::new(settings, schema)?)),
        Format::JsonSchema => json_schema::decoder(settings, schema),
        Format::Avro => Ok(Box::new(ByWriter::<avro::Avro>::new(settings, schema)?)),
        Format::Protobuf => Ok(Box::new(ByWriter::<protobuf::Protobuf>::new(settings, schema)?)),
    }
}

/// The record's own columns for a new table, from a sample; ids are placeholders. Pass them to
/// [`create_schema`]. Records that do not parse are left out: the decoder will report them.
pub fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Result<Vec<NestedFieldRef>, DecodeError> {
    let fields = infer_part(records, settings)?;
    match (&settings.key, settings.of_keys()) {
        (Some(key), Some(of_keys)) => {
            let inferred = infer_part(&key::keys(records), &of_keys)?;
            key::with_column(fields, key, inferred, &settings.topic)
        }
        _ => Ok(fields),
    }
}

fn infer_part(records: &[Record<'_>], settings: &DecodeSettings) -> Result<Vec<NestedFieldRef>, DecodeError> {
    match settings.format {
        Format::Raw => Ok(raw::fields()),
        Format::Json => json::infer(records, settings),
        Format::JsonSchema => json_schema::infer(records, settings),
        Format::Avro => Ok(avro::infer(records, settings)),
        Format::Protobuf => Ok(protobuf::infer(records, settings)),
    }
}
