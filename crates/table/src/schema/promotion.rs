//! Which type may become which (Iceberg spec, "Schema Evolution").

use iceberg::spec::PrimitiveType;

/// Whether values of `from` can be read as `to`: the same type, or one of the promotions of format
/// version 2.
pub fn promotes(from: &PrimitiveType, to: &PrimitiveType) -> bool {
    use PrimitiveType::{Decimal, Double, Float, Int, Long};
    match (from, to) {
        (Int, Long) | (Float, Double) => true,
        (
            Decimal {
                precision: narrow,
                scale: a,
            },
            Decimal {
                precision: wide,
                scale: b,
            },
        ) => a == b && narrow <= wide,
        (from, to) => from == to,
    }
}
