//! Reading past values that no column takes.

use super::cursor::Cursor;
use super::json_text;
use super::schema::Avro;
use crate::columns::{Outcome, Reading};

impl Reading<'_> {
    /// Reads past a value.
    pub(super) fn skip(&mut self, ty: &Avro, bytes: &mut Cursor<'_>) -> Outcome {
        match ty {
            Avro::Null => {}
            Avro::Again(_) => {
                json_text::write(ty, bytes, self)?;
            }
            Avro::Boolean => {
                bytes.boolean()?;
            }
            Avro::Int | Avro::Date | Avro::TimeMillis => {
                bytes.int()?;
            }
            Avro::Long | Avro::TimeMicros | Avro::Timestamp(_) => {
                bytes.long()?;
            }
            Avro::Float => {
                bytes.take(4)?;
            }
            Avro::Double => {
                bytes.take(8)?;
            }
            Avro::Bytes | Avro::String | Avro::UuidText => {
                bytes.bytes()?;
            }
            Avro::Fixed(size) => {
                bytes.take(*size)?;
            }
            Avro::UuidBytes => {
                bytes.take(16)?;
            }
            Avro::Duration => {
                bytes.take(12)?;
            }
            Avro::Decimal(decimal) => {
                match decimal.size {
                    Some(size) => bytes.take(size)?,
                    None => bytes.bytes()?,
                };
            }
            Avro::Enum(symbols) => {
                bytes.index(symbols.len())?;
            }
            Avro::Array(items) => self.skip_blocks(bytes, |reading, bytes| reading.skip(items, bytes))?,
            Avro::Map(values) => self.skip_blocks(bytes, |reading, bytes| {
                bytes.bytes()?;
                reading.skip(values, bytes)
            })?,
            Avro::Record(fields) => {
                self.spend(1, fields.len())?;
                for field in fields.iter() {
                    self.skip(&field.ty, bytes)?;
                }
            }
            Avro::Union(branches) => {
                let branch = bytes.index(branches.len())?;
                self.skip(&branches[branch].ty, bytes)?;
            }
        }
        Ok(())
    }

    fn skip_blocks(
        &mut self,
        bytes: &mut Cursor<'_>,
        mut item: impl FnMut(&mut Self, &mut Cursor<'_>) -> Outcome,
    ) -> Outcome {
        loop {
            match bytes.block()? {
                (0, _) => return Ok(()),
                (_, Some(size)) => {
                    bytes.take(size)?;
                }
                (count, None) => {
                    self.spend(count, 1)?;
                    for _ in 0..count {
                        item(self, bytes)?;
                    }
                }
            }
        }
    }
}
