//! Tables with a history, for tests: snapshot ids are their sequence numbers.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, NestedField, Operation, PrimitiveType, Schema, Snapshot, SnapshotReference,
    SnapshotRetention, SortOrder, Summary, TableMetadata, TableMetadataBuilder, Type, UnboundPartitionSpec,
};
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::TableState;

use super::base::Base;

/// A time that no clock of a test machine is past: metadata refuses snapshots that are older than itself.
pub const LATE: i64 = 4_000_000_000_000;

/// Snapshots are made in the order in which they are named.
#[derive(Debug, Default)]
pub struct History {
    snapshots: Vec<Snapshot>,
    refs: Vec<(String, SnapshotReference)>,
    expired: Vec<i64>,
    properties: HashMap<String, String>,
}

impl History {
    pub fn ours(self, id: i64, parent: Option<i64>) -> Self {
        let state = TableState::encode(&TableState::empty());
        self.snapshot(id, parent, state.into_iter().collect())
    }

    pub fn foreign(self, id: i64, parent: Option<i64>) -> Self {
        self.snapshot(id, parent, HashMap::new())
    }

    pub fn main(self, id: i64) -> Self {
        self.branch(MAIN_BRANCH, id)
    }

    pub fn branch(self, name: &str, id: i64) -> Self {
        let (min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms) = (None, None, None);
        let retention = SnapshotRetention::Branch {
            min_snapshots_to_keep,
            max_snapshot_age_ms,
            max_ref_age_ms,
        };
        self.reference(name, SnapshotReference::new(id, retention))
    }

    pub fn tag(self, name: &str, id: i64) -> Self {
        self.reference(
            name,
            SnapshotReference::new(id, SnapshotRetention::Tag { max_ref_age_ms: None }),
        )
    }

    pub fn expired(mut self, id: i64) -> Self {
        self.expired.push(id);
        self
    }

    pub fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn metadata(&self) -> TableMetadata {
        let column = NestedField::required(1, "a", Type::Primitive(PrimitiveType::Int));
        let schema = Schema::builder()
            .with_fields([Arc::new(column)])
            .build()
            .expect("a schema");
        let spec = UnboundPartitionSpec::builder().build();
        let (sort, version) = (SortOrder::unsorted_order(), FormatVersion::V2);
        let location = "memory:///table".to_owned();
        let mut builder =
            TableMetadataBuilder::new(schema, spec, sort, location, version, self.properties.clone())
                .expect("a table");
        for snapshot in &self.snapshots {
            builder = builder.add_snapshot(snapshot.clone()).expect("a snapshot");
        }
        for (name, reference) in &self.refs {
            builder = builder.set_ref(name, reference.clone()).expect("a reference");
        }
        builder
            .remove_snapshots(&self.expired)
            .build()
            .expect("metadata")
            .metadata
    }

    pub fn table(&self) -> LoadedTable {
        LoadedTable {
            ident: TableIdent::from_strs(["shop", "orders"]).expect("a name"),
            metadata_location: "memory:///table/metadata/1.json".to_owned(),
            metadata: Arc::new(self.metadata()),
        }
    }

    pub fn base(&self) -> Base<TableState> {
        Base::read(self.table()).expect("a state")
    }

    fn snapshot(mut self, id: i64, parent: Option<i64>, properties: HashMap<String, String>) -> Self {
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(id)
            .with_timestamp_ms(LATE + id)
            .with_manifest_list(format!("memory:///table/metadata/{id}.avro"))
            .with_summary(Summary {
                operation: Operation::Append,
                additional_properties: properties,
            })
            .with_schema_id(0)
            .build();
        self.snapshots.push(snapshot);
        self
    }

    fn reference(mut self, name: &str, reference: SnapshotReference) -> Self {
        self.refs.push((name.to_owned(), reference));
        self
    }
}
