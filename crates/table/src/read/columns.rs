//! From the columns of a data file to those of the table, by field id: renamed and moved columns are found, missing
//! ones are null, and promoted ones are cast (Iceberg's column projection and schema evolution).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::ReadError;

/// The Arrow schema of a table's rows as they are read: without the field ids, which
/// [`arrow_schema`](crate::schema::arrow_schema) has.
///
/// # Errors
/// Types that only later versions of the format have.
pub fn row_schema(schema: &Schema) -> Result<SchemaRef, iceberg::Error> {
    let with_ids = schema_to_arrow_schema(schema)?;
    Ok(Arc::new(ArrowSchema::new(plain_fields(with_ids.fields()))))
}

fn plain_fields(fields: &Fields) -> Fields {
    fields.iter().map(plain).collect()
}

fn plain(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        DataType::List(element) => DataType::List(plain(element)),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries), *sorted),
        ty => ty.clone(),
    };
    Arc::new(Field::new(field.name(), ty, field.is_nullable()))
}

/// The top-level columns of a data file by field id.
#[derive(Debug)]
pub struct FileColumns(HashMap<i32, usize>);

impl FileColumns {
    /// `None` if the file's columns have no field ids: it was written by something that knows nothing of Iceberg.
    pub fn of(file: &ArrowSchema) -> Option<Self> {
        let ids = file.fields().iter().enumerate();
        let ids: HashMap<i32, usize> = ids
            .filter_map(|(at, field)| Some((column_id(field)?, at)))
            .collect();
        (!ids.is_empty()).then_some(Self(ids))
    }

    /// The index of a column among the file's top-level columns.
    pub fn index(&self, id: i32) -> Option<usize> {
        self.0.get(&id).copied()
    }
}

/// The field id of a column, from a file or from iceberg's conversion of a schema.
pub fn column_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// How one column of the table, or a part of one, is made.
#[derive(Debug, Clone, PartialEq)]
enum Make {
    /// The file does not have it.
    Null(DataType),
    /// As it is, or cast to a wider type.
    Cast(DataType),
    Struct(Fields, Vec<(Option<usize>, Make)>),
    List(FieldRef, Box<Make>),
    Map(FieldRef, bool, Box<Make>),
}

/// Makes columns of the table from what was read of one file.
#[derive(Debug)]
pub struct Columns(Vec<(Option<usize>, Make)>);

impl Columns {
    /// `wanted` are columns of the table, with their field ids in the metadata as iceberg's conversion has them;
    /// `read` are the file's columns in the order in which they are read.
    ///
    /// # Errors
    /// A column whose type in the file is none that it can be promoted from.
    pub fn new(wanted: &[FieldRef], read: &[FieldRef], path: &str) -> Result<Self, ReadError> {
        let (_, children) = children(wanted, read, path)?;
        Ok(Self(children))
    }

    /// The columns, in the order of `wanted`, each with `rows` values.
    ///
    /// # Errors
    /// Values that the wider type cannot hold, of which there are none in a table that is whole.
    pub fn make(&self, read: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        self.0
            .iter()
            .map(|(at, make)| make.child(*at, read, rows))
            .collect()
    }
}

type Children = (Fields, Vec<(Option<usize>, Make)>);

fn children(wanted: &[FieldRef], read: &[FieldRef], path: &str) -> Result<Children, ReadError> {
    let by_id: HashMap<i32, usize> = read
        .iter()
        .enumerate()
        .filter_map(|(at, field)| Some((column_id(field)?, at)))
        .collect();
    let made = wanted.iter().map(|field| {
        let at = column_id(field).and_then(|id| by_id.get(&id).copied());
        let make = match at {
            Some(at) => make(field, &read[at], path)?,
            None => Make::Null(plain(field).data_type().clone()),
        };
        Ok((at, make))
    });
    let fields = wanted.iter().map(plain).collect();
    Ok((fields, made.collect::<Result<_, ReadError>>()?))
}

fn make(wanted: &FieldRef, read: &FieldRef, path: &str) -> Result<Make, ReadError> {
    Ok(match (wanted.data_type(), read.data_type()) {
        (DataType::Struct(wanted), DataType::Struct(read)) => {
            let (fields, children) = children(wanted, read, path)?;
            Make::Struct(fields, children)
        }
        (DataType::List(wanted), DataType::List(read)) => {
            Make::List(plain(wanted), Box::new(make(wanted, read, path)?))
        }
        (DataType::Map(wanted, sorted), DataType::Map(read, _)) => Make::Map(
            plain(wanted),
            *sorted,
            Box::new(make_entries(wanted, read, path)?),
        ),
        (wanted_type, read_type) if promotes(read_type, wanted_type) => Make::Cast(wanted_type.clone()),
        (wanted_type, read_type) => {
            return Err(ReadError::ColumnType {
                file: path.to_owned(),
                column: wanted.name().clone(),
                found: read_type.to_string(),
                expected: wanted_type.to_string(),
            });
        }
    })
}

/// Key and value of a map are found by their place: writers differ in whether the entries have ids.
fn make_entries(wanted: &FieldRef, read: &FieldRef, path: &str) -> Result<Make, ReadError> {
    let (DataType::Struct(wanted_fields), DataType::Struct(read_fields)) =
        (wanted.data_type(), read.data_type())
    else {
        return make(wanted, read, path);
    };
    let entries = wanted_fields.iter().zip(read_fields).enumerate();
    let made = entries.map(|(at, (wanted, read))| Ok((Some(at), make(wanted, read, path)?)));
    Ok(Make::Struct(
        plain_fields(wanted_fields),
        made.collect::<Result<_, ReadError>>()?,
    ))
}

impl Make {
    fn child(&self, at: Option<usize>, read: &[ArrayRef], rows: usize) -> Result<ArrayRef, ArrowError> {
        match (self, at) {
            (Make::Null(ty), _) => Ok(new_null_array(ty, rows)),
            (make, Some(at)) => make.of(&read[at]),
            (_, None) => Err(ArrowError::InvalidArgumentError(
                "a column that is read has no place".to_owned(),
            )),
        }
    }

    fn of(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Make::Null(ty) => new_null_array(ty, array.len()),
            Make::Cast(ty) if array.data_type() == ty => array.clone(),
            // Never a null for a value that does not fit.
            Make::Cast(ty) => cast_with_options(
                array,
                ty,
                &CastOptions {
                    safe: false,
                    ..CastOptions::default()
                },
            )?,
            Make::Struct(fields, children) => {
                let array = array.as_struct();
                let children = children
                    .iter()
                    .map(|(at, make)| make.child(*at, array.columns(), array.len()))
                    .collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    children,
                    array.nulls().cloned(),
                    array.len(),
                )?)
            }
            Make::List(element, make) => {
                let array = array.as_list::<i32>();
                Arc::new(ListArray::try_new(
                    element.clone(),
                    array.offsets().clone(),
                    make.of(array.values())?,
                    array.nulls().cloned(),
                )?)
            }
            Make::Map(entries, sorted, make) => {
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

/// Whether a type that a file has may stand for the table's: the same in another form, or promoted from it as the
/// specification's schema evolution allows.
fn promotes(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, Decimal128, FixedSizeBinary, Float32, Float64, Int32, Int64, LargeBinary, Timestamp,
    };
    match (from, to) {
        (Int32, Int64) | (Float32, Float64) | (Binary | FixedSizeBinary(_), LargeBinary) => true,
        // Zones are all UTC, by different names.
        (Timestamp(_, from), Timestamp(_, to)) => from.is_some() == to.is_some(),
        (Decimal128(from, from_scale), Decimal128(to, to_scale)) => from <= to && from_scale == to_scale,
        (from, to) => from == to,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;

    fn field(id: i32, name: &str, ty: DataType) -> FieldRef {
        let id = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        Arc::new(Field::new(name, ty, true).with_metadata(id))
    }

    fn int32(values: &[i32]) -> ArrayRef {
        Arc::new(Int32Array::from(values.to_vec()))
    }

    #[test]
    fn columns_are_found_by_id_and_never_by_name_or_place() {
        // Two columns of one type have changed places and names since the file was written.
        let read = [field(1, "a", DataType::Int32), field(2, "b", DataType::Int32)];
        let wanted = [field(2, "a", DataType::Int32), field(1, "c", DataType::Int64)];
        let columns = Columns::new(&wanted, &read, "f").unwrap();
        let made = columns.make(&[int32(&[1]), int32(&[2])], 1).unwrap();
        assert_eq!(made[0].as_ref(), &Int32Array::from(vec![2]) as &dyn Array);
        assert_eq!(made[1].as_ref(), &Int64Array::from(vec![1]) as &dyn Array);
    }

    #[test]
    fn fields_of_structs_are_found_too_and_missing_ones_are_null() {
        let inner = Fields::from(vec![field(2, "x", DataType::Int32)]);
        let read = [field(1, "s", DataType::Struct(inner.clone()))];
        let now = Fields::from(vec![
            field(3, "new", DataType::Utf8),
            field(2, "renamed", DataType::Int64),
        ]);
        let wanted = [field(1, "s", DataType::Struct(now))];
        let columns = Columns::new(&wanted, &read, "f").unwrap();
        let array: ArrayRef = Arc::new(StructArray::new(inner, vec![int32(&[7])], None));
        let made = columns.make(&[array], 1).unwrap();
        let made = made[0].as_struct();
        assert_eq!(
            made.column(0).as_ref(),
            &StringArray::from(vec![None::<&str>]) as &dyn Array
        );
        assert_eq!(made.column(1).as_ref(), &Int64Array::from(vec![7]) as &dyn Array);
    }

    #[test]
    fn values_keep_their_bits() {
        let read = [field(1, "a", DataType::Float64), field(2, "b", DataType::Float32)];
        let wanted = [field(1, "a", DataType::Float64), field(2, "b", DataType::Float64)];
        let columns = Columns::new(&wanted, &read, "f").unwrap();
        // A NaN with a sign and a payload, and the zero with a sign.
        let values = [f64::from_bits(0xfff8_0000_0000_0001), -0.0, -1.5];
        let doubles: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![-0.0, 0.0, -1.5]));
        let made = columns.make(&[doubles, floats], 3).unwrap();
        let bits = |at: usize| -> Vec<u64> {
            let made = made[at].as_primitive::<Float64Type>();
            made.values().iter().map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(0), values.map(f64::to_bits));
        assert_eq!(bits(1), [-0.0_f64, 0.0, -1.5].map(f64::to_bits));
    }

    #[test]
    fn a_type_that_is_no_promotion_is_refused() {
        let read = [field(1, "a", DataType::Utf8)];
        let wanted = [field(1, "a", DataType::Int32)];
        let error = Columns::new(&wanted, &read, "f.parquet").unwrap_err().to_string();
        assert!(error.contains("f.parquet") && error.contains("Utf8"), "{error}");
    }
}
