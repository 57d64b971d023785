//! How the fields of a message are written.

use super::scan::{Keeps, Shape};
use super::schema::{Field, Kind, Label};
use super::value::Scalar;
use super::wire::Wire;

/// In the order of their numbers.
pub(super) fn shapes(fields: &[Field]) -> Box<[Shape]> {
    let mut shapes: Vec<Shape> = fields.iter().map(shape).collect();
    shapes.sort_by_key(|shape| shape.number);
    shapes.into()
}

fn shape(field: &Field) -> Shape {
    Shape {
        number: field.number,
        wire: wire(&field.kind),
        keeps: match (field.label, keeps(&field.kind)) {
            (Label::Repeated, Keeps::Last) => match wire(&field.kind) {
                Wire::Delimited => Keeps::All,
                _ => Keeps::Packed,
            },
            (_, keeps) => keeps,
        },
        oneof: field.oneof,
    }
}

/// Of the key and the value of a map.
pub(super) fn of_entry(key: Scalar, value: &Kind) -> [Shape; 2] {
    let entry = |number, wire, keeps| Shape {
        number,
        wire,
        keeps,
        oneof: None,
    };
    [
        entry(1, key.wire(), Keeps::Last),
        entry(2, wire(value), keeps(value)),
    ]
}

/// The value of an entry that has none.
pub(super) fn default_of(value: &Kind) -> u64 {
    match value {
        Kind::Enum(names) => i64::from(names.default) as u64,
        _ => 0,
    }
}

/// How one value is written.
pub(super) fn wire(kind: &Kind) -> Wire {
    match kind {
        Kind::Scalar(scalar) => scalar.wire(),
        Kind::Enum(_) => Wire::Varint,
        Kind::Group(_) => Wire::Group,
        Kind::Again(_, wire) => *wire,
        Kind::Message(_) | Kind::Map(..) | Kind::Timestamp | Kind::Wrapper(_) | Kind::Json(_) => {
            Wire::Delimited
        }
    }
}

/// What counts of one value that is written again: messages are merged.
fn keeps(kind: &Kind) -> Keeps {
    match kind {
        Kind::Scalar(_) | Kind::Enum(_) => Keeps::Last,
        _ => Keeps::All,
    }
}
