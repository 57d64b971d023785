//! The column that an expression's values fit into.

use arrow::datatypes::{DataType, TimeUnit};
use iceberg::spec::{PrimitiveType, Type};

/// The primitive type of an expression's column, and the Arrow type in which tables hold it; `None` of nothing but
/// nulls.
///
/// # Errors
/// Types that no column of a table has.
pub fn canonical(ty: &DataType) -> Result<Option<(PrimitiveType, DataType)>, String> {
    use DataType as Arrow;
    let primitive = match ty {
        Arrow::Null => return Ok(None),
        Arrow::Boolean => PrimitiveType::Boolean,
        Arrow::Int8 | Arrow::Int16 | Arrow::Int32 | Arrow::UInt8 | Arrow::UInt16 => PrimitiveType::Int,
        Arrow::Int64 | Arrow::UInt32 => PrimitiveType::Long,
        Arrow::UInt64 => PrimitiveType::Decimal {
            precision: 20,
            scale: 0,
        },
        Arrow::Float16 | Arrow::Float32 => PrimitiveType::Float,
        Arrow::Float64 => PrimitiveType::Double,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => PrimitiveType::String,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView => PrimitiveType::Binary,
        Arrow::FixedSizeBinary(16) => PrimitiveType::Uuid,
        Arrow::Date32 => PrimitiveType::Date,
        Arrow::Time32(_) | Arrow::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
        Arrow::Timestamp(TimeUnit::Nanosecond, _) | Arrow::Time64(TimeUnit::Nanosecond) => {
            return Err(
                "gives nanoseconds, which the table cannot hold; use to_timestamp_micros, or a cast to \
                 TIMESTAMP(6)"
                    .to_owned(),
            );
        }
        Arrow::Timestamp(_, None) => PrimitiveType::Timestamp,
        Arrow::Timestamp(_, Some(_)) => PrimitiveType::Timestamptz,
        Arrow::Decimal128(precision, scale @ 0..) => PrimitiveType::Decimal {
            precision: u32::from(*precision),
            scale: scale.unsigned_abs().into(),
        },
        Arrow::Dictionary(_, values) => return canonical(values),
        other => {
            return Err(format!(
                "gives {other}, and a computed column holds one plain value"
            ));
        }
    };
    let arrow = arrow_of(&primitive)?;
    Ok(Some((primitive, arrow)))
}

/// The Arrow type of a table's column.
pub fn arrow_of(ty: &PrimitiveType) -> Result<DataType, String> {
    iceberg::arrow::type_to_arrow_type(&Type::Primitive(ty.clone())).map_err(|error| error.to_string())
}
