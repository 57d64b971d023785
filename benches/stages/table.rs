//! The table that the records go to.

use std::sync::Arc;

use anyhow::Result;
use iceberg::spec::{PartitionSpecRef, Schema, SchemaRef, UnboundPartitionSpec};
use tabletopic_table::file::FileSchema;
use tabletopic_table::partition::{Splitter, parse_partition_by};

pub struct Table {
    pub schema: SchemaRef,
    pub unbound: UnboundPartitionSpec,
    spec: PartitionSpecRef,
}

impl Table {
    pub fn new(schema: Schema, partition_by: &str) -> Result<Self> {
        let schema = Arc::new(schema);
        let unbound = parse_partition_by(&[partition_by], &schema)?;
        let spec = Arc::new(unbound.clone().bind(schema.clone())?);
        Ok(Self {
            schema,
            unbound,
            spec,
        })
    }

    pub fn splitter(&self) -> Result<Splitter> {
        Ok(Splitter::new(&self.spec, &self.schema)?)
    }

    pub fn file_schema(&self) -> Result<Arc<FileSchema>> {
        Ok(FileSchema::new(self.schema.clone(), self.spec.clone())?)
    }
}
