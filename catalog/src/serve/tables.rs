//! Tables: listed, made, loaded, named anew, dropped. Their commits are in `commits`.

use std::collections::HashMap;

use http::header::IF_NONE_MATCH;
use iceberg::spec::{FormatVersion, Schema, SortOrder, TableMetadata, TableProperties, UnboundPartitionSpec};
use iceberg::{TableCreation, TableIdent};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RestCatalog;
use super::error::Refusal;
use super::names::{Identifier, joined, name};
use super::paging::Page;
use super::reply::{Reply, Snapshots, etag, is_among};
use super::request::Asked;

/// What the column of an SQL catalog holds.
const LONGEST_LOCATION: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Create {
    name: String,
    location: Option<String>,
    schema: Schema,
    partition_spec: Option<UnboundPartitionSpec>,
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: bool,
    #[serde(default)]
    properties: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Register {
    name: String,
    metadata_location: String,
    #[serde(default)]
    overwrite: bool,
}

#[derive(Deserialize)]
struct Rename {
    source: Identifier,
    destination: Identifier,
}

impl RestCatalog {
    pub(super) async fn list_tables(&self, namespace: &str, asked: &Asked) -> Result<Reply, Refusal> {
        let page = Page::of(asked)?;
        let tables = self.catalog.list_tables(&joined(namespace)?).await?;
        let (tables, next) = page.cut(tables, |table| table.name.clone());
        let identifiers: Vec<Identifier> = tables.into_iter().map(Identifier::from).collect();
        Reply::json(&json!({ "identifiers": identifiers, "next-page-token": next }))
    }

    pub(super) async fn create_table(&self, namespace: &str, asked: &Asked) -> Result<Reply, Refusal> {
        let namespace = joined(namespace)?;
        let mut create: Create = asked.json()?;
        if let Some(location) = &create.location {
            self.places.check(location)?;
        }
        let creation = TableCreation {
            name: name(create.name)?,
            location: create.location,
            schema: create.schema,
            partition_spec: create.partition_spec,
            sort_order: create.write_order,
            format_version: format_version(&mut create.properties)?,
            properties: create.properties,
        };
        if create.stage_create {
            return Reply::staged(&self.catalog.stage(&namespace, creation).await?);
        }
        let table = self.catalog.create(&namespace, creation).await?;
        Reply::table(&table, Snapshots::All)
    }

    pub(super) async fn register_table(&self, namespace: &str, asked: &Asked) -> Result<Reply, Refusal> {
        let namespace = joined(namespace)?;
        let register: Register = asked.json()?;
        if register.overwrite {
            return Err(Refusal::unsupported(
                "a table that is there is not registered over; drop it first, without purging it",
            ));
        }
        let location = register.metadata_location;
        if location.chars().count() > LONGEST_LOCATION {
            return Err(Refusal::bad_request(format!(
                "a metadata-location has at most {LONGEST_LOCATION} characters"
            )));
        }
        self.places.check(&location)?;
        let table = TableIdent::new(namespace, name(register.name)?);
        let metadata = TableMetadata::read_from(&self.file_io, &location)
            .await
            .map_err(|error| {
                Refusal::bad_request(format!(
                    "{location} is no table's metadata that could be registered: {error}"
                ))
            })?;
        // This process would delete the files that it names one day.
        self.places.check_table(&metadata)?;
        let registered = self.catalog.register(&table, &location).await?;
        Reply::table(&registered, Snapshots::All)
    }

    pub(super) async fn load_table(
        &self,
        namespace: &str,
        table: &str,
        asked: &Asked,
    ) -> Result<Reply, Refusal> {
        let table = ident(namespace, table)?;
        let snapshots = match asked.query("snapshots") {
            None | Some("all") => Snapshots::All,
            Some("refs") => Snapshots::Refs,
            Some(other) => {
                return Err(Refusal::bad_request(format!(
                    "snapshots is `all` or `refs`, not {other:?}"
                )));
            }
        };
        if let Some(known) = asked.header(IF_NONE_MATCH) {
            let etag = etag(&self.catalog.metadata_location(&table).await?, snapshots);
            if is_among(&etag, known) {
                return Ok(Reply::NotModified { etag });
            }
        }
        Reply::table(&self.catalog.load(&table).await?, snapshots)
    }

    pub(super) async fn table_exists(&self, namespace: &str, table: &str) -> Result<Reply, Refusal> {
        let table = ident(namespace, table)?;
        self.catalog.metadata_location(&table).await?;
        Ok(Reply::Done)
    }

    pub(super) async fn drop_table(
        &self,
        namespace: &str,
        table: &str,
        asked: &Asked,
    ) -> Result<Reply, Refusal> {
        let table = ident(namespace, table)?;
        match asked.is_true("purgeRequested")? {
            true => self.purge(&table).await?,
            false => self.catalog.drop_table(&table).await?,
        }
        Ok(Reply::Done)
    }

    pub(super) async fn rename_table(&self, asked: &Asked) -> Result<Reply, Refusal> {
        let Rename { source, destination } = asked.json()?;
        self.catalog
            .rename(&source.table()?, &destination.table()?)
            .await?;
        Ok(Reply::Done)
    }

    /// A client's measurements of a scan or a commit: taken, and kept in the log at most.
    pub(super) async fn report_metrics(
        &self,
        namespace: &str,
        table: &str,
        asked: &Asked,
    ) -> Result<Reply, Refusal> {
        let table = ident(namespace, table)?;
        let report: Value = asked.json()?;
        let Some(kind) = report["report-type"].as_str() else {
            return Err(Refusal::bad_request("a metrics report has a report-type"));
        };
        self.catalog.metadata_location(&table).await?;
        tracing::debug!(%table, kind, "an engine reports metrics");
        Ok(Reply::Done)
    }
}

pub(super) fn ident(namespace: &str, table: &str) -> Result<TableIdent, Refusal> {
    Ok(TableIdent::new(joined(namespace)?, name(table.to_owned())?))
}

/// Clients ask for a format version by a property, which is not kept as one.
fn format_version(properties: &mut HashMap<String, String>) -> Result<FormatVersion, Refusal> {
    match properties
        .remove(TableProperties::PROPERTY_FORMAT_VERSION)
        .as_deref()
    {
        None | Some("2") => Ok(FormatVersion::V2),
        Some("1") => Ok(FormatVersion::V1),
        Some("3") => Ok(FormatVersion::V3),
        Some(other) => Err(Refusal::bad_request(format!(
            "format-version is 1, 2 or 3, not {other:?}"
        ))),
    }
}
