//! The one NaN and the one zero that SQL knows. The engine compares floats bit by bit: to it, -0.0 is below 0.0 and not
//! equal to it, and a NaN with a sign (what some processors make of 0/0) is below everything.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;

/// The columns of a scan that hold floats, also inside of structs, lists and maps, by their index.
#[derive(Debug)]
pub struct Floats(Vec<usize>);

impl Floats {
    pub fn of(schema: &Schema) -> Self {
        let fields = schema.fields().iter().enumerate();
        Self(
            fields
                .filter_map(|(at, field)| holds_floats(field.data_type()).then_some(at))
                .collect(),
        )
    }

    /// The same rows, with every NaN and every zero as the one that SQL knows. Columns without floats stay as they are.
    ///
    /// # Errors
    /// None in practice: types and lengths stay.
    pub fn in_one_form(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.0.is_empty() {
            return Ok(batch);
        }
        let (schema, mut columns, rows) = batch.into_parts();
        for at in &self.0 {
            columns[*at] = one_form(&columns[*at])?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, columns, &options)
    }
}

fn holds_floats(ty: &DataType) -> bool {
    match ty {
        DataType::Float32 | DataType::Float64 => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        DataType::List(inner) | DataType::Map(inner, _) => holds_floats(inner.data_type()),
        _ => false,
    }
}

fn one_form(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    // Such as a column that the file does not have.
    if array.null_count() == array.len() {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Float32 => {
            let of = |x: f32| if x.is_nan() { f32::NAN } else { x + 0.0 };
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(of))
        }
        DataType::Float64 => {
            let of = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(of))
        }
        ty if !holds_floats(ty) => array.clone(),
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let children = array.columns().iter().map(one_form);
            Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                children.collect::<Result<_, _>>()?,
                array.nulls().cloned(),
                array.len(),
            )?)
        }
        DataType::List(element) => {
            let array = array.as_list::<i32>();
            Arc::new(ListArray::try_new(
                element.clone(),
                array.offsets().clone(),
                one_form(array.values())?,
                array.nulls().cloned(),
            )?)
        }
        DataType::Map(entries, sorted) => {
            let array = array.as_map();
            let made = one_form(&(Arc::new(array.entries().clone()) as ArrayRef))?;
            Arc::new(MapArray::try_new(
                entries.clone(),
                array.offsets().clone(),
                made.as_struct().clone(),
                array.nulls().cloned(),
                *sorted,
            )?)
        }
        _ => array.clone(),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int64Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, FieldRef, Fields};

    use super::*;

    fn in_one_form(column: ArrayRef) -> ArrayRef {
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let made = Floats::of(&batch.schema()).in_one_form(batch).unwrap();
        made.column(0).clone()
    }

    /// `==` would take the signs for equal.
    fn bits(array: &dyn Array) -> Vec<Option<u64>> {
        let floats = array.as_primitive::<Float64Type>();
        floats.iter().map(|x| x.map(f64::to_bits)).collect()
    }

    fn doubles() -> ArrayRef {
        Arc::new(Float64Array::from(vec![
            Some(-f64::NAN),
            Some(-0.0),
            Some(-1.5),
            None,
        ]))
    }

    fn expected() -> Vec<Option<u64>> {
        [Some(f64::NAN), Some(0.0), Some(-1.5), None]
            .map(|x| x.map(f64::to_bits))
            .to_vec()
    }

    #[test]
    fn floats_have_one_nan_and_one_zero() {
        assert_eq!(bits(&in_one_form(doubles())), expected());
        let values = vec![Some(-f32::NAN), Some(-0.0), Some(-1.5), None];
        let made = in_one_form(Arc::new(Float32Array::from(values)));
        let made = made.as_primitive::<Float32Type>();
        let made: Vec<_> = made.iter().map(|x| x.map(f32::to_bits)).collect();
        let expected = [Some(f32::NAN), Some(0.0), Some(-1.5), None];
        assert_eq!(made, expected.map(|x| x.map(f32::to_bits)));
    }

    #[test]
    fn floats_inside_of_structs_lists_and_maps_are_found() {
        let field = |name: &str| -> FieldRef { Arc::new(Field::new(name, DataType::Float64, true)) };

        let structs = StructArray::new(Fields::from(vec![field("x")]), vec![doubles()], None);
        let made = in_one_form(Arc::new(structs));
        assert_eq!(bits(made.as_struct().column(0)), expected());

        let offsets = OffsetBuffer::<i32>::from_lengths([1, 3]);
        let lists = ListArray::new(field("element"), offsets.clone(), doubles(), None);
        let made = in_one_form(Arc::new(lists));
        assert_eq!(bits(made.as_list::<i32>().values()), expected());

        let key = Arc::new(Field::new("key", DataType::Int64, false));
        let keys = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let entries = StructArray::new(
            Fields::from(vec![key, field("value")]),
            vec![keys, doubles()],
            None,
        );
        let ty = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
        let made = in_one_form(Arc::new(MapArray::new(ty, offsets, entries, None, false)));
        assert_eq!(bits(made.as_map().values()), expected());
    }

    #[test]
    fn columns_without_floats_are_the_same_ones() {
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let batch = RecordBatch::try_from_iter([("a", integers.clone()), ("b", doubles())]).unwrap();
        let made = Floats::of(&batch.schema()).in_one_form(batch).unwrap();
        assert!(Arc::ptr_eq(made.column(0), &integers));
        assert_eq!(bits(made.column(1)), expected());
    }
}
