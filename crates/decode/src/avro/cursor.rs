//! What is left of a record's bytes (Avro 1.12, "Binary Encoding"). Nothing is believed of a length before the bytes
//! are there.

use super::schema::Types;
use crate::bad::{Fault, Reason};
use crate::columns::Outcome;

pub(super) struct Cursor<'b> {
    /// What names within the schema mean.
    pub types: &'b Types,
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub fn new(bytes: &'b [u8], types: &'b Types) -> Self {
        Self { types, rest: bytes }
    }

    /// The record has to end here.
    pub fn finish(&self) -> Outcome {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(not_avro(format!("{left} bytes follow the record's end"))),
        }
    }

    #[inline]
    pub fn take(&mut self, length: usize) -> Outcome<&'b [u8]> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(truncated()),
        }
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(truncated()),
        }
    }

    #[inline]
    pub fn boolean(&mut self) -> Outcome<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(not_avro(format!("{other} is not a boolean"))),
        }
    }

    /// A variable-length zig-zag number.
    #[inline]
    pub fn long(&mut self) -> Outcome<i64> {
        let mut bits = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            bits |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(match self.rest.len() {
            0..10 => truncated(),
            _ => not_avro("a number has more than 64 bits"),
        })
    }

    #[inline]
    pub fn int(&mut self) -> Outcome<i32> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| not_avro(format!("{long} is not an int of 32 bits")))
    }

    /// A length and as many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Outcome<&'b [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Text, which is checked.
    #[inline]
    pub fn text(&mut self) -> Outcome<&'b str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| Fault::of_value(Reason::InvalidUtf8, "the text is not UTF-8"))
    }

    /// One of so many branches or symbols.
    #[inline]
    pub fn index(&mut self, of: usize) -> Outcome<usize> {
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(index) if index < of => Ok(index),
            _ => Err(not_avro(format!("branch or symbol {index} of {of}"))),
        }
    }

    /// The items that the next block of an array or map says it has, and their bytes where it says these; no items:
    /// this was the end.
    pub fn block(&mut self) -> Outcome<(usize, Option<usize>)> {
        let count = self.long()?;
        let size = match count < 0 {
            true => Some(self.length()?),
            false => None,
        };
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok((count, size))
    }

    fn length(&mut self) -> Outcome<usize> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| not_avro(format!("a length of {length} bytes")))
    }
}

#[cold]
fn truncated() -> Box<Fault> {
    not_avro("the record ends amid a value")
}

/// A fault of the bytes themselves.
#[cold]
pub(super) fn not_avro(detail: impl Into<String>) -> Box<Fault> {
    Fault::fatal(Reason::NotAvro, detail)
}
