//! What files are written under.

use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use iceberg::spec::{PartitionSpecRef, PrimitiveType, Schema, SchemaRef, Type};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType};

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
            .and_then(|converted| annotate_uuids(converted.root_schema(), &schema))
            .map(|root| SchemaDescriptor::new(Arc::new(root)))
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

/// Arrow has no UUID, so the converter leaves its annotation out, which Iceberg's spec asks for.
fn annotate_uuids(node: &ParquetType, schema: &Schema) -> Result<ParquetType, ParquetError> {
    let info = node.get_basic_info();
    let repetition = info.has_repetition().then(|| info.repetition());
    let id = info.has_id().then(|| info.id());
    if node.is_group() {
        let children = node
            .get_fields()
            .iter()
            .map(|child| annotate_uuids(child, schema).map(Arc::new));
        let mut group = ParquetType::group_type_builder(node.name())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(children.collect::<Result<_, _>>()?)
            .with_id(id);
        if let Some(repetition) = repetition {
            group = group.with_repetition(repetition);
        }
        return group.build();
    }
    let ty = id
        .and_then(|id| schema.field_by_id(id))
        .map(|field| field.field_type.as_ref());
    let (Some(Type::Primitive(PrimitiveType::Uuid)), Some(repetition)) = (ty, repetition) else {
        return Ok(node.clone());
    };
    ParquetType::primitive_type_builder(node.name(), node.get_physical_type())
        .with_repetition(repetition)
        .with_length(16)
        .with_logical_type(Some(LogicalType::Uuid))
        .with_id(id)
        .build()
}
