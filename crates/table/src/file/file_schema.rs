//! What files are written under.

use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use iceberg::spec::{PartitionSpecRef, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::types::SchemaDescriptor;

use super::FileError;
use crate::schema::arrow_schema;

/// The schema and partition spec of a table at the time a file is opened, with what follows from
/// them. A change of either needs another one, and other files.
#[derive(Debug)]
pub struct FileSchema {
    schema: SchemaRef,
    spec: PartitionSpecRef,
    arrow: ArrowSchemaRef,
    parquet: SchemaDescriptor,
}

impl FileSchema {
    pub fn new(schema: SchemaRef, spec: PartitionSpecRef) -> Result<Arc<Self>, FileError> {
        let arrow = arrow_schema(&schema)?;
        let parquet = ArrowSchemaConverter::new()
            .schema_root("table")
            .convert(&arrow)
            .map_err(FileError::Unwritable)?;
        Ok(Arc::new(Self {
            schema,
            spec,
            arrow,
            parquet,
        }))
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn spec(&self) -> &PartitionSpecRef {
        &self.spec
    }

    /// The schema that batches must have.
    pub fn arrow(&self) -> &ArrowSchemaRef {
        &self.arrow
    }

    /// The schema of the file. Its leaves are in the order in which a walk through the Arrow columns
    /// meets them.
    pub fn parquet(&self) -> &SchemaDescriptor {
        &self.parquet
    }
}
