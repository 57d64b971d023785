//! Whether the tables that topics feed fit what the configuration says of them: first by the configuration
//! alone, then as the catalog has them.

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_catalog::{Catalog, CatalogError, LoadedTable};
use tabletopic_decode::{Format, WriterSchemas, create_schema, parse_ddl};
use tabletopic_ingest::PartitionBy;
use tabletopic_maintain::retain::is_kept_by;
use tabletopic_shape::{decoder, infer};
use tabletopic_table::partition::{changed_spec, describe_partition_by, parse_partition_by};

use super::finding::Finding;
use crate::config::{Config, Pattern, Topic};
use crate::exit::Exit;
use crate::{jobs, parts};

/// The tables whose columns are known without looking at a record or the catalog.
pub fn declared(config: &Config) -> Vec<Finding> {
    let of_patterns = config.patterns.iter().map(Pattern::model);
    config
        .topics
        .iter()
        .chain(of_patterns)
        .filter_map(|topic| declare(topic).transpose())
        .map(either)
        .collect()
}

/// The tables as the catalog has them; of those of `matched` topics, what is not as it should be. Makes nothing, not even
/// the catalog's file.
pub async fn existing(config: &Config, matched: &[Topic]) -> Vec<Finding> {
    let subject = format!("catalog {} in {}", config.catalog.name, config.catalog.place());
    let catalog = match parts::existing_lake(config).await {
        Ok(Some(lake)) => lake.catalog,
        Ok(None) => {
            return vec![Finding::ok(
                subject,
                "is not there yet; it will be made, and every table with it",
            )];
        }
        Err(error) => return vec![Finding::fail(Exit::of(&error), subject, error.to_string())],
    };
    if let Err(error) = catalog.may_write().await {
        return vec![Finding::fail(exit_of(&error), subject, error.to_string())];
    }
    let mut findings = vec![Finding::ok(subject, "opens")];
    for topic in &config.topics {
        findings.push(either(compare(catalog.as_ref(), topic).await));
    }
    for topic in matched {
        findings.extend(Some(either(compare(catalog.as_ref(), topic).await)).filter(Finding::is_news));
    }
    findings
}

/// A failure is a finding too.
fn either(result: Result<Finding, Finding>) -> Finding {
    result.unwrap_or_else(|finding| finding)
}

fn subject(topic: &Topic) -> String {
    format!("table {}", topic.table)
}

fn misfit(topic: &Topic, error: impl std::fmt::Display) -> Finding {
    Finding::fail(Exit::Configuration, subject(topic), error.to_string())
}

fn declare(topic: &Topic) -> Result<Option<Finding>, Finding> {
    let Some(columns) = columns(topic)? else {
        return Ok(None);
    };
    let schema = create_schema(&columns, &topic.decode).map_err(|error| misfit(topic, error))?;
    fits(topic, &schema)?;
    Ok(Some(Finding::ok(
        subject(topic),
        format!("{} columns are declared", schema.as_struct().fields().len()),
    )))
}

/// The record's own columns, if the configuration alone decides them.
fn columns(topic: &Topic) -> Result<Option<Vec<NestedFieldRef>>, Finding> {
    match (&topic.ddl, topic.decode.format) {
        (Some(file), _) => {
            let here = |error: &dyn std::fmt::Display| misfit(topic, format!("{}: {error}", file.display()));
            let sql = std::fs::read_to_string(file).map_err(|error| here(&error))?;
            parse_ddl(&sql).map(Some).map_err(|error| here(&error))
        }
        (None, Format::Raw) => infer(topic.shape.as_ref(), &[], &topic.decode)
            .map(Some)
            .map_err(|error| misfit(topic, error)),
        (None, Format::Avro | Format::JsonSchema | Format::Protobuf) if topic.schema_file.is_some() => {
            let settings = jobs::decode(topic, &WriterSchemas::default());
            let settings = settings.map_err(|error| misfit(topic, format!("{error:#}")))?;
            infer(topic.shape.as_ref(), &[], &settings)
                .map(Some)
                .map_err(|error| misfit(topic, error))
        }
        (None, Format::Json | Format::Avro | Format::JsonSchema | Format::Protobuf) => Ok(None),
    }
}

/// Event time, partition fields and column types, against a schema.
fn fits(topic: &Topic, schema: &Schema) -> Result<(), Finding> {
    let settings = jobs::decode(topic, &WriterSchemas::default());
    let settings = settings.map_err(|error| misfit(topic, format!("{error:#}")))?;
    decoder(topic.shape.as_ref(), &settings, schema).map_err(|error| misfit(topic, error))?;
    parse_partition_by(topic.partition_by.fields(), schema).map_err(|error| misfit(topic, error))?;
    Ok(())
}

async fn compare(catalog: &dyn Catalog, topic: &Topic) -> Result<Finding, Finding> {
    let ident = parts::table_ident(&topic.table).map_err(|error| misfit(topic, error))?;
    let table = match catalog.load(&ident).await {
        Ok(table) => table,
        Err(CatalogError::NotFound { .. }) => {
            return Ok(Finding::ok(
                subject(topic),
                "is not in the catalog yet; it will be made",
            ));
        }
        Err(error) => return Err(Finding::fail(exit_of(&error), subject(topic), error.to_string())),
    };
    let schema = table.metadata.current_schema();
    let settings = jobs::decode(topic, &WriterSchemas::default());
    let settings = settings.map_err(|error| misfit(topic, format!("{error:#}")))?;
    decoder(topic.shape.as_ref(), &settings, schema).map_err(|error| misfit(topic, error))?;
    let differences = [
        undeclared(topic, schema)?,
        repartitioned(topic, &table)?,
        kept_for_good(topic, &table),
    ];
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    Ok(if differences.is_empty() {
        Finding::ok(
            subject(topic),
            format!("exists and fits, at {}", table.metadata_location),
        )
    } else {
        Finding::warn(subject(topic), differences.join("; "))
    })
}

/// The columns of the DDL file that the table lacks or has with another type.
fn undeclared(topic: &Topic, schema: &Schema) -> Result<Option<String>, Finding> {
    if topic.ddl.is_none() {
        return Ok(None);
    }
    let declared = create_schema(&columns(topic)?.unwrap_or_default(), &topic.decode);
    let declared = declared.map_err(|error| misfit(topic, error))?;
    let mut differing = Vec::new();
    for field in declared.as_struct().fields() {
        match schema.field_by_name(&field.name) {
            None => differing.push(format!("it has no column {}", field.name)),
            // Field ids differ between the two, so that only what is printed can be compared.
            Some(there) if there.field_type.to_string() != field.field_type.to_string() => {
                differing.push(format!(
                    "column {} is {}, not {}",
                    field.name, there.field_type, field.field_type
                ))
            }
            Some(_) => {}
        }
    }
    Ok((!differing.is_empty()).then(|| {
        format!(
            "differs from its DDL file, which is used only to make a table: {}",
            differing.join(", ")
        )
    }))
}

/// Whether the table's partition spec is another one than the configuration says.
fn repartitioned(topic: &Topic, table: &LoadedTable) -> Result<Option<String>, Finding> {
    let PartitionBy::Said(fields) = &topic.partition_by else {
        return Ok(None);
    };
    let changed = changed_spec(fields, &table.metadata).map_err(|error| misfit(topic, error))?;
    Ok(changed.map(|_| {
        let schema = table.metadata.current_schema();
        let now = table.metadata.default_partition_spec().fields().iter();
        let now = describe_partition_by(now.map(|field| (field.transform, field.source_id)), schema);
        format!(
            "is partitioned by [{}], and will be by [{}] from the next commit on; files that are there stay as they are",
            now.join(", "),
            fields.join(", ")
        )
    }))
}

/// Whether no file of the table would ever be too old.
fn kept_for_good(topic: &Topic, table: &LoadedTable) -> Option<String> {
    let column = &topic.retain.as_ref()?.column;
    (!is_kept_by(&table.metadata, column)).then(|| {
        format!("`retain` removes nothing: it is not partitioned by the year, month, day or hour of {column}")
    })
}

fn exit_of(error: &CatalogError) -> Exit {
    match error {
        CatalogError::Unavailable { .. } => Exit::Later,
        CatalogError::NotFound { .. }
        | CatalogError::AlreadyExists { .. }
        | CatalogError::Rejected { .. } => Exit::Configuration,
        CatalogError::Corrupt { .. } | CatalogError::NotEmpty { .. } => Exit::Failed,
    }
}
