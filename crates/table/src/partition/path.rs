//! The partition part of a file's path: `created_at_day=2026-01-01/id_bucket=7`.
//!
//! Nothing reads the value back from a path (manifests hold it); it is there for people who look at
//! the store, and written as Iceberg's Java client writes it.

use arrow::datatypes::Date32Type;
use arrow::temporal_conversions::timestamp_us_to_datetime;
use iceberg::spec::{Literal, PrimitiveLiteral, PrimitiveType, Struct, StructType, Transform, Type};
use iceberg::spec::{PartitionSpec, Schema};

use super::PartitionError;

/// Longest `name=value` in bytes. Local file systems end at 255, and an identity partition over a
/// long string would pass that.
const LONGEST_SEGMENT: usize = 200;

/// One `name=value` for each partition field, joined by `/`, both sides escaped as in a form
/// (`application/x-www-form-urlencoded`). Empty for an unpartitioned table.
pub fn partition_path(
    spec: &PartitionSpec,
    schema: &Schema,
    value: &Struct,
) -> Result<String, PartitionError> {
    let types: StructType = spec.partition_type(schema)?;
    let segments = spec
        .fields()
        .iter()
        .zip(types.fields())
        .zip(value.iter())
        .map(|((field, ty), value)| {
            let human = human(field.transform, &ty.field_type, value);
            shorten(format!("{}={}", escape(&field.name), escape(&human)))
        });
    Ok(segments.collect::<Vec<_>>().join("/"))
}

fn human(transform: Transform, ty: &Type, value: Option<&Literal>) -> String {
    let Some(value) = value else {
        return "null".to_owned();
    };
    match (transform, value) {
        (Transform::Year, Literal::Primitive(PrimitiveLiteral::Int(years))) => format!("{:04}", 1970 + years),
        (Transform::Month, Literal::Primitive(PrimitiveLiteral::Int(months))) => {
            format!(
                "{:04}-{:02}",
                1970 + months.div_euclid(12),
                months.rem_euclid(12) + 1
            )
        }
        (Transform::Hour, Literal::Primitive(PrimitiveLiteral::Int(hours))) => {
            format!("{}-{:02}", date(hours.div_euclid(24)), hours.rem_euclid(24))
        }
        (_, Literal::Primitive(literal)) => match (ty, literal) {
            (Type::Primitive(PrimitiveType::Date), PrimitiveLiteral::Int(days)) => date(*days),
            (Type::Primitive(PrimitiveType::Timestamp), PrimitiveLiteral::Long(micros)) => {
                timestamp(*micros, "")
            }
            (Type::Primitive(PrimitiveType::Timestamptz), PrimitiveLiteral::Long(micros)) => {
                timestamp(*micros, "+00:00")
            }
            (_, PrimitiveLiteral::Long(number)) => number.to_string(),
            (_, PrimitiveLiteral::Binary(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            _ => Transform::Identity.to_human_string(ty, Some(value)),
        },
        (transform, value) => transform.to_human_string(ty, Some(value)),
    }
}

/// Days since the epoch as a date, or as they are where the calendar ends.
fn date(days: i32) -> String {
    Date32Type::to_naive_date_opt(days).map_or_else(|| days.to_string(), |date| date.to_string())
}

fn timestamp(micros: i64, zone: &str) -> String {
    timestamp_us_to_datetime(micros).map_or_else(
        || micros.to_string(),
        |at| format!("{}{zone}", at.format("%Y-%m-%dT%H:%M:%S%.f")),
    )
}

fn escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn shorten(mut segment: String) -> String {
    if segment.len() > LONGEST_SEGMENT {
        // Escaped text is ASCII; an escape (`%XX`) is not cut in two.
        let start_of_escape = segment[LONGEST_SEGMENT - 2..LONGEST_SEGMENT].find('%');
        segment.truncate(start_of_escape.map_or(LONGEST_SEGMENT, |at| LONGEST_SEGMENT - 2 + at));
    }
    segment
}
