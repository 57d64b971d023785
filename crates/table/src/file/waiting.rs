//! Rows of partition values that have no file open, because they are few or too many others have one: kept as they are,
//! until their memory is needed or the unit ends.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use iceberg::spec::Struct;

/// Where rows are: the number of a batch, and which of it.
type Place = (usize, Range<usize>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WaitingRows {
    batches: Vec<RecordBatch>,
    /// Each partition value, and where its rows are; in the order in which the values first came.
    parts: Vec<(Struct, Vec<Place>)>,
    /// Into `parts`.
    numbers: HashMap<Struct, usize>,
    bytes: usize,
}

impl WaitingRows {
    /// Adds the parts of one batch. They are copied, since they are slices that keep all of the batch alive.
    pub fn add(&mut self, schema: &SchemaRef, parts: &[&(Struct, RecordBatch)]) -> Result<(), ArrowError> {
        if parts.is_empty() {
            return Ok(());
        }
        let batch = concat_batches(schema, parts.iter().map(|(_, rows)| rows))?;
        self.bytes += batch.get_array_memory_size();
        let mut start = 0;
        for (partition, rows) in parts {
            let number = match self.numbers.get(partition) {
                Some(number) => *number,
                None => {
                    self.parts.push((partition.clone(), Vec::new()));
                    self.numbers.insert(partition.clone(), self.parts.len() - 1);
                    self.bytes += 2 * size_of::<Struct>();
                    self.parts.len() - 1
                }
            };
            let end = start + rows.num_rows();
            self.parts[number].1.push((self.batches.len(), start..end));
            self.bytes += size_of::<Place>();
            start = end;
        }
        self.batches.push(batch);
        Ok(())
    }

    /// Rows of a partition value.
    pub fn rows_of(&self, partition: &Struct) -> usize {
        let places = self.numbers.get(partition).map(|number| &self.parts[*number].1);
        places.into_iter().flatten().map(|(_, rows)| rows.len()).sum()
    }

    /// Takes out the rows of a partition value that has a file now. They are parts of batches with others, so that no
    /// memory is free for it until none is left.
    pub fn remove(
        &mut self,
        partition: &Struct,
        schema: &SchemaRef,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(number) = self.numbers.get(partition) else {
            return Ok(None);
        };
        let places = std::mem::take(&mut self.parts[*number].1);
        if places.is_empty() {
            return Ok(None);
        }
        let rows = together(&self.batches, places, schema)?;
        if self.parts.iter().all(|(_, places)| places.is_empty()) {
            *self = Self::default();
        }
        Ok(Some(rows))
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes of memory held, and half as many for the files that they become all at once.
    pub fn memory_size(&self) -> usize {
        self.bytes + self.bytes / 2
    }

    /// The rows of each partition value, in their order.
    pub fn into_parts(
        self,
        schema: SchemaRef,
    ) -> impl Iterator<Item = (Struct, Result<RecordBatch, ArrowError>)> {
        let Self { batches, parts, .. } = self;
        parts
            .into_iter()
            .filter(|(_, places)| !places.is_empty())
            .map(move |(partition, places)| (partition, together(&batches, places, &schema)))
    }
}

fn together(
    batches: &[RecordBatch],
    places: Vec<Place>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let slices = places
        .into_iter()
        .map(|(batch, rows)| batches[batch].slice(rows.start, rows.len()));
    concat_batches(schema, &slices.collect::<Vec<_>>())
}
