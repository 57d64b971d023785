//! The records, and the table that they go to.

use std::sync::Arc;

use iceberg::spec::{PartitionSpecRef, SchemaRef};
use tabletopic_decode::{DecodeSettings, create_schema, parse_ddl};
use tabletopic_records::{NoHeaders, Record};
use tabletopic_table::file::FileSchema;
use tabletopic_table::partition::{Splitter, parse_partition_by};

use crate::bids::{Bid, DDL, bids};

pub const RECORDS: usize = 12_000;

/// As many as the source hands out at once.
pub const BATCH: usize = 3_000;

/// Bids of one topic partition from this offset on. They stay to the end of the process.
pub fn records(first: i64, value: impl Fn(&Bid) -> Vec<u8>) -> Vec<Record<'static>> {
    let values = bids(RECORDS as u64).iter().map(value).collect::<Vec<_>>().leak();
    let records = (first..).zip(values).map(|(offset, value)| Record {
        partition: 0,
        offset,
        timestamp: Some(1_767_225_600_000 + offset),
        key: None,
        value: Some(value),
        headers: &NoHeaders,
    });
    records.collect()
}

#[derive(Debug, Clone)]
pub struct Table {
    pub schema: SchemaRef,
    pub spec: PartitionSpecRef,
}

impl Table {
    pub fn new(settings: &DecodeSettings, partition_by: &str) -> Self {
        let schema = create_schema(&parse_ddl(DDL).unwrap(), settings).unwrap();
        let schema = Arc::new(schema);
        let spec = parse_partition_by(&[partition_by], &schema).unwrap();
        let spec = Arc::new(spec.bind(schema.clone()).unwrap());
        Self { schema, spec }
    }

    pub fn splitter(&self) -> Splitter {
        Splitter::new(&self.spec, &self.schema).unwrap()
    }

    pub fn file_schema(&self) -> Arc<FileSchema> {
        FileSchema::new(self.schema.clone(), self.spec.clone()).unwrap()
    }
}
