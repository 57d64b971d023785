//! How old the rows of a partition value are, at least.

use chrono::{DateTime, Days, Months, NaiveDate};
use iceberg::spec::{Literal, PartitionSpec, PrimitiveLiteral, Struct, Transform};

/// Whether a transform makes partitions of time.
pub fn is_of_time(transform: Transform) -> bool {
    match transform {
        Transform::Year | Transform::Month | Transform::Day | Transform::Hour => true,
        Transform::Identity
        | Transform::Bucket(_)
        | Transform::Truncate(_)
        | Transform::Void
        | Transform::Unknown => false,
    }
}

/// Before which time all values of a column lie, in the files of a partition value: microseconds since 1970 in UTC, as
/// Iceberg has timestamps and, from midnight on, dates. `None` where the value does not tell: it is null, or the spec has
/// no partition by time of the column.
pub fn ends_at(spec: &PartitionSpec, value: &Struct, column: i32) -> Option<i64> {
    let fields = spec.fields().iter().zip(value.iter());
    let ends = fields
        .filter(|(field, _)| field.source_id == column)
        .filter_map(|(field, value)| {
            let Literal::Primitive(PrimitiveLiteral::Int(number)) = value? else {
                return None;
            };
            end_of(field.transform, *number)
        });
    ends.min()
}

/// The end of a year, month, day or hour, counted from 1970 ("Partition Transforms" of the Iceberg specification).
fn end_of(transform: Transform, number: i32) -> Option<i64> {
    let next = i64::from(number) + 1;
    let months = |months: i64| {
        let epoch = DateTime::UNIX_EPOCH.date_naive();
        let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        match months < 0 {
            true => epoch.checked_sub_months(count),
            false => epoch.checked_add_months(count),
        }
    };
    let days = |days: i64| {
        let epoch = DateTime::UNIX_EPOCH.date_naive();
        let count = Days::new(days.unsigned_abs());
        match days < 0 {
            true => epoch.checked_sub_days(count),
            false => epoch.checked_add_days(count),
        }
    };
    let midnight = |day: NaiveDate| Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    match transform {
        Transform::Year => midnight(months(next.checked_mul(12)?)?),
        Transform::Month => midnight(months(next)?),
        Transform::Day => midnight(days(next)?),
        Transform::Hour => next.checked_mul(3_600_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
    use proptest::prelude::*;

    use super::*;

    fn at(time: &str) -> i64 {
        DateTime::parse_from_rfc3339(time).unwrap().timestamp_micros()
    }

    #[test]
    fn a_partition_ends_where_the_next_begins() {
        let ends = [
            (Transform::Year, 56, "2027-01-01T00:00:00Z"),
            (Transform::Year, -1, "1970-01-01T00:00:00Z"),
            (Transform::Year, -2, "1969-01-01T00:00:00Z"),
            (Transform::Month, 56 * 12 + 1, "2026-03-01T00:00:00Z"),
            (Transform::Month, -2, "1969-12-01T00:00:00Z"),
            (Transform::Day, 0, "1970-01-02T00:00:00Z"),
            (Transform::Day, -1, "1970-01-01T00:00:00Z"),
            (Transform::Hour, 23, "1970-01-02T00:00:00Z"),
            (Transform::Hour, -1, "1970-01-01T00:00:00Z"),
        ];
        for (transform, number, end) in ends {
            assert_eq!(end_of(transform, number), Some(at(end)), "{transform} {number}");
        }
        assert_eq!(end_of(Transform::Year, i32::MAX), None, "beyond all calendars");
        assert_eq!(end_of(Transform::Identity, 7), None);
    }

    #[test]
    fn a_field_of_the_column_tells_and_null_tells_nothing() {
        let field =
            |id, name: &str| NestedField::optional(id, name, Type::Primitive(PrimitiveType::Timestamptz));
        let fields = [Arc::new(field(1, "at")), Arc::new(field(2, "other"))];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let spec = PartitionSpec::builder(schema)
            .add_partition_field("at", "day", Transform::Day)
            .and_then(|spec| spec.add_partition_field("other", "hour", Transform::Hour))
            .and_then(|spec| spec.add_partition_field("at", "bucket", Transform::Bucket(8)))
            .and_then(|spec| spec.build())
            .unwrap();
        let value = |day| Struct::from_iter([day, Some(Literal::int(5)), Some(Literal::int(0))]);
        let third = value(Some(Literal::date(3)));
        assert_eq!(ends_at(&spec, &third, 1), Some(at("1970-01-05T00:00:00Z")));
        assert_eq!(ends_at(&spec, &third, 2), Some(at("1970-01-01T06:00:00Z")));
        assert_eq!(ends_at(&spec, &third, 3), None);
        assert_eq!(ends_at(&spec, &value(None), 1), None);
    }

    proptest! {
        /// By iceberg's own transforms: a time is before the end of its partition, and not before the end of the one before.
        #[test]
        fn every_time_is_before_the_end_of_its_partition(micros in -4_000_000_000_000_000i64..8_000_000_000_000_000) {
            for transform in [Transform::Year, Transform::Month, Transform::Day, Transform::Hour] {
                let time = iceberg::spec::Datum::timestamptz_micros(micros);
                let function = iceberg::transform::create_transform_function(&transform).unwrap();
                let value = function.transform_literal_result(&time).unwrap();
                let (PrimitiveLiteral::Int(number), Some(end)) = (value.literal(), match value.literal() {
                    PrimitiveLiteral::Int(number) => end_of(transform, *number),
                    _ => None,
                }) else { panic!("{value}") };
                prop_assert!(micros < end);
                prop_assert!(end_of(transform, number - 1).unwrap() <= micros);
            }
        }
    }
}
