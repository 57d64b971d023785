//! One key of several columns: their bits in turns, so that rows which are near each other in it are near each other in
//! each column (Morton, 1966; Iceberg's `zorder` in `rewrite_data_files`).

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};

use crate::MaintainError;

/// The highest bit, by which signed numbers are put in the order of unsigned ones.
const SIGN: u64 = 1 << 63;

/// The key of each row, to be compared byte by byte. Nulls come first.
///
/// # Errors
/// A column that has no order, such as a list.
pub fn z_order(columns: &[ArrayRef]) -> Result<BinaryArray, MaintainError> {
    let ranks: Vec<Vec<u64>> = columns.iter().map(ranks).collect::<Result<_, _>>()?;
    let rows = columns.first().map_or(0, |column| column.len());
    let mut keys = BinaryBuilder::with_capacity(rows, rows * columns.len() * 8);
    let mut of_row = vec![0; columns.len()];
    for row in 0..rows {
        for (rank, column) in of_row.iter_mut().zip(&ranks) {
            *rank = column[row];
        }
        keys.append_value(interleaved(&of_row));
    }
    Ok(keys.finish())
}

/// The bits of all numbers in turns, the highest of each first.
fn interleaved(ranks: &[u64]) -> Vec<u8> {
    let mut key = vec![0; ranks.len() * 8];
    let mut at = 0;
    for bit in (0..64).rev() {
        for rank in ranks {
            let set = (rank >> bit) & 1;
            key[at / 8] |= (set as u8) << (7 - at % 8);
            at += 1;
        }
    }
    key
}

/// A number for each value, in the same order: of long values, by their first eight bytes.
fn ranks(column: &ArrayRef) -> Result<Vec<u64>, MaintainError> {
    let of = |rank: &dyn Fn(usize) -> u64| -> Vec<u64> {
        let rank = |row| match column.is_null(row) {
            true => 0,
            false => rank(row),
        };
        (0..column.len()).map(rank).collect()
    };
    Ok(match column.data_type() {
        DataType::Float32 | DataType::Float64 => {
            let values = cast(column, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            of(&|row| of_float(values.value(row)))
        }
        DataType::Decimal128(..) => {
            let values = column.as_primitive::<Decimal128Type>();
            of(&|row| {
                let limits = i128::from(i64::MIN)..=i128::from(i64::MAX);
                signed(values.value(row).clamp(*limits.start(), *limits.end()) as i64)
            })
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            of(&|row| (1 + u64::from(values.value(row))) << 62)
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            of(&|row| first_bytes(values.value(row).as_bytes()))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            of(&|row| first_bytes(values.value(row)))
        }
        DataType::LargeBinary => {
            let values = column.as_binary::<i64>();
            of(&|row| first_bytes(values.value(row)))
        }
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            of(&|row| first_bytes(values.value(row)))
        }
        DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(..) => {
            let values = match column.data_type() {
                DataType::Date32 => cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?,
                _ => cast(column, &DataType::Int64)?,
            };
            let values = values.as_primitive::<Int64Type>();
            of(&|row| signed(values.value(row)))
        }
        other => {
            return Err(MaintainError::Unsupported(format!(
                "a column of type {other} cannot be z-ordered; name columns of numbers, times or texts"
            )));
        }
    })
}

fn signed(value: i64) -> u64 {
    value.cast_unsigned() ^ SIGN
}

/// In the total order of IEEE 754: negative ones backwards.
fn of_float(value: f64) -> u64 {
    let bits = value.to_bits();
    match bits & SIGN {
        0 => bits ^ SIGN,
        _ => !bits,
    }
}

fn first_bytes(value: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = value.len().min(8);
    first[..length].copy_from_slice(&value[..length]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn keys(columns: &[ArrayRef]) -> Vec<Vec<u8>> {
        let keys = z_order(columns).unwrap();
        keys.iter().map(|key| key.unwrap().to_vec()).collect()
    }

    #[test]
    fn bits_come_in_turns() {
        assert_eq!(interleaved(&[u64::MAX, 0]), [0b1010_1010; 16]);
        assert_eq!(interleaved(&[1, 3])[15], 0b0000_0111);
    }

    #[test]
    fn a_square_is_walked_in_quarters() {
        let at = |x: i64, y: i64| -> Vec<u8> {
            let column = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
            keys(&[column(x), column(y)]).remove(0)
        };
        // Whatever is in one quarter comes before all of the next.
        let quarter = |x: i64, y: i64| (0..4).map(move |n| (x + n / 2, y + n % 2));
        let path: Vec<_> = [(0, 0), (0, 2), (2, 0), (2, 2)]
            .into_iter()
            .flat_map(|(x, y)| quarter(x, y))
            .map(|(x, y)| at(x, y))
            .collect();
        assert!(path.is_sorted(), "{path:?}");
    }

    #[test]
    fn nulls_come_first_and_lists_have_no_order() {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(i32::MIN), None]));
        let keys = keys(&[column]);
        assert!(keys[1] < keys[0]);
        let list = arrow::array::new_empty_array(&DataType::new_list(DataType::Int32, true));
        assert!(z_order(&[list]).is_err());
    }

    proptest! {
        #[test]
        fn one_column_keeps_its_own_order(numbers: Vec<i64>, floats: Vec<f64>, texts: Vec<String>) {
            let sorted = |column: ArrayRef, mut order: Vec<usize>| {
                let keys = keys(&[column]);
                order.retain(|at| *at < keys.len());
                let in_order: Vec<_> = order.iter().map(|at| &keys[*at]).collect();
                in_order.is_sorted()
            };
            let order = |length: usize, compare: &dyn Fn(usize, usize) -> std::cmp::Ordering| {
                let mut order: Vec<usize> = (0..length).collect();
                order.sort_by(|a, b| compare(*a, *b));
                order
            };
            let by_number = order(numbers.len(), &|a, b| numbers[a].cmp(&numbers[b]));
            prop_assert!(sorted(Arc::new(Int64Array::from(numbers.clone())), by_number));
            let by_float = order(floats.len(), &|a, b| floats[a].total_cmp(&floats[b]));
            prop_assert!(sorted(Arc::new(Float64Array::from(floats.clone())), by_float));
            let by_text = order(texts.len(), &|a, b| texts[a].cmp(&texts[b]));
            prop_assert!(sorted(Arc::new(StringArray::from(texts.clone())), by_text));
        }
    }
}
