//! Rows that are deleted by their values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use super::ReadError;
use super::memory::Reservation;

/// Rows with one of these values are deleted.
#[derive(Debug)]
pub struct Values {
    columns: Vec<FieldRef>,
    converter: RowConverter,
    keys: HashSet<Box<[u8]>>,
    memory: Box<dyn Reservation>,
}

impl Values {
    /// No values yet. `columns` are those that are compared, with field ids; `memory` is what keys are taken from.
    ///
    /// # Errors
    /// Columns of a type that cannot be compared.
    pub fn new(columns: Vec<FieldRef>, memory: Box<dyn Reservation>) -> Result<Self, ArrowError> {
        let types = columns.iter().map(|column| column.data_type().clone());
        Ok(Self {
            converter: RowConverter::new(types.map(SortField::new).collect())?,
            columns,
            keys: HashSet::new(),
            memory,
        })
    }

    /// The columns that are compared, with field ids, in the order of the keys.
    pub fn columns(&self) -> &[FieldRef] {
        &self.columns
    }

    /// Rows as bytes that are equal where the rows are, from their key columns. The specification lets no float be
    /// compared, but Iceberg's Java library, by which such files are written all the same, compares floats as
    /// `Float.compare` does: one NaN equals all others, and -0.0 is not 0.0. SQL, to which both zeros are one, would
    /// delete more than was meant.
    ///
    /// # Errors
    /// None in practice: the columns have the types of the keys.
    pub fn keys_of(&self, mut columns: Vec<ArrayRef>) -> Result<Rows, ArrowError> {
        for column in &mut columns {
            match column.data_type() {
                DataType::Float32 => {
                    let of = |x: f32| if x.is_nan() { f32::NAN } else { x };
                    *column = Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(of));
                }
                DataType::Float64 => {
                    let of = |x: f64| if x.is_nan() { f64::NAN } else { x };
                    *column = Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(of));
                }
                _ => {}
            }
        }
        self.converter.convert_columns(&columns)
    }

    /// Rows with these keys are deleted, too.
    ///
    /// # Errors
    /// No memory for them.
    pub fn add(&mut self, keys: &Rows) -> Result<(), ReadError> {
        self.memory
            .try_grow(keys.size() + keys.num_rows() * size_of::<Box<[u8]>>())?;
        self.keys
            .extend(keys.iter().map(|key| Box::<[u8]>::from(key.data())));
        Ok(())
    }

    /// Whether each row, given by its key columns, is kept.
    ///
    /// # Errors
    /// As [`keys_of`](Self::keys_of).
    pub fn keep(&self, columns: Vec<ArrayRef>) -> Result<BooleanArray, ArrowError> {
        let keys = self.keys_of(columns)?;
        Ok(keys
            .iter()
            .map(|key| Some(!self.keys.contains(key.data())))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Field;

    use super::*;
    use crate::read::Memory;
    use crate::read::tests::Bounded;

    fn columns(rows: &[(i64, Option<&str>)]) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id))),
            Arc::new(StringArray::from_iter(rows.iter().map(|(_, text)| *text))),
        ]
    }

    fn values(types: &[DataType], deleted: Vec<ArrayRef>) -> Values {
        let fields = types.iter().map(|ty| Arc::new(Field::new("a", ty.clone(), true)));
        let mut values = Values::new(fields.collect(), Bounded::new(usize::MAX).reserve()).unwrap();
        let keys = values.keys_of(deleted).unwrap();
        values.add(&keys).unwrap();
        values
    }

    /// In Iceberg a null equals a null here, and nothing else.
    #[test]
    fn a_row_is_deleted_where_all_values_are_equal() {
        let types = [DataType::Int64, DataType::Utf8];
        let values = values(&types, columns(&[(1, Some("a")), (2, None)]));
        let rows = [
            (1, Some("a")),
            (1, None),
            (2, None),
            (2, Some("a")),
            (3, Some("a")),
        ];
        let kept = values.keep(columns(&rows)).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, false, true, true]));
    }

    /// As Java's `Float.compare` and `Double.compare` have it.
    #[test]
    fn a_nan_deletes_all_nans_and_a_zero_none_of_the_other_sign() {
        let doubles =
            |values: &[f64]| -> Vec<ArrayRef> { vec![Arc::new(Float64Array::from(values.to_vec()))] };
        let values64 = values(&[DataType::Float64], doubles(&[f64::NAN, 0.0]));
        let other_nan = f64::from_bits(0xfff8_0000_0000_0001);
        let kept = values64.keep(doubles(&[other_nan, 0.0, -0.0, 1.0])).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, false, true, true]));

        let floats =
            |values: &[f32]| -> Vec<ArrayRef> { vec![Arc::new(Float32Array::from(values.to_vec()))] };
        let values32 = values(&[DataType::Float32], floats(&[-f32::NAN, -0.0]));
        let kept = values32.keep(floats(&[f32::NAN, 0.0, -0.0, 1.0])).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![false, true, false, true]));
    }
}
