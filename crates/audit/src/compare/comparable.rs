//! Values that are equal, as the same bytes: each NaN becomes one and the same, and the entries of a map are put in the
//! order of their keys. Nothing is made of columns without floats and maps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// What is done to a column of one type.
#[derive(Debug)]
pub enum Comparable {
    AsIs,
    Float,
    Double,
    Struct(Fields, Vec<Comparable>),
    List(FieldRef, Box<Comparable>),
    /// Becomes a list of its entries.
    Map {
        entries: Box<Comparable>,
        list: FieldRef,
        keys: RowConverter,
    },
}

impl Comparable {
    /// # Errors
    /// Map keys of a type that has no order.
    pub fn new(ty: &DataType) -> Result<Self, ArrowError> {
        Ok(match ty {
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Struct(fields) => {
                let children = fields.iter().map(|field| Self::new(field.data_type()));
                let children: Vec<Self> = children.collect::<Result<_, _>>()?;
                if children.iter().all(|child| matches!(child, Self::AsIs)) {
                    return Ok(Self::AsIs);
                }
                let made = fields
                    .iter()
                    .zip(&children)
                    .map(|(field, child)| child.field(field));
                Self::Struct(made.collect(), children)
            }
            DataType::List(element) => match Self::new(element.data_type())? {
                Self::AsIs => Self::AsIs,
                child => Self::List(child.field(element), Box::new(child)),
            },
            DataType::Map(entries, _) => {
                let children = Self::new(entries.data_type())?;
                let list = children.field(entries);
                let DataType::Struct(fields) = list.data_type() else {
                    return Err(ArrowError::SchemaError("a map without entries".to_owned()));
                };
                let key = SortField::new(fields[0].data_type().clone());
                Self::Map {
                    keys: RowConverter::new(vec![key])?,
                    entries: Box::new(children),
                    list,
                }
            }
            _ => Self::AsIs,
        })
    }

    /// The type that comes out where `ty` goes in.
    pub fn data_type(&self, ty: &DataType) -> DataType {
        match self {
            Self::AsIs | Self::Float | Self::Double => ty.clone(),
            Self::Struct(fields, _) => DataType::Struct(fields.clone()),
            Self::List(element, _) => DataType::List(element.clone()),
            Self::Map { list, .. } => DataType::List(list.clone()),
        }
    }

    fn field(&self, field: &FieldRef) -> FieldRef {
        let ty = self.data_type(field.data_type());
        Arc::new(Field::new(field.name(), ty, field.is_nullable()))
    }

    /// # Errors
    /// None of arrays of the type.
    pub fn of(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::AsIs => array.clone(),
            Self::Float => {
                let floats = array.as_primitive::<Float32Type>();
                let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
                let made: PrimitiveArray<Float32Type> = floats.unary(one);
                Arc::new(made)
            }
            Self::Double => {
                let doubles = array.as_primitive::<Float64Type>();
                let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
                let made: PrimitiveArray<Float64Type> = doubles.unary(one);
                Arc::new(made)
            }
            Self::Struct(fields, children) => {
                let array = array.as_struct();
                let children = children
                    .iter()
                    .zip(array.columns())
                    .map(|(child, column)| child.of(column));
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    children.collect::<Result<_, _>>()?,
                    array.nulls().cloned(),
                    array.len(),
                )?)
            }
            Self::List(element, child) => {
                let array = array.as_list::<i32>();
                Arc::new(ListArray::try_new(
                    element.clone(),
                    array.offsets().clone(),
                    child.of(array.values())?,
                    array.nulls().cloned(),
                )?)
            }
            Self::Map { entries, list, keys } => {
                let map = array.as_map();
                let made = entries.of(&(Arc::new(map.entries().clone()) as ArrayRef))?;
                let ranges = map
                    .offsets()
                    .windows(2)
                    .map(|ends| (ends[0] as usize, ends[1] as usize));
                let made = in_order(made, ranges, keys)?;
                Arc::new(ListArray::try_new(
                    list.clone(),
                    map.offsets().clone(),
                    made,
                    map.nulls().cloned(),
                )?)
            }
        })
    }
}

/// The entries of maps, those of each in the order of their keys. `ranges`: where each map's are.
fn in_order(
    entries: ArrayRef,
    ranges: impl Iterator<Item = (usize, usize)>,
    keys: &RowConverter,
) -> Result<ArrayRef, ArrowError> {
    let rows = keys.convert_columns(&[entries.as_struct().column(0).clone()])?;
    let mut order: Vec<u32> = (0..entries.len() as u32).collect();
    let mut moved = false;
    for (start, end) in ranges {
        let these = &mut order[start..end];
        if !these.is_sorted_by_key(|at| rows.row(*at as usize)) {
            these.sort_by_key(|at| rows.row(*at as usize));
            moved = true;
        }
    }
    match moved {
        true => take(&entries, &UInt32Array::from(order), None),
        false => Ok(entries),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Builder, MapBuilder, StringBuilder};

    use super::*;

    fn bytes(array: &ArrayRef) -> Vec<Vec<u8>> {
        let comparable = Comparable::new(array.data_type()).unwrap();
        let made = comparable.of(array).unwrap();
        let ty = comparable.data_type(array.data_type());
        assert_eq!(made.data_type(), &ty);
        let rows = RowConverter::new(vec![SortField::new(ty)]).unwrap();
        let rows = rows.convert_columns(&[made]).unwrap();
        rows.iter().map(|row| row.data().to_vec()).collect()
    }

    #[test]
    fn all_nans_are_one_and_the_zeros_are_two() {
        let other = f64::from_bits(0xfff8_0000_0000_0001);
        let array: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, other, 0.0, -0.0]));
        let bytes = bytes(&array);
        assert_eq!(bytes[0], bytes[1]);
        assert_ne!(bytes[2], bytes[3]);
    }

    /// Keys and values.
    type Entries<'a> = &'a [(&'a str, Option<i32>)];

    fn maps(maps: &[Option<Entries<'_>>]) -> ArrayRef {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        for map in maps {
            for (key, value) in map.iter().copied().flatten() {
                builder.keys().append_value(key);
                builder.values().append_option(*value);
            }
            builder.append(map.is_some()).unwrap();
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn maps_are_equal_in_whatever_order_their_entries_are() {
        let array = maps(&[
            Some(&[("b", Some(1)), ("a", None)]),
            Some(&[("a", None), ("b", Some(1))]),
            Some(&[("a", Some(1)), ("b", None)]),
            Some(&[]),
            None,
        ]);
        let all = bytes(&array);
        assert_eq!(all[0], all[1]);
        let mut rest = all[1..].to_vec();
        rest.sort();
        rest.dedup();
        assert_eq!(rest.len(), 4, "these differ");
        // Entries are found by their offsets, which do not begin at 0 here.
        assert_eq!(bytes(&array.slice(1, 2)), all[1..3]);
    }
}
