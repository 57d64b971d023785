//! The columns that every table has from Kafka itself. This is the one place that knows their names
//! and types. They are flat because engines prune flat columns best.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, LargeBinaryBuilder, ListArray, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};
use tabletopic_records::Record;

use crate::schema::PLACEHOLDER_ID;
use crate::settings::KafkaColumns;

/// No field of a record may make a column whose name starts like this.
pub const RESERVED_PREFIX: &str = "_kafka_";

/// A column filled from the record's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaColumn {
    Partition,
    Offset,
    Timestamp,
    Topic,
    Key,
    Headers,
}

impl KafkaColumn {
    pub const ALL: [Self; 6] = [
        Self::Partition,
        Self::Offset,
        Self::Timestamp,
        Self::Topic,
        Self::Key,
        Self::Headers,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "_kafka_partition",
            Self::Offset => "_kafka_offset",
            Self::Timestamp => "_kafka_timestamp",
            Self::Topic => "_kafka_topic",
            Self::Key => "_kafka_key",
            Self::Headers => "_kafka_headers",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The columns that identify a record, without which nothing can be audited: every table has them. Their values
    /// may be null all the same, because other writers' rows come from no topic.
    pub const fn is_in_every_table(self) -> bool {
        matches!(self, Self::Partition | Self::Offset)
    }

    /// The Iceberg field; ids are placeholders.
    pub fn field(self) -> NestedFieldRef {
        let ty = match self {
            Self::Partition => PrimitiveType::Int.into(),
            Self::Offset => PrimitiveType::Long.into(),
            Self::Timestamp => PrimitiveType::Timestamptz.into(),
            Self::Topic => PrimitiveType::String.into(),
            Self::Key => PrimitiveType::Binary.into(),
            Self::Headers => headers_type(),
        };
        Arc::new(NestedField::optional(PLACEHOLDER_ID, self.name(), ty))
    }

    /// The values of `records`, in the Arrow type of the table's column.
    pub(crate) fn array(
        self,
        field: &Field,
        topic: &str,
        records: &[Record<'_>],
    ) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Partition => Arc::new(Int32Array::from_iter_values(records.iter().map(|r| r.partition))),
            Self::Offset => Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.offset))),
            Self::Timestamp => {
                // A record whose time does not fit is a bad record, so its row is filtered out.
                let micros = records
                    .iter()
                    .map(|r| r.timestamp.map(|millis| millis.saturating_mul(1_000)));
                let array: TimestampMicrosecondArray = micros.collect();
                Arc::new(array.with_data_type(field.data_type().clone()))
            }
            Self::Topic => Arc::new(StringArray::from_iter_values(records.iter().map(|_| topic))),
            Self::Key => {
                let mut keys = LargeBinaryBuilder::with_capacity(records.len(), 0);
                records.iter().for_each(|r| keys.append_option(r.key));
                Arc::new(keys.finish())
            }
            Self::Headers => headers_array(field, records)?,
        })
    }
}

/// The Kafka columns of a new table, in order; ids are placeholders.
pub fn fields(options: KafkaColumns) -> Vec<NestedFieldRef> {
    KafkaColumn::ALL
        .into_iter()
        .filter(|column| match column {
            KafkaColumn::Partition | KafkaColumn::Offset | KafkaColumn::Timestamp => true,
            KafkaColumn::Topic => options.topic,
            KafkaColumn::Key => options.key,
            KafkaColumn::Headers => options.headers,
        })
        .map(KafkaColumn::field)
        .collect()
}

/// A list, not a map: header keys may repeat, and their order counts.
fn headers_type() -> Type {
    let header = StructType::new(vec![
        Arc::new(NestedField::required(
            PLACEHOLDER_ID,
            "key",
            PrimitiveType::String.into(),
        )),
        Arc::new(NestedField::optional(
            PLACEHOLDER_ID,
            "value",
            PrimitiveType::Binary.into(),
        )),
    ]);
    Type::List(ListType::new(Arc::new(NestedField::list_element(
        PLACEHOLDER_ID,
        header.into(),
        true,
    ))))
}

fn headers_array(field: &Field, records: &[Record<'_>]) -> Result<ArrayRef, ArrowError> {
    let (DataType::List(element), mut keys, mut values) =
        (field.data_type(), StringBuilder::new(), LargeBinaryBuilder::new())
    else {
        return Err(ArrowError::SchemaError(format!("{} is not a list", field.name())));
    };
    let DataType::Struct(header) = element.data_type() else {
        return Err(ArrowError::SchemaError(format!(
            "{} is not a list of structs",
            field.name()
        )));
    };
    let mut counts = Vec::with_capacity(records.len());
    let mut key_bytes = 0usize;
    for record in records {
        let mut count = 0;
        record.headers.for_each(&mut |key, value| {
            key_bytes = key_bytes.saturating_add(key.len());
            if key_bytes <= i32::MAX as usize {
                keys.append_value(key);
                values.append_option(value);
            }
            count += 1;
        });
        counts.push(count);
    }
    if key_bytes > i32::MAX as usize {
        return Err(ArrowError::OffsetOverflowError(key_bytes));
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(values.finish())];
    let headers = Arc::new(StructArray::try_new(header.clone(), columns, None)?);
    Ok(Arc::new(ListArray::try_new(
        element.clone(),
        OffsetBuffer::from_lengths(counts),
        headers,
        None,
    )?))
}
