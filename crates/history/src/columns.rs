//! The columns of a raw-history table, and what tells that a table is one.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema as ArrowSchema, SchemaRef, TimeUnit};
use iceberg::TableIdent;
use iceberg::spec::Schema;
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::row_schema;
use tabletopic_table::schema::arrow_schema;

use crate::HistoryError;

pub const PARTITION: &str = "_kafka_partition";
pub const OFFSET: &str = "_kafka_offset";
const TIMESTAMP: &str = "_kafka_timestamp";
const TOPIC: &str = "_kafka_topic";
const KEY: &str = "key";
const VALUE: &str = "value";
const HEADERS: &str = "_kafka_headers";

/// Some columns of the table, in the order in which batches have them.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// With their field ids.
    pub fields: Vec<FieldRef>,
    /// Without.
    pub schema: SchemaRef,
}

/// What is read of the table.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Where rows are from: partition, offset, timestamp, and the topic if rows tell it.
    pub places: Wanted,
    /// The same, then key, value and headers.
    pub records: Wanted,
    pub tell_topics: bool,
}

impl Columns {
    /// # Errors
    /// A table that does not have them.
    pub fn of(table: &TableIdent, schema: &Schema) -> Result<Self, HistoryError> {
        let not_raw = |problem: String| HistoryError::NotRaw {
            table: table.clone(),
            problem,
        };
        let plain = row_schema(schema)?;
        let with_ids = arrow_schema(schema).map_err(|error| CommitError::Encode(error.to_string()))?;
        let needed = [PARTITION, OFFSET, TIMESTAMP, KEY, VALUE, HEADERS];
        let missing: Vec<&str> = needed
            .into_iter()
            .filter(|name| plain.index_of(name).is_err())
            .collect();
        if !missing.is_empty() {
            return Err(not_raw(format!("it has no {}", missing.join(", "))));
        }
        let others: Vec<&str> = needed
            .into_iter()
            .filter(|name| {
                plain
                    .field_with_name(name)
                    .is_ok_and(|field| !fits(name, field.data_type()))
            })
            .collect();
        if !others.is_empty() {
            return Err(not_raw(format!("{} is of another type", others.join(", "))));
        }
        let tell_topics = plain.index_of(TOPIC).is_ok();
        let topic = tell_topics.then_some(TOPIC);
        let places: Vec<&str> = [PARTITION, OFFSET, TIMESTAMP].into_iter().chain(topic).collect();
        let records: Vec<&str> = places.iter().copied().chain([KEY, VALUE, HEADERS]).collect();
        let wanted = |names: &[&str]| -> Result<Wanted, HistoryError> {
            let at = names.iter().map(|name| plain.index_of(name));
            let at: Vec<usize> = at
                .collect::<Result<_, _>>()
                .map_err(|error| not_raw(error.to_string()))?;
            let fields: Vec<FieldRef> = at.iter().map(|at| plain.fields()[*at].clone()).collect();
            Ok(Wanted {
                fields: at.iter().map(|at| with_ids.fields()[*at].clone()).collect(),
                schema: Arc::new(ArrowSchema::new(fields)),
            })
        };
        Ok(Self {
            places: wanted(&places)?,
            records: wanted(&records)?,
            tell_topics,
        })
    }
}

/// Anybody may widen the number of a partition as Iceberg allows.
fn fits(name: &str, ty: &DataType) -> bool {
    match name {
        PARTITION => matches!(ty, DataType::Int32 | DataType::Int64),
        OFFSET => *ty == DataType::Int64,
        TIMESTAMP => matches!(ty, DataType::Timestamp(TimeUnit::Microsecond, Some(_))),
        KEY | VALUE => *ty == DataType::LargeBinary,
        HEADERS => is_headers(ty),
        _ => false,
    }
}

/// A list of structs of a text and bytes, in this order.
fn is_headers(ty: &DataType) -> bool {
    let DataType::List(element) = ty else { return false };
    let DataType::Struct(fields) = element.data_type() else {
        return false;
    };
    let types: Vec<&DataType> = fields.iter().map(|field| field.data_type()).collect();
    types == [&DataType::Utf8, &DataType::LargeBinary]
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, PrimitiveType};

    use super::*;

    #[test]
    fn a_table_that_is_none_says_what_it_lacks() {
        let field = |id, name: &str, ty: PrimitiveType| NestedField::optional(id, name, ty.into()).into();
        let table = TableIdent::from_strs(["shop", "orders"]).unwrap();
        let schema = Schema::builder().with_fields([
            field(1, PARTITION, PrimitiveType::Int),
            field(2, OFFSET, PrimitiveType::Long),
            field(3, TIMESTAMP, PrimitiveType::Timestamptz),
            field(4, VALUE, PrimitiveType::String),
        ]);
        let said = Columns::of(&table, &schema.build().unwrap())
            .unwrap_err()
            .to_string();
        assert!(said.contains("it has no key, _kafka_headers"), "{said}");
    }
}
