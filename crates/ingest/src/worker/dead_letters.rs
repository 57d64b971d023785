//! The open unit's records that could not become rows, as rows of the dead-letter table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Builder, Int64Builder, LargeBinaryBuilder, ListBuilder, RecordBatch, StringBuilder,
    StructBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use tabletopic_decode::BadRecord;
use tabletopic_offsets::TopicIdentity;
use tabletopic_records::Record;

use crate::job::Job;
use crate::withheld::{self, Withheld};

/// Collects dead letters in the layout of [`tabletopic_table::follower::dead_letters::schema`].
#[derive(Debug)]
pub struct DeadLetters {
    schema: SchemaRef,
    job: StringBuilder,
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMicrosecondBuilder,
    key: LargeBinaryBuilder,
    value: LargeBinaryBuilder,
    headers: ListBuilder<StructBuilder>,
    reason: StringBuilder,
    field: StringBuilder,
    detail: StringBuilder,
    topic_id: StringBuilder,
    reasons: BTreeMap<&'static str, u64>,
    bytes: usize,
}

impl DeadLetters {
    /// # Errors
    /// `schema` is not the dead-letter table's.
    pub fn new(schema: SchemaRef) -> Result<Self, ArrowError> {
        let list = schema.field_with_name("headers")?.data_type();
        let DataType::List(element) = list else {
            return Err(ArrowError::SchemaError(format!("headers is {list}")));
        };
        let DataType::Struct(header) = element.data_type() else {
            return Err(ArrowError::SchemaError(format!(
                "headers holds {}",
                element.data_type()
            )));
        };
        let headers =
            ListBuilder::new(StructBuilder::from_fields(header.clone(), 0)).with_field(element.clone());
        Ok(Self {
            schema,
            job: StringBuilder::new(),
            topic: StringBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            timestamp: TimestampMicrosecondBuilder::new().with_timezone("+00:00"),
            key: LargeBinaryBuilder::new(),
            value: LargeBinaryBuilder::new(),
            headers,
            reason: StringBuilder::new(),
            field: StringBuilder::new(),
            detail: StringBuilder::new(),
            topic_id: StringBuilder::new(),
            reasons: BTreeMap::new(),
            bytes: 0,
        })
    }

    pub fn push(&mut self, job: &Job, identity: &TopicIdentity, record: &Record<'_>, bad: &BadRecord) {
        self.job.append_value(job.id.as_str());
        self.topic.append_value(&job.topic);
        self.partition.append_value(record.partition);
        self.offset.append_value(record.offset);
        self.timestamp
            .append_option(record.timestamp.map(|millis| millis.saturating_mul(1000)));
        let withheld = Withheld::by(job);
        let (key, value) = (
            record.key.filter(|_| !withheld.key),
            record.value.filter(|_| !withheld.value),
        );
        self.key.append_option(key);
        self.value.append_option(value);
        self.push_headers(record, withheld);
        self.reason.append_value(bad.reason.as_str());
        *self.reasons.entry(bad.reason.as_str()).or_default() += 1;
        self.field.append_option(bad.field.as_deref());
        self.detail.append_value(&bad.detail);
        self.topic_id.append_option(identity.topic_id.as_deref());
        self.bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + bad.detail.len() + 64;
    }

    fn push_headers(&mut self, record: &Record<'_>, withheld: Withheld) {
        let headers = &mut self.headers;
        let mut bytes = 0;
        let mut push = |name: &str, value: Option<&[u8]>| {
            let header = headers.values();
            if let Some(keys) = header.field_builder::<StringBuilder>(0) {
                keys.append_value(name);
            }
            if let Some(values) = header.field_builder::<LargeBinaryBuilder>(1) {
                values.append_option(value);
            }
            header.append(true);
            bytes += name.len() + value.map_or(0, <[u8]>::len);
        };
        if !withheld.headers {
            record.headers.for_each(&mut push);
        }
        if let Some(told) = withheld.told() {
            push(withheld::HEADER, Some(told.as_bytes()));
        }
        headers.append(true);
        self.bytes += bytes;
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes of memory held, about.
    pub fn memory_size(&self) -> usize {
        self.bytes
    }

    /// Takes what was collected, and how many letters of each reason it is.
    ///
    /// # Errors
    /// None in practice: the columns are those of the schema.
    pub fn finish(&mut self) -> Result<(RecordBatch, BTreeMap<&'static str, u64>), ArrowError> {
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.job.finish()),
            Arc::new(self.topic.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.headers.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.detail.finish()),
            Arc::new(self.topic_id.finish()),
        ];
        let letters = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok((letters, std::mem::take(&mut self.reasons)))
    }
}
