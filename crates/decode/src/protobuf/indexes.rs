//! Which of a schema's messages a framed record is: Confluent's serializers write, behind the schema's id, where the
//! message stands in its file. It is a count and as many indexes, the first among the file's messages, each further one
//! among those that are declared within the one before; zig-zag numbers of variable length. A single zero byte is short
//! for the file's first message.

use super::wire::{varint, zigzag};
use crate::bad::{Fault, Reason};
use crate::columns::Outcome;
use crate::settings::Limits;

/// The indexes as they are written, and what follows them. There is one way to write each, but for the short one.
pub(super) fn split(framed: &[u8]) -> Outcome<(&[u8], &[u8])> {
    let (count, mut at) = number(framed)?;
    if count > Limits::DEEPEST {
        return Err(not_framed(format!("{count} indexes of a message")));
    }
    for _ in 0..count {
        at += number(&framed[at..])?.1;
    }
    Ok(framed.split_at(at))
}

/// What [`split`] found, understood.
pub(super) fn indexes(written: &[u8]) -> Outcome<Vec<u32>> {
    let (count, mut at) = number(written)?;
    if count == 0 {
        return Ok(vec![0]);
    }
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, length) = number(&written[at..])?;
        indexes.push(index as u32);
        at += length;
    }
    Ok(indexes)
}

fn number(bytes: &[u8]) -> Outcome<(usize, usize)> {
    let not_a_number = |_| not_framed("what follows the schema's id is no index of a message".to_owned());
    let (bits, length) = varint(bytes).map_err(not_a_number)?;
    // Else there would be no end of ways to write one and the same.
    let is_short = length == 1 || bytes[length - 1] != 0;
    match u32::try_from(zigzag(bits)) {
        Ok(number) if is_short => Ok((number as usize, length)),
        _ => Err(not_framed(
            "what follows the schema's id is no index of a message; Confluent's deprecated format is not read, set \
             `use.deprecated.format` to false where the record is written"
                .to_owned(),
        )),
    }
}

#[cold]
fn not_framed(detail: String) -> Box<Fault> {
    Fault::fatal(Reason::NotFramed, detail)
}
