//! The JSON of requests and answers. Updates, requirements and metadata are the `iceberg` crate's.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use iceberg::spec::{Schema, SortOrder, TableMetadata, TableProperties, UnboundPartitionSpec};
use iceberg::{TableCreation, TableRequirement, TableUpdate};
use serde::{Deserialize, Serialize};

use super::signing::SigningConfig;
use crate::TableChange;
use crate::serve::Identifier;

/// The partition spec that a table begins with.
const FIRST_SPEC: i32 = 0;

#[derive(Serialize)]
pub(super) struct CreateNamespace<'a> {
    pub(super) namespace: &'a [String],
    pub(super) properties: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Namespaces {
    pub(super) namespaces: Vec<Vec<String>>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tables {
    pub(super) identifiers: Vec<Identifier>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CreateTable {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_spec: Option<UnboundPartitionSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_order: Option<SortOrder>,
    stage_create: bool,
    properties: HashMap<String, String>,
}

impl From<TableCreation> for CreateTable {
    fn from(creation: TableCreation) -> Self {
        let mut properties = creation.properties;
        // How clients ask for a format version; it does not become a property.
        let version = (creation.format_version as u8).to_string();
        properties.insert(TableProperties::PROPERTY_FORMAT_VERSION.to_owned(), version);
        Self {
            name: creation.name,
            location: creation.location,
            partition_spec: creation
                .partition_spec
                .map(|spec| numbered(spec, &creation.schema)),
            schema: creation.schema,
            write_order: creation.sort_order,
            stage_create: false,
            properties,
        }
    }
}

/// Iceberg's Java implementation reads no spec without an id, and Nessie no field without one. What does not fit the schema
/// is the server's to refuse.
fn numbered(spec: UnboundPartitionSpec, schema: &Schema) -> UnboundPartitionSpec {
    let bound = spec.clone().bind(schema.clone());
    bound.map_or(spec, Into::into).with_spec_id(FIRST_SPEC)
}

#[derive(Serialize)]
pub(super) struct CommitTable<'a> {
    pub(super) identifier: Identifier,
    requirements: &'a [TableRequirement],
    updates: &'a [TableUpdate],
}

impl<'a> CommitTable<'a> {
    pub(super) fn new(identifier: Identifier, change: &'a TableChange) -> Self {
        Self {
            identifier,
            requirements: &change.requirements,
            updates: &change.updates,
        }
    }
}

/// A table, as loads, creations and commits are answered.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoadedBody {
    pub(super) metadata_location: Option<String>,
    pub(super) metadata: TableMetadata,
    #[serde(default)]
    pub(super) config: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) storage_credentials: Option<Vec<StorageCredential>>,
    #[serde(default)]
    pub(super) remote_signing_config: Option<SigningConfig>,
}

/// What is good for the files below a place.
#[derive(Deserialize)]
pub(super) struct StorageCredential {
    pub(super) prefix: String,
    pub(super) config: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StorageCredentials {
    pub(super) storage_credentials: Vec<StorageCredential>,
}

/// # Errors
/// In words: it has something in it that JSON has no words for.
pub(super) fn json(body: &impl Serialize) -> Result<Bytes, String> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| format!("the request cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, PrimitiveType, Transform, Type};
    use serde_json::json;

    use super::*;

    #[test]
    fn partition_fields_are_sent_with_ids() {
        let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long));
        let spec = UnboundPartitionSpec::builder()
            .add_partition_field(1, "id", Transform::Identity)
            .and_then(|spec| spec.add_partition_field(1, "bucket", Transform::Bucket(4)));
        let creation = TableCreation::builder()
            .name("orders".to_owned())
            .schema(Schema::builder().with_fields([id.into()]).build().unwrap())
            .partition_spec(spec.unwrap().build())
            .build();
        let body = serde_json::to_value(CreateTable::from(creation)).unwrap();
        let field = |id: i32, name: &str, transform: &str| json!({ "source-id": 1, "field-id": id, "name": name, "transform": transform });
        let fields = [field(1000, "id", "identity"), field(1001, "bucket", "bucket[4]")];
        assert_eq!(body["partition-spec"], json!({ "spec-id": 0, "fields": fields }));
    }
}
