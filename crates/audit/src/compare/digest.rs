//! Rows as 128 bits each: SipHash-1-3 under a key that is drawn anew for each comparison, so that nobody who writes
//! records can choose rows whose digests add up to those of others.

use std::hash::Hasher;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use siphasher::sip128::{Hasher128, SipHasher13};
use tabletopic_clock::Entropy;

use super::comparable::Comparable;

/// Parts that keys are spread over by their digest. All rows of a key are in one.
pub const CELLS: usize = 1 << 16;

/// Makes digests of rows of one schema.
#[derive(Debug)]
pub struct Digests {
    columns: Vec<Comparable>,
    /// How many of the first columns are the key.
    key: usize,
    /// `None`: there is none.
    keys: Option<RowConverter>,
    /// `None`: all columns are the key.
    values: Option<RowConverter>,
    hasher: SipHasher13,
}

/// The rows of a batch.
pub struct Digested {
    /// `None`: a row is known by its digest.
    pub keys: Option<Rows>,
    /// Of all columns, the key included.
    pub digests: Vec<u128>,
    /// Below [`CELLS`].
    pub cells: Vec<u32>,
}

impl Digested {
    /// What tells a row from all that differ from it, so that those of one key are neighbours: the key, then the digest.
    pub fn write_id(&self, row: usize, id: &mut Vec<u8>) {
        id.clear();
        if let Some(keys) = &self.keys {
            id.extend_from_slice(keys.row(row).data());
        }
        id.extend_from_slice(&self.digests[row].to_be_bytes());
    }
}

/// The key of an id, and its digest.
pub fn parts(id: &[u8]) -> (&[u8], u128) {
    let (key, digest) = id.split_last_chunk::<16>().unwrap_or((id, &[0; 16]));
    (key, u128::from_be_bytes(*digest))
}

impl Digests {
    /// # Errors
    /// A type that has no bytes to compare.
    pub fn new(schema: &SchemaRef, key: usize, entropy: &dyn Entropy) -> Result<Self, ArrowError> {
        let types = schema.fields().iter().map(|field| field.data_type());
        let columns: Vec<Comparable> = types.clone().map(Comparable::new).collect::<Result<_, _>>()?;
        let made = columns.iter().zip(types).map(|(column, ty)| column.data_type(ty));
        let fields: Vec<SortField> = made.map(SortField::new).collect();
        let converter = |fields: &[SortField]| match fields {
            [] => Ok(None),
            fields => RowConverter::new(fields.to_vec()).map(Some),
        };
        Ok(Self {
            keys: converter(&fields[..key])?,
            values: converter(&fields[key..])?,
            key,
            columns,
            hasher: SipHasher13::new_with_keys(entropy.next_u64(), entropy.next_u64()),
        })
    }

    /// The columns as they are compared.
    ///
    /// # Errors
    /// Rows of another schema.
    pub fn comparable(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        let columns = self.columns.iter().zip(rows.columns());
        columns
            .map(|(comparable, column)| comparable.of(column))
            .collect()
    }

    /// # Errors
    /// Rows of another schema.
    pub fn of(&self, rows: &RecordBatch) -> Result<Digested, ArrowError> {
        let columns = self.comparable(rows)?;
        let convert = |converter: &Option<RowConverter>, columns: &[ArrayRef]| {
            let converter = converter.as_ref();
            converter
                .map(|converter| converter.convert_columns(columns))
                .transpose()
        };
        let keys = convert(&self.keys, &columns[..self.key])?;
        let values = convert(&self.values, &columns[self.key..])?;
        let mut digests = Vec::with_capacity(rows.num_rows());
        let mut cells = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let mut hasher = self.hasher;
            if let Some(keys) = &keys {
                hasher.write(keys.row(row).data());
                cells.push(cell(hasher.finish()));
            }
            if let Some(values) = &values {
                hasher.write(values.row(row).data());
            }
            let digest = hasher.finish128().as_u128();
            if keys.is_none() {
                cells.push(cell(digest as u64));
            }
            digests.push(digest);
        }
        Ok(Digested { keys, digests, cells })
    }

    /// The key columns of ids.
    ///
    /// # Errors
    /// None of ids that were made here.
    pub fn keys(&self, ids: &[Vec<u8>]) -> Result<Vec<ArrayRef>, ArrowError> {
        let Some(keys) = &self.keys else {
            return Ok(Vec::new());
        };
        let parser = keys.parser();
        keys.convert_rows(ids.iter().map(|id| parser.parse(parts(id).0)))
    }
}

fn cell(hash: u64) -> u32 {
    (hash % CELLS as u64) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use tabletopic_clock::SeededEntropy;

    use super::*;

    fn rows(rows: &[(i64, Option<&str>)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        let ids = Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id));
        let texts = StringArray::from_iter(rows.iter().map(|(_, text)| *text));
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(texts)]).unwrap()
    }

    #[test]
    fn a_row_has_the_digest_of_its_values_and_a_key_one_cell() {
        let batch = rows(&[
            (1, Some("a")),
            (1, None),
            (1, Some("")),
            (2, Some("a")),
            (1, Some("a")),
        ]);
        let digests = Digests::new(&batch.schema(), 1, &SeededEntropy::new(7)).unwrap();
        let made = digests.of(&batch).unwrap();
        assert_eq!(made.digests[0], made.digests[4]);
        let mut all = made.digests[..4].to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4, "null, an empty text and another key differ");
        assert!(made.cells[0] == made.cells[1] && made.cells[0] != made.cells[3]);

        let other = Digests::new(&batch.schema(), 1, &SeededEntropy::new(8)).unwrap();
        assert_ne!(other.of(&batch).unwrap().digests[0], made.digests[0]);
    }

    #[test]
    fn a_key_is_read_back_from_its_id() {
        let batch = rows(&[(-7, Some("a"))]);
        let digests = Digests::new(&batch.schema(), 1, &SeededEntropy::new(7)).unwrap();
        let made = digests.of(&batch).unwrap();
        let mut id = Vec::new();
        made.write_id(0, &mut id);
        assert_eq!(parts(&id).1, made.digests[0]);
        let keys = digests.keys(&[id]).unwrap();
        assert_eq!(keys[0].as_ref(), &Int64Array::from(vec![-7]) as &dyn Array);
    }
}
