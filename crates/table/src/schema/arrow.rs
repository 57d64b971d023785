//! Iceberg schema -> Arrow schema.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use iceberg::spec::Schema;

use super::SchemaError;

/// The Arrow schema that batches for this table have: columns in the order of the table, with their
/// field ids under `PARQUET:field_id`; timestamps in microseconds, UTC where they have a zone;
/// `string` as Utf8, `binary` as LargeBinary, `uuid` as FixedSizeBinary(16).
pub fn arrow_schema(schema: &Schema) -> Result<SchemaRef, SchemaError> {
    Ok(Arc::new(iceberg::arrow::schema_to_arrow_schema(schema)?))
}
