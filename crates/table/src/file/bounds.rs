//! Lower and upper bounds: Parquet statistics -> Iceberg datums.
//!
//! A bound may be wide, never narrow: a reader drops files by it. So Parquet's truncated minima and
//! maxima are taken (they are valid bounds), and a column whose statistics are incomplete has none.

use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};
use parquet::file::statistics::Statistics;

/// Strings and binaries are cut to this many code points or bytes, as Iceberg's default metrics mode
/// (`truncate(16)`) does.
const LONGEST: usize = 16;

/// Parquet's own statistics are cut to this many bytes, so that [`LONGEST`] code points of four bytes
/// are always among them.
pub(super) const LONGEST_IN_PARQUET: usize = 4 * LONGEST;

/// The bounds of one column chunk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bounds {
    pub(super) lower: Datum,
    /// `None`: no short enough upper bound exists.
    pub(super) upper: Option<Datum>,
}

impl Bounds {
    /// `None` when the statistics lack a minimum or maximum, or do not fit the column's type.
    pub(super) fn of_chunk(statistics: &Statistics, ty: &PrimitiveType) -> Option<Self> {
        let lower = without_sign(datum(statistics, statistics.min_bytes_opt()?, ty)?, -0.0)?;
        let upper = without_sign(datum(statistics, statistics.max_bytes_opt()?, ty)?, 0.0)?;
        Some(Self {
            lower: cut_down(lower),
            upper: cut_up(upper),
        })
    }

    /// Bounds of two chunks together. `None` when they do not compare.
    pub(super) fn merge(self, other: Self) -> Option<Self> {
        let lower = if other.lower.partial_cmp(&self.lower)?.is_lt() {
            other.lower
        } else {
            self.lower
        };
        let upper = match (self.upper, other.upper) {
            (Some(a), Some(b)) => Some(if b.partial_cmp(&a)?.is_gt() { b } else { a }),
            _ => None,
        };
        Some(Self { lower, upper })
    }
}

/// Writers of other programs may have either zero, and NaN, which bounds nothing (Parquet's `ColumnOrder`): in Iceberg
/// -0.0 is below 0.0.
fn without_sign(datum: Datum, zero: f32) -> Option<Datum> {
    match datum.literal() {
        PrimitiveLiteral::Float(value) if value.is_nan() => None,
        PrimitiveLiteral::Double(value) if value.is_nan() => None,
        PrimitiveLiteral::Float(value) if value.0 == 0.0 => Some(Datum::float(zero)),
        PrimitiveLiteral::Double(value) if value.0 == 0.0 => Some(Datum::double(zero)),
        _ => Some(datum),
    }
}

fn datum(statistics: &Statistics, bytes: &[u8], ty: &PrimitiveType) -> Option<Datum> {
    let datum = match (ty, statistics) {
        // Small decimals are stored as integers, little-endian; Iceberg's bytes are big-endian.
        (PrimitiveType::Decimal { .. }, Statistics::Int32(_) | Statistics::Int64(_)) => {
            let big_endian: Vec<u8> = bytes.iter().rev().copied().collect();
            Datum::try_from_bytes(&big_endian, ty.clone())
        }
        // Readers differ about these: Iceberg's Java library compares UUIDs as signed numbers, and drops files that
        // hold what is asked for; Trino fails on bounds of a fixed (`tests/engines`).
        (PrimitiveType::Uuid | PrimitiveType::Fixed(_), _) => return None,
        _ => Datum::try_from_bytes(bytes, ty.clone()),
    };
    datum.ok()
}

fn cut_down(datum: Datum) -> Datum {
    match (datum.data_type(), datum.literal()) {
        (PrimitiveType::String, PrimitiveLiteral::String(text)) => match text.char_indices().nth(LONGEST) {
            Some((end, _)) => Datum::string(&text[..end]),
            None => datum,
        },
        (PrimitiveType::Binary, PrimitiveLiteral::Binary(bytes)) if bytes.len() > LONGEST => {
            Datum::binary(bytes[..LONGEST].iter().copied())
        }
        _ => datum,
    }
}

fn cut_up(datum: Datum) -> Option<Datum> {
    match (datum.data_type(), datum.literal()) {
        (PrimitiveType::String, PrimitiveLiteral::String(text)) => match text.char_indices().nth(LONGEST) {
            Some((end, _)) => next_string(&text[..end]).map(Datum::string),
            None => Some(datum),
        },
        (PrimitiveType::Binary, PrimitiveLiteral::Binary(bytes)) if bytes.len() > LONGEST => {
            next_bytes(&bytes[..LONGEST]).map(Datum::binary)
        }
        _ => Some(datum),
    }
}

/// A string above everything that starts with `prefix`: its last code point that can be raised, is.
fn next_string(prefix: &str) -> Option<String> {
    prefix.char_indices().rev().find_map(|(at, last)| {
        // The surrogates between U+D7FF and U+E000 are no characters.
        let next = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(last as u32 + 1)
        };
        next.map(|next| format!("{}{next}", &prefix[..at]))
    })
}

fn next_bytes(prefix: &[u8]) -> Option<Vec<u8>> {
    let at = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next = prefix[..=at].to_vec();
    next[at] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_upper_bound_is_above_what_was_cut() {
        let long = format!("{}\u{10FFFF}\u{10FFFF}", "a".repeat(15));
        let upper = cut_up(Datum::string(&long)).unwrap();
        assert_eq!(upper, Datum::string(format!("{}b", "a".repeat(14))));
        assert!(upper > Datum::string(&long));
        assert_eq!(
            cut_down(Datum::string(&long)),
            Datum::string(format!("{}\u{10FFFF}", "a".repeat(15)))
        );
    }

    #[test]
    fn what_cannot_be_raised_is_unbounded() {
        assert_eq!(cut_up(Datum::string("\u{10FFFF}".repeat(17))), None);
        assert_eq!(cut_up(Datum::binary(vec![0xFF; 17])), None);
        assert_eq!(
            cut_up(Datum::binary(vec![0xFF; 16])),
            Some(Datum::binary(vec![0xFF; 16]))
        );
    }

    #[test]
    fn zeros_are_bounds_of_both_and_nan_of_nothing() {
        let double = |min, max| Statistics::double(Some(min), Some(max), None, Some(0), false);
        let of = |min, max| Bounds::of_chunk(&double(min, max), &PrimitiveType::Double);
        let zeros = of(0.0, -0.0).unwrap();
        let bits = |datum: &Datum| match datum.literal() {
            PrimitiveLiteral::Double(value) => value.0.to_bits(),
            other => panic!("{other:?}"),
        };
        assert_eq!(bits(&zeros.lower), (-0.0_f64).to_bits());
        assert_eq!(bits(&zeros.upper.unwrap()), 0.0_f64.to_bits());
        assert_eq!(of(f64::NAN, 1.0), None);
        assert_eq!(of(1.0, f64::NAN), None);
    }

    #[test]
    fn surrogates_are_stepped_over() {
        assert_eq!(next_string("x\u{D7FF}"), Some("x\u{E000}".to_owned()));
    }
}
