//! Rows of one table as rows of the columns that both have, in the types that hold the values of both.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};
use arrow::error::ArrowError;

/// Bytes of a UUID.
const UUID: i32 = 16;

/// How one table's rows become those that are compared.
#[derive(Debug)]
pub struct Conform {
    columns: Vec<Make>,
    schema: SchemaRef,
}

#[derive(Debug)]
enum Make {
    Cast(DataType),
    /// A UUID as text, as RFC 9562 writes it.
    UuidText,
    /// Each field from its place in the struct that it is made of.
    Struct(Fields, Vec<(usize, Make)>),
    List(FieldRef, Box<Make>),
    Map(FieldRef, bool, Box<Make>),
}

impl Conform {
    /// `from`: the columns of a table, in the order of `to`, which are the compared ones. Fields inside of structs are found
    /// by name.
    ///
    /// # Errors
    /// Types that do not go together.
    pub fn new(from: &Fields, to: SchemaRef) -> Result<Self, ArrowError> {
        let columns = from.iter().zip(to.fields());
        let columns = columns.map(|(from, to)| make(from.data_type(), to.data_type()));
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            schema: to,
        })
    }

    /// # Errors
    /// A value that the common type cannot hold.
    pub fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter().zip(rows.columns());
        let columns = columns
            .map(|(make, column)| make.of(column))
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

fn make(from: &DataType, to: &DataType) -> Result<Make, ArrowError> {
    Ok(match (from, to) {
        (DataType::Struct(from), DataType::Struct(to)) => {
            let fields = to.iter().map(|field| {
                let found = from
                    .iter()
                    .enumerate()
                    .find(|(_, other)| other.name() == field.name());
                let (at, other) =
                    found.ok_or_else(|| unlike(&DataType::Struct(from.clone()), field.data_type()))?;
                Ok((at, make(other.data_type(), field.data_type())?))
            });
            Make::Struct(to.clone(), fields.collect::<Result<_, ArrowError>>()?)
        }
        (DataType::List(from), DataType::List(to)) => {
            Make::List(to.clone(), Box::new(make(from.data_type(), to.data_type())?))
        }
        (DataType::Map(from, _), DataType::Map(to, sorted)) => {
            let (DataType::Struct(were), DataType::Struct(become_)) = (from.data_type(), to.data_type())
            else {
                return Err(unlike(from.data_type(), to.data_type()));
            };
            // Key and value have their places, whatever they are called.
            let entries = were.iter().zip(become_).enumerate();
            let entries = entries.map(|(at, (from, to))| Ok((at, make(from.data_type(), to.data_type())?)));
            let entries = Make::Struct(become_.clone(), entries.collect::<Result<_, ArrowError>>()?);
            Make::Map(to.clone(), *sorted, Box::new(entries))
        }
        (DataType::FixedSizeBinary(UUID), DataType::Utf8) => Make::UuidText,
        (from, to) if from.is_nested() || to.is_nested() => return Err(unlike(from, to)),
        (_, to) => Make::Cast(to.clone()),
    })
}

fn unlike(from: &DataType, to: &DataType) -> ArrowError {
    ArrowError::CastError(format!("{from} can't be compared as {to}"))
}

impl Make {
    fn of(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Cast(ty) if array.data_type() == ty => array.clone(),
            // Never a null for a value that does not fit.
            Self::Cast(ty) => cast_with_options(
                array,
                ty,
                &CastOptions {
                    safe: false,
                    ..CastOptions::default()
                },
            )?,
            Self::UuidText => Arc::new(uuid_text(array)),
            Self::Struct(fields, children) => {
                let array = array.as_struct();
                let children = children.iter().map(|(at, make)| make.of(array.column(*at)));
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    children.collect::<Result<_, _>>()?,
                    array.nulls().cloned(),
                    array.len(),
                )?)
            }
            Self::List(element, make) => {
                let array = array.as_list::<i32>();
                Arc::new(ListArray::try_new(
                    element.clone(),
                    array.offsets().clone(),
                    make.of(array.values())?,
                    array.nulls().cloned(),
                )?)
            }
            Self::Map(entries, sorted, make) => {
                let array = array.as_map();
                let made = make.of(&(Arc::new(array.entries().clone()) as ArrayRef))?;
                Arc::new(MapArray::try_new(
                    entries.clone(),
                    array.offsets().clone(),
                    made.as_struct().clone(),
                    array.nulls().cloned(),
                    *sorted,
                )?)
            }
        })
    }
}

fn uuid_text(array: &ArrayRef) -> StringArray {
    let text = |bytes: &[u8]| {
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.iter().enumerate() {
            if [4, 6, 8, 10].contains(&at) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text
    };
    array
        .as_fixed_size_binary()
        .iter()
        .map(|bytes| bytes.map(text))
        .collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeBinaryArray, Int32Array, Int64Array};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn field(name: &str, ty: DataType) -> FieldRef {
        Arc::new(Field::new(name, ty, true))
    }

    #[test]
    fn columns_become_those_of_the_common_type() {
        let inner = Fields::from(vec![field("gone", DataType::Utf8), field("x", DataType::Int32)]);
        let from = Fields::from(vec![
            field("id", DataType::Int32),
            field("place", DataType::Struct(inner.clone())),
            field("key", DataType::FixedSizeBinary(UUID)),
        ]);
        let x = Fields::from(vec![field("x", DataType::Int64)]);
        let to = Schema::new(vec![
            field("id", DataType::Int64),
            field("place", DataType::Struct(x)),
            field("key", DataType::Utf8),
        ]);
        let conform = Conform::new(&from, Arc::new(to)).unwrap();
        let places = StructArray::new(
            inner,
            vec![
                Arc::new(StringArray::from(vec!["a"])),
                Arc::new(Int32Array::from(vec![7])),
            ],
            None,
        );
        let bytes = [0x0f; 16];
        let rows = RecordBatch::try_new(
            Arc::new(Schema::new(from)),
            vec![
                Arc::new(Int32Array::from(vec![1])),
                Arc::new(places),
                Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap()),
            ],
        );
        let made = conform.rows(&rows.unwrap()).unwrap();
        assert_eq!(made.column(0).as_ref(), &Int64Array::from(vec![1]) as &dyn Array);
        assert_eq!(
            made.column(1).as_struct().column(0).as_ref(),
            &Int64Array::from(vec![7]) as &dyn Array
        );
        assert_eq!(
            made.column(2).as_string::<i32>().value(0),
            "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f"
        );
    }

    #[test]
    fn a_struct_is_no_number() {
        let from = Fields::from(vec![field("a", DataType::Struct(Fields::empty()))]);
        let to = Arc::new(Schema::new(vec![field("a", DataType::Int64)]));
        assert!(Conform::new(&from, to).is_err());
    }
}
