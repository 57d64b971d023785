//! `\d`: what tables there are, and what one of them is like.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use iceberg::spec::TableMetadata;

use crate::engine::Engine;
use crate::error::QueryError;
use crate::output::table::Collected;

/// All tables of all namespaces, or those that `name` fits: `orders`, `shop.*`, with `*` for any letters.
///
/// # Errors
/// Those of the catalog.
pub async fn tables(
    engine: &Engine,
    name: Option<&str>,
    out: &mut (dyn Write + Send),
) -> Result<(), QueryError> {
    let listing = engine.listing().await?;
    let wanted = name.map(taken_apart);
    let all = listing
        .namespaces()
        .flat_map(|(name, namespace)| namespace.tables().iter().map(move |table| (name, table.as_str())))
        .filter(|(namespace, table)| match &wanted {
            None => true,
            Some((in_namespace, name)) => {
                fits(name, table)
                    && in_namespace
                        .as_deref()
                        .is_none_or(|wanted| fits(wanted, namespace))
            }
        });
    let (namespaces, tables): (Vec<&str>, Vec<&str>) = all.unzip();
    print(vec![("namespace", namespaces), ("table", tables)], out)
}

/// A table's columns, and below them how it is partitioned and what its newest snapshot holds. `name` is written as
/// in a query, with quotes where a query needs them.
///
/// # Errors
/// A table that does not exist; those of the catalog.
pub async fn table(engine: &Engine, name: &str, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let listing = engine.listing().await?;
    let (namespace, name) = taken_apart(name);
    let table = listing
        .namespace(namespace.as_deref(), &name)?
        .load(&name)
        .await?;
    let metadata = &table.metadata;
    let fields = metadata.current_schema().as_struct().fields();
    let types: Vec<String> = fields.iter().map(|field| field.field_type.to_string()).collect();
    print(
        vec![
            ("column", fields.iter().map(|field| field.name.as_str()).collect()),
            ("type", types.iter().map(String::as_str).collect()),
            (
                "null",
                fields
                    .iter()
                    .map(|field| if field.required { "no" } else { "yes" })
                    .collect(),
            ),
        ],
        out,
    )?;
    writeln!(out, "partitioned by: {}", partitioning(metadata))?;
    writeln!(out, "{}", newest(metadata))?;
    Ok(())
}

/// Whether `name` is what `pattern` says, in which `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// `shop.orders`, `"a.b"."Orders"`: the last part is the table.
fn taken_apart(name: &str) -> (Option<String>, String) {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in name.chars() {
        match (letter, parts.last_mut()) {
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => parts.push(String::new()),
            (letter, Some(part)) if quoted => part.push(letter),
            (letter, Some(part)) => part.extend(letter.to_lowercase()),
            (_, None) => {}
        }
    }
    let table = parts.pop().unwrap_or_default();
    ((!parts.is_empty()).then(|| parts.join(".")), table)
}

fn partitioning(metadata: &TableMetadata) -> String {
    let schema = metadata.current_schema();
    let fields = metadata.default_partition_spec().fields().iter();
    let fields: Vec<String> = fields
        .map(|field| {
            let column = schema
                .name_by_field_id(field.source_id)
                .unwrap_or("a dropped column");
            format!("{}({column})", field.transform)
        })
        .collect();
    match fields.as_slice() {
        [] => "nothing".to_owned(),
        fields => fields.join(", "),
    }
}

fn newest(metadata: &TableMetadata) -> String {
    let Some(snapshot) = metadata.current_snapshot() else {
        return "no snapshot yet".to_owned();
    };
    let total = |name| match snapshot.summary().additional_properties.get(name) {
        Some(number) => number.as_str(),
        None => "an unknown number of",
    };
    let at = chrono::DateTime::from_timestamp_millis(snapshot.timestamp_ms());
    format!(
        "snapshot {} of {}: {} rows in {} files",
        snapshot.snapshot_id(),
        at.map_or_else(String::new, |at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        total("total-records"),
        total("total-data-files"),
    )
}

fn print(columns: Vec<(&str, Vec<&str>)>, out: &mut (dyn Write + Send)) -> Result<(), QueryError> {
    let columns = columns
        .into_iter()
        .map(|(name, values)| (name, Arc::new(StringArray::from(values)) as ArrayRef));
    Collected::ready(RecordBatch::try_from_iter(columns)?).print("", out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("ord*", "orders", true),
            ("*", "", true),
            ("*s", "orders", true),
            ("o*d*s", "orders", true),
            ("o*d*x", "orders", false),
            // The two ends may not share a letter.
            ("or*rs", "ors", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn names_are_taken_apart_as_sql_does() {
        assert_eq!(taken_apart("Orders"), (None, "orders".to_owned()));
        assert_eq!(
            taken_apart("shop.orders"),
            (Some("shop".to_owned()), "orders".to_owned())
        );
        assert_eq!(
            taken_apart("\"a.b\".\"Orders\""),
            (Some("a.b".to_owned()), "Orders".to_owned())
        );
    }
}
