//! What a comparison answers.

use chrono::DateTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::merge::{Counts, Found, Kind};
use super::places::{Places, TopicPartition};
use super::schema::{Difference, Matching};
use super::side::Side;
use super::sums::Sums;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same columns, and the same rows.
    Equal,
    Differ,
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub verdict: Verdict,
    pub a: Table,
    pub b: Table,
    /// The columns that tell one row from all others; none: a row is known by all of its values.
    pub key: Vec<String>,
    /// All columns that were compared, with the key.
    pub columns: Vec<String>,
    pub schema: Vec<Difference>,
    pub differences: Counts,
    /// Whether keys that are there more than once were counted in all rows, or only in those that had to be read again.
    pub every_key: bool,
    /// In the order of topic and number; none where the key is not Kafka's.
    pub by_topic_partition: Vec<ByTopicPartition>,
    /// The fields of partition values; `None`: neither table is partitioned by what is compared.
    pub partitioned_by: Option<Vec<String>>,
    pub by_partition: Vec<ByPartition>,
    /// Rows of partition values, or topic partitions, for which there was no room; they are compared like all others.
    pub beyond: Option<Rows>,
    /// The first of each kind, in the order of keys.
    pub samples: Vec<Shown>,
    /// Rows that were sorted, of both tables.
    pub sorted: u64,
    /// Bytes that were written to temporary files for it.
    pub spilled_bytes: u64,
}

/// One of the two.
#[derive(Debug, Serialize)]
pub struct Table {
    /// As it was named.
    pub name: String,
    /// `None`: it has no snapshot yet.
    pub snapshot_id: Option<i64>,
    /// When that was made.
    pub at: Option<String>,
    pub rows: u64,
    /// Its partition spec, as `created_at_day = day(created_at)`.
    pub partition_spec: String,
}

/// Rows of both sides, and what differs.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Rows {
    pub rows_in_a: u64,
    pub rows_in_b: u64,
    #[serde(flatten)]
    pub counts: Counts,
}

impl Rows {
    pub fn differ(&self) -> bool {
        self.rows_in_a != self.rows_in_b || self.counts.differ()
    }
}

#[derive(Debug, Serialize)]
pub struct ByTopicPartition {
    #[serde(flatten)]
    pub place: TopicPartition,
    #[serde(flatten)]
    pub rows: Rows,
}

#[derive(Debug, Serialize)]
pub struct ByPartition {
    /// As paths have it.
    pub partition: String,
    #[serde(flatten)]
    pub rows: Rows,
}

/// A sample.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub kind: Kind,
    pub key: Map<String, Value>,
    /// The partition value of a row that differs.
    pub partition: Option<String>,
    pub rows_in_a: u64,
    pub rows_in_b: u64,
    /// Where rows differ: the columns that do.
    pub columns: Vec<Values>,
}

/// The values of a column.
#[derive(Debug, Serialize)]
pub struct Values {
    pub column: String,
    /// Not there: A has no such row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Value>,
    /// Not there: B has no such row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Value>,
}

impl Table {
    pub fn of(side: &Side, rows: u64) -> Self {
        let made = side.snapshot.as_ref().map(|snapshot| snapshot.timestamp_ms());
        let made = made.and_then(DateTime::from_timestamp_millis);
        let spec = side.table.metadata.default_partition_spec();
        let fields = spec.fields().iter().map(|field| {
            let column = side.schema.name_by_field_id(field.source_id);
            format!(
                "{} = {}({})",
                field.name,
                field.transform,
                column.unwrap_or("a column that is gone")
            )
        });
        Self {
            name: side.name.clone(),
            snapshot_id: side.snapshot.as_ref().map(|snapshot| snapshot.snapshot_id()),
            at: made.map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
            rows,
            partition_spec: fields.collect::<Vec<_>>().join(", "),
        }
    }
}

/// The answer but for its samples, and what it cost.
pub fn answer(
    sides: [&Side; 2],
    matching: Matching,
    places: &Places,
    sums: &Sums,
    found: Option<&Found>,
) -> Comparison {
    let [a, b] = sums.rows();
    let differences = found.map(Found::total).unwrap_or_default();
    let differ = differences.differ() || matching.differences.iter().any(Difference::decides);
    let rows = |count: usize, of: &dyn Fn(u32) -> Option<usize>| {
        let mut rows: Vec<Rows> = sums
            .grouped(count, of)
            .into_iter()
            .map(|[a, b]| Rows {
                rows_in_a: a.rows,
                rows_in_b: b.rows,
                counts: Counts::default(),
            })
            .collect();
        let counted = found.iter().flat_map(|found| found.counts.iter().enumerate());
        for (place, counts) in counted {
            if let Some(at) = of(place as u32) {
                rows[at].counts += *counts;
            }
        }
        rows
    };
    let numbers = &sums.places;
    let mut by_topic_partition: Vec<ByTopicPartition> = match places.has_topic_partitions() {
        false => Vec::new(),
        true => rows(numbers.topics().len(), &|place| numbers.topic_of(place))
            .into_iter()
            .zip(numbers.topics())
            .map(|(rows, place)| ByTopicPartition {
                place: places.topic_partition(place),
                rows,
            })
            .collect(),
    };
    by_topic_partition.sort_by(|a, b| {
        let order = |of: &ByTopicPartition| (of.place.topic.clone(), of.place.partition);
        order(a).cmp(&order(b))
    });
    let partitioned_by = places.partitioned_by();
    let mut by_partition: Vec<ByPartition> = match &partitioned_by {
        None => Vec::new(),
        Some(_) => rows(numbers.values().len(), &|place| numbers.value_of(place))
            .into_iter()
            .zip(numbers.values())
            .map(|(rows, value)| ByPartition {
                partition: places.value(value),
                rows,
            })
            .collect(),
    };
    by_partition.sort_by(|a, b| a.partition.cmp(&b.partition));
    let beyond = rows(1, &|place| (place == 0).then_some(0));
    Comparison {
        verdict: match differ {
            true => Verdict::Differ,
            false => Verdict::Equal,
        },
        a: Table::of(sides[0], a),
        b: Table::of(sides[1], b),
        columns: matching.names(),
        key: matching.names()[..matching.key].to_vec(),
        schema: matching.differences,
        differences,
        every_key: false,
        by_topic_partition,
        partitioned_by,
        by_partition,
        beyond: beyond
            .into_iter()
            .find(|rows| rows.rows_in_a + rows.rows_in_b > 0),
        samples: Vec::new(),
        sorted: found.map_or(0, |found| found.rows),
        spilled_bytes: 0,
    }
}
