//! Where the fields of a message stand in its bytes: they come in any order and may come again, and columns are filled
//! in theirs. Nothing is copied, and the room is used again for the next message.

use super::wire::{Fields, Span, Wire, not_protobuf};
use crate::columns::{Outcome, Reading};

/// A field as the schema has it.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub number: u32,
    pub wire: Wire,
    pub keeps: Keeps,
    /// The number of the oneof that it is a member of.
    pub oneof: Option<usize>,
}

/// What counts of a field that is written more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// The last one.
    Last,
    /// All of them: the elements of a list or map, or the parts of a message.
    All,
    /// All of them, also several numbers in one.
    Packed,
}

/// What there is of a field.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// How often it is written.
    pub count: u32,
    /// The last one. Zero is the default of every scalar: no bits, and no bytes.
    pub raw: u64,
    /// Where all of them begin and end, if all are kept.
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence {
    pub raw: u64,
    /// Several numbers without tags: `raw` is their span.
    pub packed: bool,
    next: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Scan {
    found: Vec<Found>,
    /// The member of each oneof that came last, counted from one.
    oneofs: Vec<u32>,
    occurrences: Vec<Occurrence>,
}

impl Scan {
    /// Forgets the message before. The next one has `fields` fields and `oneofs` oneofs.
    pub fn begin(&mut self, fields: usize, oneofs: usize) {
        self.found.clear();
        self.found.resize(fields, Found::default());
        self.oneofs.clear();
        self.oneofs.resize(oneofs, 0);
        self.occurrences.clear();
    }

    /// Adds the fields of a message, or of a part of one: what is written of it in several places is one message.
    /// `shapes` are in the order of their numbers.
    pub fn add(
        &mut self,
        shapes: &[Shape],
        record: &[u8],
        message: Span,
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let mut fields = Fields::new(record, message);
        while let Some(field) = fields.next()? {
            let Some(index) = position(shapes, field.number) else {
                reading.unknown_fields += 1;
                continue;
            };
            let shape = &shapes[index];
            let packed = field.wire != shape.wire;
            if packed && (shape.keeps != Keeps::Packed || field.wire != Wire::Delimited) {
                let detail = format!(
                    "field {} is written as {:?}, and its schema says {:?}",
                    field.number, field.wire, shape.wire
                );
                return Err(not_protobuf(detail));
            }
            if let Some(oneof) = shape.oneof {
                let before = self.oneofs[oneof] as usize;
                if before != 0 && before != index + 1 {
                    self.found[before - 1] = Found::default();
                }
                self.oneofs[oneof] = index as u32 + 1;
            }
            let found = &mut self.found[index];
            if shape.keeps != Keeps::Last {
                reading.spend(1, 1)?;
                let place = self.occurrences.len() as u32;
                self.occurrences.push(Occurrence {
                    raw: field.raw,
                    packed,
                    next: u32::MAX,
                });
                match found.count {
                    0 => found.first = place,
                    _ => self.occurrences[found.last as usize].next = place,
                }
                found.last = place;
            }
            found.raw = field.raw;
            found.count += 1;
        }
        Ok(())
    }

    pub fn found(&self, field: usize) -> Found {
        self.found[field]
    }

    /// All of a field that keeps them.
    pub fn all(&self, found: Found) -> Occurrences<'_> {
        Occurrences {
            scan: self,
            next: match found.count {
                0 => u32::MAX,
                _ => found.first,
            },
        }
    }
}

#[derive(Clone)]
pub(super) struct Occurrences<'s> {
    scan: &'s Scan,
    next: u32,
}

impl Iterator for Occurrences<'_> {
    type Item = Occurrence;

    #[inline]
    fn next(&mut self) -> Option<Occurrence> {
        let occurrence = self.scan.occurrences.get(self.next as usize).copied()?;
        self.next = occurrence.next;
        Some(occurrence)
    }
}

/// Most schemas number their fields from one.
#[inline]
fn position(shapes: &[Shape], number: u32) -> Option<usize> {
    let guess = number as usize - 1;
    match shapes.get(guess) {
        Some(shape) if shape.number == number => Some(guess),
        _ => shapes.binary_search_by_key(&number, |shape| shape.number).ok(),
    }
}
