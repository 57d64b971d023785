//! `partition_by` strings -> partition spec.
//!
//! Fields are named as Spark names them in CREATE TABLE: `created_at_day`, `id_bucket`, `name_trunc`,
//! and the plain name for identity. Characters that Avro does not allow in a name become `_` (as in
//! `customer_id_bucket` for `bucket(8, customer.id)`), because the iceberg crate writes field names
//! into manifests as they are.

use iceberg::spec::{PartitionSpec, Schema, Transform, UnboundPartitionField, UnboundPartitionSpec};

use super::PartitionError;
use super::age::is_of_time;

pub(super) const TRANSFORMS: &str = "year(column), month(column), day(column), hour(column), bucket(n, column), \
                                     truncate(width, column), identity(column)";

pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Parses strings such as `day(created_at)`, `bucket(16, id)` or `country` against `schema`. Nested
/// columns are written with dots. The spec that comes back is checked to bind to `schema`.
///
/// # Errors
/// Names the string at fault, and the nearest column where one is unknown.
pub fn parse_partition_by(
    partition_by: &[impl AsRef<str>],
    schema: &Schema,
) -> Result<UnboundPartitionSpec, PartitionError> {
    let mut builder = UnboundPartitionSpec::builder();
    for text in partition_by {
        let text = text.as_ref().trim();
        let not_partitionable = |source| PartitionError::NotPartitionable {
            text: text.to_owned(),
            source,
        };
        let (transform, column) = parse(text)?;
        let source_id = schema
            .field_id_by_name(column)
            .ok_or_else(|| PartitionError::NoSuchColumn {
                text: text.to_owned(),
                column: column.to_owned(),
                nearest: nearest_column(column, schema),
            })?;
        let name = field_name(transform, column);
        // Bound one by one as well, so that the error can name the string that does not fit.
        PartitionSpec::builder(schema.clone())
            .add_unbound_field(UnboundPartitionField {
                source_id,
                field_id: None,
                name: name.clone(),
                transform,
            })
            .map_err(not_partitionable)?;
        builder = builder
            .add_partition_field(source_id, name, transform)
            .map_err(not_partitionable)?;
    }
    Ok(builder.build())
}

/// Partition fields as `partition_by` has them, each a transform with the id of its column.
pub fn describe_partition_by(fields: impl Iterator<Item = (Transform, i32)>, schema: &Schema) -> Vec<String> {
    let describe = |(transform, source_id)| {
        let column = schema.name_by_field_id(source_id).unwrap_or("?");
        match transform {
            Transform::Identity => column.to_owned(),
            Transform::Bucket(buckets) => format!("bucket({buckets}, {column})"),
            Transform::Truncate(width) => format!("truncate({width}, {column})"),
            other => format!("{other}({column})"),
        }
    };
    fields.map(describe).collect()
}

/// The column that a field of `partition_by` is made of, dotted.
///
/// # Errors
/// Those of syntax.
pub fn partitioned_column(text: &str) -> Result<&str, PartitionError> {
    parse(text).map(|(_, column)| column)
}

/// The column, dotted, whose year, month, day or hour a field of `partition_by` is; `None` for any other field.
pub fn timed_column(text: &str) -> Option<&str> {
    let (transform, column) = parse(text).ok()?;
    is_of_time(transform).then_some(column)
}

fn parse(text: &str) -> Result<(Transform, &str), PartitionError> {
    let syntax = |problem: String| PartitionError::Syntax {
        text: text.to_owned(),
        problem,
    };
    let Some((name, rest)) = text.split_once('(') else {
        return match text {
            "" => Err(syntax("it is empty".to_owned())),
            column => Ok((Transform::Identity, column)),
        };
    };
    let arguments = rest
        .strip_suffix(')')
        .ok_or_else(|| syntax("the closing parenthesis is missing".to_owned()))?;
    let name = name.trim().to_ascii_lowercase();
    let transform = match name.as_str() {
        "identity" => Transform::Identity,
        "year" | "years" => Transform::Year,
        "month" | "months" => Transform::Month,
        "day" | "days" => Transform::Day,
        "hour" | "hours" => Transform::Hour,
        "bucket" | "truncate" => {
            let (number, column) = arguments
                .split_once(',')
                .ok_or_else(|| syntax(format!("`{name}` takes a number and a column")))?;
            let number = number
                .trim()
                .parse::<u32>()
                .ok()
                .filter(|number| (1..=i32::MAX as u32).contains(number))
                .ok_or_else(|| syntax(format!("`{}` is not a number from 1 on", number.trim())))?;
            let transform = if name == "bucket" {
                Transform::Bucket(number)
            } else {
                Transform::Truncate(number)
            };
            return Ok((transform, column.trim()));
        }
        _ => return Err(syntax(format!("there is no transform `{name}`"))),
    };
    match arguments.trim() {
        "" => Err(syntax(format!("`{name}` takes a column"))),
        column => Ok((transform, column)),
    }
}

fn field_name(transform: Transform, column: &str) -> String {
    let suffix = match transform {
        Transform::Year => "_year",
        Transform::Month => "_month",
        Transform::Day => "_day",
        Transform::Hour => "_hour",
        Transform::Bucket(_) => "_bucket",
        Transform::Truncate(_) => "_trunc",
        Transform::Identity | Transform::Void | Transform::Unknown => "",
    };
    let mut name: String = column
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name + suffix
}

fn nearest_column(column: &str, schema: &Schema) -> Option<String> {
    let mut names: Vec<&String> = schema.field_id_to_name_map().values().collect();
    names.sort();
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(column, name), name))
        .filter(|(distance, _)| *distance <= 1 + column.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.clone())
}
