//! The wire format (protobuf.dev, "Encoding"): the fields of a message, one after the other. Nothing is believed of a
//! length before the bytes are there, and no field is read deeper than its own bytes.

use crate::bad::{Fault, Reason};
use crate::columns::Outcome;

/// Groups within each other, of which nothing is kept. Other parsers refuse as many.
const DEEPEST_GROUP: usize = 100;

/// How a field's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Varint,
    Fixed64,
    /// A length and as many bytes.
    Delimited,
    /// The bytes up to the tag that ends it.
    Group,
    Fixed32,
}

/// Bytes of a record: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// `record` has at most `u32::MAX` bytes.
    pub fn whole(record: &[u8]) -> Self {
        Self {
            start: 0,
            end: record.len() as u32,
        }
    }

    pub fn of(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..self.end as usize]
    }

    /// As [`Field::raw`] has it.
    pub fn from_raw(raw: u64) -> Self {
        Self {
            start: (raw >> 32) as u32,
            end: raw as u32,
        }
    }
}

/// One field as it stands in the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub number: u32,
    pub wire: Wire,
    /// The number, its bits not yet understood; of `Delimited` and `Group` the span of their bytes.
    pub raw: u64,
}

/// What is left of a message.
#[derive(Clone)]
pub(super) struct Fields<'b> {
    record: &'b [u8],
    at: usize,
    end: usize,
}

impl<'b> Fields<'b> {
    pub fn new(record: &'b [u8], message: Span) -> Self {
        Self {
            record,
            at: message.start as usize,
            end: message.end as usize,
        }
    }

    /// The next field; `None` where the message ends.
    #[inline]
    pub fn next(&mut self) -> Outcome<Option<Field>> {
        if self.at == self.end {
            return Ok(None);
        }
        let (number, wire) = self.tag()?;
        let (wire, raw) = match wire {
            3 => (Wire::Group, self.group(number)?),
            wire => self.value(wire)?,
        };
        Ok(Some(Field { number, wire, raw }))
    }

    /// Numbers that follow each other without tags, all of one kind. `None` where they end.
    #[inline]
    pub fn next_packed(&mut self, wire: Wire) -> Outcome<Option<u64>> {
        if self.at == self.end {
            return Ok(None);
        }
        let raw = match wire {
            Wire::Fixed32 => u64::from(u32::from_le_bytes(self.array()?)),
            Wire::Fixed64 => u64::from_le_bytes(self.array()?),
            _ => self.varint()?,
        };
        Ok(Some(raw))
    }

    /// How many numbers [`Fields::next_packed`] will come to, if nothing is wrong with them.
    pub fn count_packed(&self, wire: Wire) -> usize {
        let bytes = &self.record[self.at..self.end];
        match wire {
            Wire::Fixed32 => bytes.len() / 4,
            Wire::Fixed64 => bytes.len() / 8,
            _ => bytes.iter().filter(|byte| **byte < 0x80).count(),
        }
    }

    #[inline]
    fn tag(&mut self) -> Outcome<(u32, u8)> {
        let tag = self.varint()?;
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..0x2000_0000) => Ok((number, tag as u8 & 7)),
            _ => Err(not_protobuf(format!("a field's number is {}", tag >> 3))),
        }
    }

    #[inline]
    fn value(&mut self, wire: u8) -> Outcome<(Wire, u64)> {
        Ok(match wire {
            0 => (Wire::Varint, self.varint()?),
            1 => (Wire::Fixed64, u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let start = self.at;
                match usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= self.end - start)
                {
                    Some(length) => self.at += length,
                    None => return Err(truncated()),
                }
                (Wire::Delimited, (start as u64) << 32 | self.at as u64)
            }
            5 => (Wire::Fixed32, u64::from(u32::from_le_bytes(self.array()?))),
            4 => return Err(not_protobuf("a group ends that has not begun")),
            wire => return Err(not_protobuf(format!("there is no wire type {wire}"))),
        })
    }

    /// The span of what stands between the tag of a group, which has been read, and the one that ends it.
    #[cold]
    fn group(&mut self, number: u32) -> Outcome<u64> {
        let start = self.at;
        let mut open = vec![number];
        loop {
            if self.at == self.end {
                return Err(truncated());
            }
            let end = self.at;
            match self.tag()? {
                (number, 3) if open.len() < DEEPEST_GROUP => open.push(number),
                (_, 3) => {
                    let detail = format!("more than {DEEPEST_GROUP} groups within each other");
                    return Err(Fault::fatal(Reason::TooDeep, detail));
                }
                (number, 4) if open.pop() != Some(number) => {
                    return Err(not_protobuf("a group ends with another one's number"));
                }
                (_, 4) if open.is_empty() => return Ok((start as u64) << 32 | end as u64),
                (_, 4) => {}
                (_, wire) => {
                    self.value(wire)?;
                }
            }
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        match self.record[self.at..self.end].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(truncated()),
        }
    }

    #[inline]
    fn varint(&mut self) -> Outcome<u64> {
        let (value, length) = varint(&self.record[self.at..self.end])?;
        self.at += length;
        Ok(value)
    }
}

/// A number of variable length at the beginning of `bytes`, and how many of them it takes.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Outcome<(u64, usize)> {
    let mut bits = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        bits |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if index == 9 && *byte > 1 {
                break;
            }
            return Ok((bits, index + 1));
        }
    }
    Err(match bytes.len() {
        0..10 => truncated(),
        _ => not_protobuf("a number has more than 64 bits"),
    })
}

/// The signed number that zig-zag makes an unsigned one.
pub(super) fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

#[cold]
fn truncated() -> Box<Fault> {
    not_protobuf("the record, or a message in it, ends amid a field")
}

/// A fault of the bytes themselves.
#[cold]
pub(super) fn not_protobuf(detail: impl Into<String>) -> Box<Fault> {
    Fault::fatal(Reason::NotProtobuf, detail)
}
