//! Rows that no partition of the table can hold are bad records like any other.

use std::collections::BTreeSet;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use tabletopic_decode::{BadRecord, Decoded, Reason};
use tabletopic_table::partition::{PartitionError, Splitter};

use super::error::WriteError;

/// Takes the rows that `splitter` refuses out of the batch, and adds them to the bad records.
pub fn set_aside(splitter: &Splitter, decoded: &mut Decoded) -> Result<(), WriteError> {
    let mut refused = splitter.refused(&decoded.batch)?;
    if refused.is_empty() {
        return Ok(());
    }
    let rows = 0..decoded.batch.num_rows();
    let good: BooleanArray = rows
        .clone()
        .map(|row| Some(!refused.contains_key(&row)))
        .collect();
    decoded.batch = filter_record_batch(&decoded.batch, &good)?;

    let without_row: BTreeSet<usize> = decoded
        .bad
        .iter()
        .filter(|bad| !bad.nulled)
        .map(|bad| bad.index)
        .chain(decoded.filtered.iter().copied())
        .collect();
    let with_row = (0..).filter(|index| !without_row.contains(index));
    let found: Vec<BadRecord> = rows
        .zip(with_row)
        .filter_map(|(row, index)| Some(bad_record(index, &refused.remove(&row)?)))
        .collect();
    // What became null in them does not matter any more.
    decoded.bad.retain(|bad| {
        !bad.nulled
            || found
                .binary_search_by_key(&bad.index, |found| found.index)
                .is_err()
    });
    decoded.bad.extend(found);
    decoded.bad.sort_by_key(|bad| bad.index);
    Ok(())
}

fn bad_record(index: usize, error: &PartitionError) -> BadRecord {
    let field = match error {
        PartitionError::OutOfRange { column, .. } => Some(column.clone()),
        _ => None,
    };
    BadRecord {
        index,
        reason: Reason::NoPartition,
        field,
        detail: error.to_string(),
        nulled: false,
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_decode::{DecodeSettings, Format, OnBadRecord, create_schema, decoder, parse_ddl};
    use tabletopic_records::{NoHeaders, Record};
    use tabletopic_table::partition::parse_partition_by;

    use super::*;

    #[test]
    fn rows_are_matched_with_their_records() {
        let settings = DecodeSettings {
            infer: false,
            on_bad_record: OnBadRecord::NullField,
            ..DecodeSettings::new("orders", Format::Json)
        };
        let fields = parse_ddl("CREATE TABLE t (at TIMESTAMPTZ, n INT)").unwrap();
        let schema = create_schema(&fields, &settings).unwrap();
        let spec = parse_partition_by(&["day(at)".to_owned()], &schema).unwrap();
        let spec = spec.bind(schema.clone()).unwrap();
        let far = br#"{"at": 9200000000000000}"#;
        let far_and_nulled = br#"{"at": 9200000000000000, "n": "x"}"#;
        let values: [&[u8]; 6] = [
            b"{",
            b"{\"at\": 0}",
            far,
            b"{\"n\": \"x\"}",
            far_and_nulled,
            b"{}",
        ];
        let records: Vec<Record<'_>> = values
            .iter()
            .zip(0..)
            .map(|(value, offset)| Record {
                partition: 0,
                offset,
                timestamp: None,
                key: None,
                value: Some(*value),
                headers: &NoHeaders,
            })
            .collect();
        let mut decoded = decoder(&settings, &schema).unwrap().decode(&records).unwrap();
        set_aside(&Splitter::new(&spec, &schema).unwrap(), &mut decoded).unwrap();
        let bad: Vec<_> = decoded
            .bad
            .iter()
            .map(|bad| (bad.index, bad.reason, bad.field.as_deref(), bad.nulled))
            .collect();
        assert_eq!(
            bad,
            [
                (0, Reason::NotJson, None, false),
                (2, Reason::NoPartition, Some("at"), false),
                (3, Reason::WrongType, Some("n"), true),
                (4, Reason::NoPartition, Some("at"), false),
            ]
        );
        assert_eq!(decoded.batch.num_rows(), 3);
    }
}
