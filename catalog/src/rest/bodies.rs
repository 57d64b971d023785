//! The JSON of requests and answers. Updates, requirements and metadata are the `iceberg` crate's.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use iceberg::spec::{Schema, SortOrder, TableMetadata, TableProperties, UnboundPartitionSpec};
use iceberg::{TableCreation, TableRequirement, TableUpdate};
use serde::{Deserialize, Serialize};

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
            schema: creation.schema,
            // Iceberg's Java implementation reads none without an id.
            partition_spec: creation.partition_spec.map(|spec| spec.with_spec_id(FIRST_SPEC)),
            write_order: creation.sort_order,
            stage_create: false,
            properties,
        }
    }
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
