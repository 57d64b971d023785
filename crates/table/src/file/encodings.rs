//! The encoding of each column, chosen from a sample of its rows.
//!
//! Parquet's defaults (a dictionary for everything until it overflows, else plain) cost a third more
//! time and some bytes on typical records. Here integers and times are delta-packed unless they have
//! few values that a dictionary packs tighter, and everything else gets a dictionary only if enough of
//! it repeats. zstd runs over the result, so plain is no bad choice for what does not.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{RowConverter, SortField};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;

use super::FileSchema;

/// Rows looked at in each column.
const SAMPLE: usize = 4096;

/// Below this many values a sample says nothing.
const TOO_FEW: usize = 64;

/// Values in one miniblock of DELTA_BINARY_PACKED, which shares a bit width.
const MINIBLOCK: usize = 64;

/// How each leaf column of a table is encoded, in the order of the Parquet schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encodings(Vec<ColumnEncoding>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct ColumnEncoding {
    path: ColumnPath,
    dictionary: bool,
    /// Without a dictionary, and when it overflows.
    plain: Encoding,
}

impl Encodings {
    /// Chooses by the first rows of `sample`, a batch of the file's schema.
    pub fn choose(schema: &FileSchema, sample: &RecordBatch) -> Self {
        let sample = sample.slice(0, sample.num_rows().min(SAMPLE));
        let mut leaves = Vec::new();
        for column in sample.columns() {
            collect_leaves(column, &mut leaves);
        }
        let columns = schema
            .parquet()
            .columns()
            .iter()
            .zip(&leaves)
            .map(|(column, values)| {
                let physical = column.physical_type();
                ColumnEncoding {
                    path: column.path().clone(),
                    dictionary: dictionary_pays(physical, values),
                    plain: match physical {
                        PhysicalType::INT32 | PhysicalType::INT64 => Encoding::DELTA_BINARY_PACKED,
                        _ => Encoding::PLAIN,
                    },
                }
            });
        Self(columns.collect())
    }

    pub(super) fn set(&self, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        self.0.iter().fold(properties, |properties, column| {
            properties
                .set_column_dictionary_enabled(column.path.clone(), column.dictionary)
                .set_column_encoding(column.path.clone(), column.plain)
        })
    }
}

/// The leaf arrays under `array`, in the order of Parquet's leaf columns.
fn collect_leaves(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .for_each(|field| collect_leaves(field, leaves)),
        DataType::List(_) => collect_leaves(array.as_list::<i32>().values(), leaves),
        DataType::Map(_, _) => {
            let map = array.as_map();
            collect_leaves(map.keys(), leaves);
            collect_leaves(map.values(), leaves);
        }
        _ => leaves.push(array.clone()),
    }
}

fn dictionary_pays(physical: PhysicalType, values: &ArrayRef) -> bool {
    let integers = matches!(physical, PhysicalType::INT32 | PhysicalType::INT64);
    let Some(distinct) = Distinct::of(values).filter(|distinct| distinct.values >= TOO_FEW) else {
        return !integers;
    };
    match physical {
        PhysicalType::BOOLEAN => false,
        // The values of an id or a time keep growing, and so does its dictionary, however few a sample
        // holds: only a set that has stopped growing counts.
        PhysicalType::INT32 | PhysicalType::INT64 => {
            distinct.settled() && delta_bits(values).is_some_and(|bits| distinct.index_bits() + 1 < bits)
        }
        // A third of the values in so short a sample repeat: over a row group most will.
        _ => distinct.count * 3 <= distinct.values * 2,
    }
}

struct Distinct {
    /// Values that are not null.
    values: usize,
    /// Different ones among them, and among their first half.
    count: usize,
    in_first_half: usize,
}

impl Distinct {
    /// `None` for types that have no row format.
    fn of(array: &ArrayRef) -> Option<Self> {
        let array = array.slice(0, array.len().min(SAMPLE));
        let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())]).ok()?;
        let rows = converter.convert_columns(std::slice::from_ref(&array)).ok()?;
        let values = array.len() - array.null_count();
        let mut seen = HashSet::new();
        let mut in_first_half = 0;
        for (index, row) in (0..array.len()).filter(|row| array.is_valid(*row)).enumerate() {
            if index == values / 2 {
                in_first_half = seen.len();
            }
            seen.insert(rows.row(row));
        }
        Some(Self {
            values,
            count: seen.len(),
            in_first_half,
        })
    }

    /// The second half of the sample brought next to nothing new.
    fn settled(&self) -> bool {
        self.count - self.in_first_half <= self.count / 16
    }

    fn index_bits(&self) -> u32 {
        usize::BITS - self.count.saturating_sub(1).leading_zeros()
    }
}

/// Bits that delta packing takes for a value, on average; `None` for what is not a number.
fn delta_bits(array: &ArrayRef) -> Option<u32> {
    let array = array.slice(0, array.len().min(SAMPLE));
    let numbers = cast(&array, &DataType::Int64).ok()?;
    let numbers: Vec<i64> = numbers.as_primitive::<Int64Type>().iter().flatten().collect();
    let deltas: Vec<i64> = numbers
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let blocks = deltas.chunks(MINIBLOCK).map(|block| {
        let (low, high) = block
            .iter()
            .fold((i64::MAX, i64::MIN), |(low, high), d| (low.min(*d), high.max(*d)));
        u64::BITS - (high.wrapping_sub(low) as u64).leading_zeros()
    });
    let count = blocks.len() as u32;
    blocks.sum::<u32>().checked_div(count)
}
