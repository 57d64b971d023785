//! Which of a schema's messages a record is, as Apicurio's serializers write it behind the schema's id: a message of their
//! own, with its length in front, whose only field, number 1, is the name.

use super::wire::varint;
use crate::bad::{Fault, Reason};
use crate::columns::Outcome;

/// Bytes of a message's name.
const LONGEST: u64 = 512;

const NAME: u8 = 1 << 3 | 2;

/// The name, and what follows it. There is one way to write each.
pub(super) fn split(framed: &[u8]) -> Outcome<(&[u8], &[u8])> {
    let (length, at) = varint(framed).map_err(|_| not_framed())?;
    let behind = &framed[at..];
    if length > LONGEST || length > behind.len() as u64 {
        return Err(not_framed());
    }
    let (whole, behind) = behind.split_at(length as usize);
    match whole {
        [NAME, rest @ ..] => match varint(rest) {
            Ok((bytes, at)) if bytes == (rest.len() - at) as u64 => Ok((&rest[at..], behind)),
            _ => Err(not_framed()),
        },
        _ => Err(not_framed()),
    }
}

#[cold]
fn not_framed() -> Box<Fault> {
    let detail = "what follows the schema's id is no name of a message, as Apicurio's serializers write it";
    Fault::fatal(Reason::NotFramed, detail)
}
