//! What rows are put in order by.

use arrow::array::{ArrayRef, RecordBatch};
use iceberg::spec::{PartitionSpec, Schema, Transform};

use super::PartitionError;
use super::key::Key;

/// Columns of a table, each as it is or as a transform makes it, of batches of one schema.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// `fields`: the id of a column, and what is made of it.
    ///
    /// # Errors
    /// A transform that is unknown here or does not take the column; a column inside a list or map.
    pub fn new(fields: &[(i32, Transform)], schema: &Schema) -> Result<Self, PartitionError> {
        let keys = fields.iter().map(|(source_id, transform)| {
            let name = schema.name_by_field_id(*source_id).unwrap_or_default();
            Key::new(name, *source_id, *transform, schema)
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// The partition value's fields.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn of_spec(spec: &PartitionSpec, schema: &Schema) -> Result<Self, PartitionError> {
        let fields = spec.fields().iter();
        let fields = fields.filter(|field| field.transform != Transform::Void);
        let fields: Vec<_> = fields.map(|field| (field.source_id, field.transform)).collect();
        Self::new(&fields, schema)
    }

    /// The values by row, in the order of the fields.
    ///
    /// # Errors
    /// A batch of another schema; a value that the transform cannot take.
    pub fn arrays(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, PartitionError> {
        self.0.iter().map(|key| key.array(batch)).collect()
    }
}
