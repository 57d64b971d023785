//! The next partition spec of a table whose `partition_by` was changed.

use iceberg::spec::{
    PartitionField, Schema, SchemaRef, TableMetadata, Transform, UnboundPartitionField, UnboundPartitionSpec,
};

use super::{PartitionError, parse_partition_by};

/// What `partition_by` asks for, where the table is not partitioned so already. Columns may have the names that they had
/// in any of the table's schemas.
///
/// A field that any spec of the table has had keeps its name; its id the metadata builder finds again. A new one whose
/// name another field has had gets its number as well, such as `id_bucket_16`: engines that show all specs as one would
/// otherwise have two columns of one name.
///
/// # Errors
/// As [`parse_partition_by`].
pub fn changed_spec(
    partition_by: &[impl AsRef<str>],
    metadata: &TableMetadata,
) -> Result<Option<UnboundPartitionSpec>, PartitionError> {
    let mut fields = Vec::new();
    for text in partition_by {
        fields.extend(parse(text.as_ref(), metadata)?.fields().iter().cloned());
    }
    let now = metadata.default_partition_spec().fields().iter();
    let now = now.filter(|field| field.transform != Transform::Void);
    if now
        .map(|field| (field.source_id, field.transform))
        .eq(fields.iter().map(|field| (field.source_id, field.transform)))
    {
        return Ok(None);
    }
    let schema = metadata.current_schema();
    let known: Vec<&PartitionField> = metadata
        .partition_specs_iter()
        .flat_map(|spec| spec.fields())
        .collect();
    let mut builder = UnboundPartitionSpec::builder();
    for (field, text) in fields.into_iter().zip(partition_by) {
        let not_partitionable = |source| PartitionError::NotPartitionable {
            text: text.as_ref().to_owned(),
            source,
        };
        let name = name(&field, &known, schema);
        builder = builder
            .add_partition_field(field.source_id, name, field.transform)
            .map_err(not_partitionable)?;
    }
    Ok(Some(builder.build()))
}

/// One string of `partition_by`, by the newest schema that it fits.
fn parse(text: &str, metadata: &TableMetadata) -> Result<UnboundPartitionSpec, PartitionError> {
    let current = metadata.current_schema();
    let unknown = match parse_partition_by(&[text], current) {
        Err(error @ PartitionError::NoSuchColumn { .. }) => error,
        parsed => return parsed,
    };
    let mut schemas: Vec<&SchemaRef> = metadata.schemas_iter().collect();
    schemas.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let is_there = |spec: &UnboundPartitionSpec| {
        let mut fields = spec.fields().iter();
        fields.all(|field| current.field_by_id(field.source_id).is_some())
    };
    let mut earlier = schemas
        .into_iter()
        .filter_map(|schema| parse_partition_by(&[text], schema).ok());
    earlier.find(is_there).ok_or(unknown)
}

fn name(field: &UnboundPartitionField, known: &[&PartitionField], schema: &Schema) -> String {
    let same =
        |known: &&&PartitionField| known.source_id == field.source_id && known.transform == field.transform;
    if let Some(known) = known.iter().find(same) {
        return known.name.clone();
    }
    let is_free = |name: &str| {
        known.iter().all(|known| known.name != name)
            && (field.transform == Transform::Identity || schema.field_by_name(name).is_none())
    };
    let numbered = match field.transform {
        Transform::Bucket(number) | Transform::Truncate(number) => format!("{}_{number}", field.name),
        _ => field.name.clone(),
    };
    let mut names = [field.name.clone(), numbered.clone()]
        .into_iter()
        .chain((2..).map(|number| format!("{numbered}_{number}")));
    names.find(|name| is_free(name)).unwrap_or(numbered)
}
