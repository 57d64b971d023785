//! The metadata of a new table from updates that describe all of it, which is how engines commit a creation that was
//! staged. iceberg's builder gives new tables new ids; here those stay that were sent, because data files have been
//! written under them.

use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, PartitionSpec, Schema, SortOrder, TableMetadata, UnboundPartitionSpec};
use serde_json::{Value, json};
use tabletopic_clock::Millis;
use uuid::Uuid;

use crate::change::{check_readable, dated};

/// The highest id of a partition field in a table that has none (Iceberg's specification, "Partition Specs").
const NO_PARTITION_ID: i32 = 999;

/// The metadata that `updates` describe. The first schema, partition spec, sort order and format version among them are
/// what the table begins with; the others are applied to it. `location` is for updates that set none.
pub(crate) fn create(
    updates: Vec<TableUpdate>,
    location: String,
    uuid: Uuid,
    now: Millis,
) -> iceberg::Result<TableMetadata> {
    let adds_snapshot = updates
        .iter()
        .any(|update| matches!(update, TableUpdate::AddSnapshot { .. }));
    let (begin, rest) = Begin::take(updates)?;
    let mut builder = begin.metadata(location, uuid, now)?.into_builder(None);
    for update in rest {
        builder = update.apply(builder)?;
    }
    let mut metadata = builder.build()?.metadata;
    if !adds_snapshot {
        metadata = dated(metadata, now, false)?;
    }
    check_readable(&metadata)?;
    Ok(metadata)
}

/// What a table begins with.
struct Begin {
    schema: Schema,
    spec: PartitionSpec,
    order: SortOrder,
    version: FormatVersion,
}

/// "What was added last", in the place of an id.
const LAST_ADDED: i32 = -1;

impl Begin {
    /// The first of each kind, and the updates that are left.
    fn take(updates: Vec<TableUpdate>) -> iceberg::Result<(Self, Vec<TableUpdate>)> {
        let (mut schema, mut spec, mut order, mut version) = (None, None, None, None);
        // Whether what was added last is the first of its kind, of which the builder knows nothing.
        let (mut first_schema, mut first_spec, mut first_order) = (true, true, true);
        let mut rest = Vec::with_capacity(updates.len());
        for update in updates {
            match update {
                TableUpdate::AddSchema { schema: first } if schema.is_none() => schema = Some(first),
                TableUpdate::AddSpec { spec: first } if spec.is_none() => spec = Some(first),
                TableUpdate::AddSortOrder { sort_order: first } if order.is_none() => order = Some(first),
                TableUpdate::UpgradeFormatVersion {
                    format_version: first,
                } if version.is_none() => {
                    version = Some(first);
                }
                // The table begins with these.
                TableUpdate::SetCurrentSchema {
                    schema_id: LAST_ADDED,
                } if first_schema => {}
                TableUpdate::SetDefaultSpec { spec_id: LAST_ADDED } if first_spec => {}
                TableUpdate::SetDefaultSortOrder { sort_order_id }
                    if first_order && is_last(sort_order_id) => {}
                other => {
                    first_schema &= !matches!(other, TableUpdate::AddSchema { .. });
                    first_spec &= !matches!(other, TableUpdate::AddSpec { .. });
                    first_order &= !matches!(other, TableUpdate::AddSortOrder { .. });
                    rest.push(other);
                }
            }
        }
        let schema = schema.ok_or_else(|| invalid("a table is created with a schema, and none is added"))?;
        let spec = spec.unwrap_or_else(|| UnboundPartitionSpec::builder().with_spec_id(0).build());
        let begin = Self {
            spec: spec.bind(schema.clone())?,
            schema,
            order: order.unwrap_or_else(SortOrder::unsorted_order),
            version: version.unwrap_or(FormatVersion::V2),
        };
        Ok((begin, rest))
    }

    /// The table without the other updates. There is no constructor that keeps ids: it goes through JSON.
    fn metadata(self, location: String, uuid: Uuid, now: Millis) -> iceberg::Result<TableMetadata> {
        let last_partition_id = self.spec.fields().iter().map(|field| field.field_id).max();
        let mut json = json!({
            "format-version": self.version as u8,
            "table-uuid": uuid,
            "location": location,
            "last-updated-ms": now,
            "last-column-id": self.schema.highest_field_id(),
            "current-schema-id": self.schema.schema_id(),
            "schemas": [self.schema],
            "default-spec-id": self.spec.spec_id(),
            "partition-specs": [self.spec],
            "last-partition-id": last_partition_id.unwrap_or(NO_PARTITION_ID),
            "default-sort-order-id": self.order.order_id,
            "sort-orders": [self.order],
        });
        match self.version {
            FormatVersion::V1 => {
                json["schema"] = json["schemas"][0].clone();
                json["partition-spec"] = json["partition-specs"][0]["fields"].clone();
            }
            FormatVersion::V2 => json["last-sequence-number"] = Value::from(0),
            FormatVersion::V3 => {
                json["last-sequence-number"] = Value::from(0);
                json["next-row-id"] = Value::from(0);
            }
        }
        Ok(serde_json::from_value(json)?)
    }
}

fn is_last(sort_order_id: i64) -> bool {
    sort_order_id == i64::from(LAST_ADDED)
}

fn invalid(words: &str) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::DataInvalid, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updates() -> Vec<TableUpdate> {
        serde_json::from_value(json!([
            { "action": "assign-uuid", "uuid": Uuid::from_u128(7) },
            { "action": "upgrade-format-version", "format-version": 2 },
            { "action": "add-schema", "schema": { "type": "struct", "schema-id": 0, "fields": [
                { "id": 5, "name": "a", "required": false, "type": { "type": "struct", "fields": [
                    { "id": 3, "name": "b", "required": false, "type": "string" } ] } },
                { "id": 9, "name": "c", "required": true, "type": "long" } ] } },
            { "action": "set-current-schema", "schema-id": -1 },
            { "action": "add-spec", "spec": { "spec-id": 0, "fields": [
                { "name": "c_bucket", "transform": "bucket[4]", "source-id": 9, "field-id": 1004 } ] } },
            { "action": "set-default-spec", "spec-id": -1 },
            { "action": "add-sort-order", "sort-order": { "order-id": 0, "fields": [] } },
            { "action": "set-default-sort-order", "sort-order-id": -1 },
            { "action": "set-location", "location": "memory:///elsewhere" },
            { "action": "set-properties", "updates": { "a": "1" } },
        ]))
        .unwrap()
    }

    fn made(updates: Vec<TableUpdate>) -> iceberg::Result<TableMetadata> {
        create(
            updates,
            "memory:///lake/t".to_owned(),
            Uuid::nil(),
            1_700_000_000_000,
        )
    }

    #[test]
    fn ids_stay_as_they_were_sent() {
        let metadata = made(updates()).unwrap();
        let schema = metadata.current_schema();
        assert_eq!(schema.field_id_by_name("a"), Some(5));
        assert_eq!(schema.field_id_by_name("a.b"), Some(3));
        assert_eq!(schema.field_id_by_name("c"), Some(9));
        assert_eq!((schema.schema_id(), metadata.last_column_id()), (0, 9));
        let spec = metadata.default_partition_spec();
        assert_eq!((spec.spec_id(), spec.fields()[0].field_id), (0, 1004));
        assert_eq!(metadata.last_partition_id(), 1004);
        assert_eq!(metadata.uuid(), Uuid::from_u128(7));
        assert_eq!(metadata.location(), "memory:///elsewhere");
        assert_eq!(metadata.properties()["a"], "1");
        assert_eq!(metadata.last_updated_ms(), 1_700_000_000_000);
        assert!(metadata.metadata_log().is_empty());
    }

    #[test]
    fn every_format_version_can_be_created() {
        for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
            let mut updates = updates();
            updates[1] = TableUpdate::UpgradeFormatVersion {
                format_version: version,
            };
            assert_eq!(made(updates).unwrap().format_version(), version);
        }
    }

    #[test]
    fn a_schema_that_follows_becomes_the_current_one() {
        let mut updates = updates();
        updates.extend::<Vec<TableUpdate>>(
            serde_json::from_value(json!([
                { "action": "add-schema", "schema": { "type": "struct", "schema-id": 1, "fields": [
                    { "id": 9, "name": "c", "required": true, "type": "long" },
                    { "id": 10, "name": "d", "required": false, "type": "int" } ] } },
                { "action": "set-current-schema", "schema-id": -1 },
            ]))
            .unwrap(),
        );
        let metadata = made(updates).unwrap();
        assert_eq!((metadata.current_schema_id(), metadata.last_column_id()), (1, 10));
        assert_eq!(metadata.schemas_iter().len(), 2);
    }

    #[test]
    fn without_a_schema_or_with_a_spec_of_other_columns_there_is_no_table() {
        let no_schema = updates().into_iter().filter(|update| {
            !matches!(
                update,
                TableUpdate::AddSchema { .. } | TableUpdate::SetCurrentSchema { .. }
            )
        });
        let error = made(no_schema.collect()).unwrap_err().to_string();
        assert!(error.contains("with a schema"), "{error}");

        let mut other = updates();
        other[4] = serde_json::from_value(json!({ "action": "add-spec", "spec": { "fields": [
            { "name": "x", "transform": "identity", "source-id": 77 } ] } }))
        .unwrap();
        assert!(made(other).is_err());
    }
}
