//! Where rows belong: the topic partition that their key tells, and the partition value that the partition spec of one of
//! the tables makes of them, whatever files they lie in.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef, UInt32Type};
use iceberg::spec::{Literal, NestedFieldRef, PartitionSpec, PrimitiveLiteral, Schema, Struct, Transform};
use serde::Serialize;
use tabletopic_table::partition::{PartitionError, Splitter, partition_path};
use tabletopic_table::read::row_schema;

use super::CompareError;
use super::schema::Matching;
use super::side::Side;

/// Of rows that no partition of the spec can hold.
const NO_PARTITION: &str = "in no partition";

/// Tells where rows belong.
#[derive(Debug)]
pub struct Places {
    /// The columns of the compared rows that tell it.
    sources: Vec<usize>,
    /// These columns, and each row's number.
    rows: SchemaRef,
    topic_partition: Option<Splitter>,
    value: Option<Values>,
}

#[derive(Debug)]
struct Values {
    splitter: Splitter,
    spec: PartitionSpec,
    schema: Schema,
}

/// A topic partition of the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicPartition {
    /// `None`: the tables have no column for it.
    pub topic: Option<String>,
    pub partition: Option<i64>,
}

/// Rows of one batch that belong together.
pub struct Part {
    pub topic_partition: Struct,
    pub value: Struct,
    /// Their numbers in the batch.
    pub rows: Vec<u32>,
}

impl Places {
    /// `sides`: the first whose partition spec can be told from the compared columns gives the partition values.
    ///
    /// # Errors
    /// Columns of types that Arrow does not have.
    pub fn new(matching: &Matching, sides: [&Side; 2]) -> Result<Self, CompareError> {
        let compared = matching.schema.as_struct().fields();
        let spec = [0, 1].into_iter().find_map(|at| spec(matching, sides, at));
        let told = |at: usize, field: &NestedFieldRef| {
            let key = matching.is_kafka && at < matching.key;
            key || spec
                .iter()
                .flat_map(PartitionSpec::fields)
                .any(|part| holds(field, part.source_id))
        };
        let sources: Vec<usize> = (0..compared.len())
            .filter(|at| told(*at, &compared[*at]))
            .collect();
        let fields: Vec<_> = sources.iter().map(|at| compared[*at].clone()).collect();
        let schema = Schema::builder().with_fields(fields).build()?;
        let number = Arc::new(Field::new("row", DataType::UInt32, false));
        let rows = row_schema(&schema)?;
        let rows = rows.fields().iter().cloned().chain([number]).collect::<Vec<_>>();
        // All of the key but the offset.
        let key = match matching.is_kafka {
            true => &compared[..matching.key - 1],
            false => &[],
        };
        Ok(Self {
            topic_partition: match key {
                [] => None,
                key => Some(Splitter::new(&by_identity(key, &schema)?, &schema)?),
            },
            value: spec.and_then(|spec| {
                let splitter = Splitter::new(&spec, &schema).ok()?;
                Some(Values {
                    splitter,
                    spec,
                    schema,
                })
            }),
            rows: Arc::new(ArrowSchema::new(rows)),
            sources,
        })
    }

    /// The rows of a batch of compared columns by where they belong.
    ///
    /// # Errors
    /// Rows of another schema.
    pub fn of(&self, batch: &RecordBatch) -> Result<Vec<Part>, CompareError> {
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..batch.num_rows() as u32));
        let columns = self.sources.iter().map(|at| batch.column(*at).clone());
        let rows = RecordBatch::try_new(self.rows.clone(), columns.chain([numbers]).collect())?;
        let by_topic = match &self.topic_partition {
            None => vec![(Struct::empty(), rows)],
            Some(splitter) => splitter.split(&rows)?,
        };
        let mut parts = Vec::new();
        for (topic_partition, rows) in by_topic {
            for (value, rows) in self.by_value(rows)? {
                let numbers = rows.column(self.sources.len()).as_primitive::<UInt32Type>();
                parts.push(Part {
                    topic_partition: topic_partition.clone(),
                    value,
                    rows: numbers.values().to_vec(),
                });
            }
        }
        Ok(parts)
    }

    fn by_value(&self, rows: RecordBatch) -> Result<Vec<(Struct, RecordBatch)>, CompareError> {
        let Some(values) = &self.value else {
            return Ok(vec![(Struct::empty(), rows)]);
        };
        let refused = values.splitter.refused(&rows)?;
        if refused.is_empty() {
            return Ok(values.splitter.split(&rows)?);
        }
        // Another writer may have put them somewhere all the same.
        let (out, kept): (Vec<u32>, Vec<u32>) =
            (0..rows.num_rows() as u32).partition(|row| refused.contains_key(&(*row as usize)));
        let mut parts = values
            .splitter
            .split(&take_record_batch(&rows, &UInt32Array::from(kept))?)?;
        parts.push((
            Struct::empty(),
            take_record_batch(&rows, &UInt32Array::from(out))?,
        ));
        Ok(parts)
    }

    /// Whether rows are told apart by topic partition.
    pub fn has_topic_partitions(&self) -> bool {
        self.topic_partition.is_some()
    }

    /// The names of the fields that partition values have, as paths have them; none: rows are not told apart by one.
    pub fn partitioned_by(&self) -> Option<Vec<String>> {
        let fields = self.value.as_ref()?.spec.fields().iter();
        Some(fields.map(|field| field.name.clone()).collect())
    }

    /// A topic partition as its numbers.
    pub fn topic_partition(&self, place: &Struct) -> TopicPartition {
        let mut found = TopicPartition {
            topic: None,
            partition: None,
        };
        for literal in place.iter().flatten() {
            match literal {
                Literal::Primitive(PrimitiveLiteral::String(topic)) => found.topic = Some(topic.clone()),
                Literal::Primitive(PrimitiveLiteral::Int(number)) => {
                    found.partition = Some(i64::from(*number))
                }
                Literal::Primitive(PrimitiveLiteral::Long(number)) => found.partition = Some(*number),
                _ => {}
            }
        }
        found
    }

    /// A partition value as paths have it.
    pub fn value(&self, value: &Struct) -> String {
        let path = self
            .value
            .as_ref()
            .filter(|values| values.spec.fields().len() == value.fields().len())
            .and_then(|values| partition_path(&values.spec, &values.schema, value).ok());
        path.unwrap_or_else(|| NO_PARTITION.to_owned())
    }
}

/// Whether a column is, or has inside, the one with this id.
fn holds(field: &NestedFieldRef, id: i32) -> bool {
    let inner = match field.field_type.as_ref() {
        iceberg::spec::Type::Struct(inner) => inner.fields(),
        _ => &[],
    };
    field.id == id || inner.iter().any(|field| holds(field, id))
}

fn by_identity(columns: &[NestedFieldRef], schema: &Schema) -> Result<PartitionSpec, PartitionError> {
    let mut spec = PartitionSpec::builder(schema.clone());
    for column in columns {
        spec = spec.add_partition_field(&column.name, &column.name, Transform::Identity)?;
    }
    Ok(spec.build()?)
}

/// The partition spec of one side over the compared columns. `None`: it partitions nothing, or by what is not compared.
fn spec(matching: &Matching, sides: [&Side; 2], at: usize) -> Option<PartitionSpec> {
    let side = sides[at];
    let mut spec = PartitionSpec::builder(matching.schema.clone());
    let fields = side.table.metadata.default_partition_spec().fields().iter();
    let mut fields = fields
        .filter(|field| field.transform != Transform::Void)
        .peekable();
    fields.peek()?;
    for field in fields {
        let name = side.schema.name_by_field_id(field.source_id)?;
        // B's columns may have other names and ids; those inside of structs have the same names.
        let (top, rest) = name.split_once('.').unwrap_or((name, ""));
        let id = side.schema.as_struct().field_by_name(top)?.id;
        let column = matching.ids[at].iter().position(|known| *known == id)?;
        let column = &matching.schema.as_struct().fields()[column].name;
        let name = match rest {
            "" => column.clone(),
            rest => format!("{column}.{rest}"),
        };
        spec = spec
            .add_partition_field(name, &field.name, field.transform)
            .ok()?;
    }
    spec.build().ok()
}
