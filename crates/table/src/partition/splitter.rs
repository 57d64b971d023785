//! A batch of rows -> the rows of each partition value.
//!
//! Nearly every batch of a live topic falls into one partition. For time partitions that is seen from
//! the minimum and maximum of the source column, and the batch passes through untouched. Otherwise
//! rows are grouped by the bytes of their partition key and put in order by one `take`; each group is
//! then a slice of that, without a further copy. (A slice keeps the whole reordered batch alive: encode
//! it, do not store it.)

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::row::{Row, RowConverter, SortField};
use iceberg::spec::{PartitionSpec, Schema, Struct};

use super::PartitionError;
use super::key::{Key, Values};

/// Splits batches of one schema by one partition spec.
#[derive(Debug)]
pub struct Splitter {
    keys: Vec<Key>,
}

impl Splitter {
    /// # Errors
    /// When the spec uses a transform that is unknown here, or a column inside a list or map.
    pub fn new(spec: &PartitionSpec, schema: &Schema) -> Result<Self, PartitionError> {
        let fields = spec.fields().iter();
        let keys = fields.map(|field| Key::new(&field.name, field.source_id, field.transform, schema));
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The rows of `batch` that no partition can hold, and why: by row, the first partition field that cannot. Such a
    /// record is a bad record. One look at minimum and maximum tells that there are none.
    ///
    /// # Errors
    /// When `batch` has another schema than [`split`](Self::split) wants.
    pub fn refused(&self, batch: &RecordBatch) -> Result<BTreeMap<usize, PartitionError>, PartitionError> {
        let mut refused = BTreeMap::new();
        for key in &self.keys {
            for (row, error) in key.refused(batch)? {
                refused.entry(row).or_insert(error);
            }
        }
        Ok(refused)
    }

    /// The rows of `batch` by partition value, in the order in which the values first occur; rows keep
    /// their order. A row with a null source has a null partition value. An empty batch has no parts.
    ///
    /// `batch` has the schema of [`crate::schema::arrow_schema`], and no row that is [`refused`](Self::refused).
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(Struct, RecordBatch)>, PartitionError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let values = self
            .keys
            .iter()
            .map(|key| key.values(batch))
            .collect::<Result<Vec<_>, _>>()?;
        let varying: Vec<ArrayRef> = values
            .iter()
            .filter_map(|values| match values {
                Values::One(_) => None,
                Values::Each(array) => Some(Arc::clone(array)),
            })
            .collect();
        let groups = Groups::of(&varying, batch.num_rows())?;
        let partitions = self.partitions(&values, &groups.first_rows)?;
        if let [partition] = partitions.as_slice() {
            return Ok(vec![(partition.clone(), batch.clone())]);
        }
        let (order, ends) = groups.order();
        let sorted = take_record_batch(batch, &order)?;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let parts = starts
            .zip(&ends)
            .map(|(start, end)| sorted.slice(start, end - start));
        Ok(partitions.into_iter().zip(parts).collect())
    }

    /// The partition value of each group, read off its first row.
    fn partitions(&self, values: &[Values], first_rows: &[u32]) -> Result<Vec<Struct>, PartitionError> {
        let first_rows = UInt32Array::from(first_rows.to_vec());
        let mut columns = Vec::with_capacity(values.len());
        for (key, values) in self.keys.iter().zip(values) {
            columns.push(match values {
                Values::One(literal) => vec![literal.clone(); first_rows.len()],
                Values::Each(array) => key.literals(&take(array, &first_rows, None)?)?,
            });
        }
        let partition = |group: usize| columns.iter().map(|column| column[group].clone()).collect();
        Ok((0..first_rows.len()).map(partition).collect())
    }
}

/// Rows numbered by group, groups numbered by first occurrence.
struct Groups {
    of_row: Vec<u32>,
    first_rows: Vec<u32>,
}

impl Groups {
    fn of(columns: &[ArrayRef], rows: usize) -> Result<Self, PartitionError> {
        if columns.is_empty() {
            return Ok(Self {
                of_row: vec![0; rows],
                first_rows: vec![0],
            });
        }
        let fields = columns
            .iter()
            .map(|column| SortField::new(column.data_type().clone()))
            .collect();
        let keys = RowConverter::new(fields)?.convert_columns(columns)?;
        let mut groups: HashMap<Row<'_>, u32> = HashMap::new();
        let mut of_row: Vec<u32> = Vec::with_capacity(rows);
        let mut first_rows = Vec::new();
        let mut previous: Option<(Row<'_>, u32)> = None;
        for (row, key) in keys.iter().enumerate() {
            // Neighbours mostly share a partition: comparing is cheaper than hashing.
            let group = match previous {
                Some((same, group)) if same == key => group,
                _ => *groups.entry(key).or_insert_with(|| {
                    first_rows.push(row as u32);
                    first_rows.len() as u32 - 1
                }),
            };
            previous = Some((key, group));
            of_row.push(group);
        }
        Ok(Self { of_row, first_rows })
    }

    /// The rows in order of group (rows of one group stay in order), and where each group ends.
    fn order(&self) -> (UInt32Array, Vec<usize>) {
        let mut ends = vec![0; self.first_rows.len()];
        for group in &self.of_row {
            ends[*group as usize] += 1;
        }
        let mut next = Vec::with_capacity(ends.len());
        let mut total = 0;
        for end in &mut ends {
            next.push(total);
            total += *end;
            *end = total;
        }
        let mut order = vec![0; self.of_row.len()];
        for (row, group) in self.of_row.iter().enumerate() {
            let position = &mut next[*group as usize];
            order[*position] = row as u32;
            *position += 1;
        }
        (UInt32Array::from(order), ends)
    }
}
