//! How a registry's serializers say which schema a value was written with: in front of it, or in the record's headers.
//!
//! - Confluent's begin a value with the byte 0 and four bytes of id, or the byte 1 and sixteen bytes of GUID. Others put
//!   just that into a header, and nothing in front of the value.
//! - Apicurio's begin it with the byte 0 and eight or four bytes of id, the default of version 2 and 3. Its ids are above
//!   zero and below 2^32, so that the first four tell which it is. Or the id is in a header.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tabletopic_records::{Record, SchemaId};

use crate::bad::{Fault, Reason};
use crate::columns::Outcome;
use crate::key::keys;
use crate::settings::{ApicurioIds, DecodeSettings, Framing, Part};
use crate::writer_schemas::WriterSchema;

/// A value without its frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed<'b> {
    pub id: SchemaId,
    /// Which of the schema's types the record is, where the format's schemas have several.
    pub selector: Cow<'b, [u8]>,
    pub body: &'b [u8],
}

/// How a frame says which of a schema's types a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Where it stands in the schema's file, as Confluent's serializers do.
    ByPlace,
    /// By its name, as Apicurio's do.
    ByName,
}

/// Splits what names the type from the bytes behind it. It has to be one of few for each type: whatever is met is
/// remembered.
pub(crate) type Select = fn(&[u8], Naming) -> Outcome<(&[u8], &[u8])>;

impl Framing {
    pub(crate) const fn naming(self) -> Naming {
        match self {
            Self::Confluent | Self::ConfluentHeader => Naming::ByPlace,
            Self::Apicurio(_) => Naming::ByName,
        }
    }

    /// Reads the frame of `value`, which is the `part` of `record`. `select` is there if the format's schemas have
    /// several types.
    pub(crate) fn read<'b>(
        self,
        part: Part,
        record: &Record<'_>,
        value: &'b [u8],
        select: Option<Select>,
    ) -> Outcome<Framed<'b>> {
        let (id, framed) = match self {
            Self::Confluent => confluent(value)?,
            Self::ConfluentHeader => match confluent_header(part, record) {
                None => confluent(value)?,
                Some(header) => {
                    let (id, framed) = confluent(&header)?;
                    let selector = Cow::Owned(self.split(framed, select)?.0.to_vec());
                    return Ok(Framed {
                        id,
                        selector,
                        body: value,
                    });
                }
            },
            Self::Apicurio(ids) => {
                let Headers { id, ty, is_json } = apicurio_headers(part, record)?;
                if is_json {
                    return Err(not_framed(
                        "its header says that its encoding is JSON; set `apicurio.registry.avro.encoding` to BINARY \
                         where the record is written",
                    ));
                }
                match (id, ty) {
                    (None, _) => apicurio(value, ids)?,
                    (Some(id), None) => (id, value),
                    (Some(id), Some(ty)) => return Ok(typed(id, ty, value, self.split(value, select))),
                }
            }
        };
        let (selector, body) = self.split(framed, select)?;
        Ok(Framed {
            id,
            selector: Cow::Borrowed(selector),
            body,
        })
    }

    fn split(self, framed: &[u8], select: Option<Select>) -> Outcome<(&[u8], &[u8])> {
        match select {
            Some(select) => select(framed, self.naming()),
            None => Ok((&[], framed)),
        }
    }
}

/// A value whose headers say its type as well. Apicurio's version 3 writes that in front of the value, too.
fn typed<'b>(
    id: SchemaId,
    ty: Vec<u8>,
    value: &'b [u8],
    in_front: Outcome<(&'b [u8], &'b [u8])>,
) -> Framed<'b> {
    match in_front {
        // Schemas of one type.
        Ok((&[], body)) => Framed {
            id,
            selector: Cow::Borrowed(&[]),
            body,
        },
        Ok((again, body)) if again == ty.as_slice() => Framed {
            id,
            selector: Cow::Borrowed(again),
            body,
        },
        _ => Framed {
            id,
            selector: Cow::Owned(ty),
            body: value,
        },
    }
}

/// The id in front, and what follows it.
fn confluent(bytes: &[u8]) -> Outcome<(SchemaId, &[u8])> {
    if let Some(([0, id @ ..], behind)) = bytes.split_first_chunk::<5>() {
        return Ok((SchemaId::Number(u32::from_be_bytes(*id)), behind));
    }
    if let Some(([1, guid @ ..], behind)) = bytes.split_first_chunk::<17>() {
        return Ok((SchemaId::Guid(*guid), behind));
    }
    Err(match bytes {
        [0 | 1, ..] | [] => not_framed(format!(
            "{} bytes are too few for the id of a schema",
            bytes.len()
        )),
        _ => not_framed(
            "the record does not begin with the byte 0 and the id of a schema: no registry's serializer wrote it",
        ),
    })
}

fn apicurio(bytes: &[u8], ids: ApicurioIds) -> Outcome<(SchemaId, &[u8])> {
    let (number, behind) = match bytes {
        [0, 0, 0, 0, 0, rest @ ..] => match rest.split_first_chunk::<4>() {
            Some((low, behind)) => (u32::from_be_bytes(*low), behind),
            None => {
                return Err(not_framed(format!(
                    "{} bytes are too few for the id of a schema",
                    bytes.len()
                )));
            }
        },
        _ => match bytes.split_first_chunk::<5>() {
            Some(([0, id @ ..], behind)) => (u32::from_be_bytes(*id), behind),
            _ => {
                return Err(not_framed(
                    "neither a header nor the record's beginning has the id of a schema: no registry's serializer \
                     wrote it",
                ));
            }
        },
    };
    let number = u64::from(number);
    let id = match ids {
        ApicurioIds::Global => SchemaId::Global(number),
        ApicurioIds::Content => SchemaId::Content(number),
    };
    Ok((id, behind))
}

/// What a frame would be; the last of several headers counts, as it does for Confluent's deserializers.
fn confluent_header(part: Part, record: &Record<'_>) -> Option<Vec<u8>> {
    let wanted = match part {
        Part::Key => "__key_schema_id",
        Part::Value => "__value_schema_id",
    };
    let mut found = None;
    record.headers.for_each(&mut |name, value| {
        if name == wanted {
            found = value.map(<[u8]>::to_vec);
        }
    });
    found
}

#[derive(Default)]
struct Headers {
    id: Option<SchemaId>,
    ty: Option<Vec<u8>>,
    is_json: bool,
}

/// The last of several headers counts, as it does for Apicurio's deserializers.
fn apicurio_headers(part: Part, record: &Record<'_>) -> Outcome<Headers> {
    let [global, content, encoding, ty] = match part {
        Part::Key => [
            "apicurio.key.globalId",
            "apicurio.key.contentId",
            "apicurio.key.encoding",
            "apicurio.protobuf.type.key",
        ],
        Part::Value => [
            "apicurio.value.globalId",
            "apicurio.value.contentId",
            "apicurio.value.encoding",
            "apicurio.protobuf.type",
        ],
    };
    let mut headers = Headers::default();
    let mut broken = None;
    record.headers.for_each(&mut |name, value| {
        let value = value.unwrap_or_default();
        let mut number = |id: fn(u64) -> SchemaId| match <[u8; 8]>::try_from(value) {
            Ok(bytes) => headers.id = Some(id(u64::from_be_bytes(bytes))),
            Err(_) => broken = Some(format!("its header {name} has {} bytes, and not 8", value.len())),
        };
        if name == global {
            number(SchemaId::Global);
        } else if name == content {
            number(SchemaId::Content);
        } else if name == encoding {
            headers.is_json = value == b"JSON";
        } else if name == ty {
            headers.ty = Some(value.to_vec());
        }
    });
    match broken {
        Some(problem) => Err(not_framed(problem)),
        None => Ok(headers),
    }
}

#[cold]
fn not_framed(detail: impl Into<String>) -> Box<Fault> {
    Fault::fatal(Reason::NotFramed, detail)
}

impl DecodeSettings {
    /// The frames of those of the records that have one.
    pub(crate) fn frames<'b>(
        &self,
        records: &[Record<'b>],
        select: Option<Select>,
    ) -> impl Iterator<Item = Framed<'b>> {
        let (framing, part) = (self.framing, self.part);
        records
            .iter()
            .filter_map(move |record| framing.read(part, record, record.value?, select).ok())
    }

    /// Of the schemas that columns can be made of, the newest in the sample, which is the one with the highest id; or that
    /// of the file. What older ones have beside it, a table gets when it meets their records. `of_format` picks those of
    /// one format, whose schemas are of one type each.
    pub(crate) fn newest<S>(
        &self,
        records: &[Record<'_>],
        of_format: impl Fn(WriterSchema) -> Option<S>,
    ) -> Option<S> {
        let known = |id| self.usable(id).and_then(&of_format);
        if !self.writers.is_framed() {
            return known(None);
        }
        let ids: BTreeSet<SchemaId> = self.frames(records, None).map(|framed| framed.id).collect();
        ids.into_iter().rev().find_map(|id| known(Some(id)))
    }

    /// The schema ids that have to be known before `records` can be decoded, and are not.
    pub fn missing(&self, records: &[Record<'_>]) -> Vec<SchemaId> {
        let mut ids = BTreeSet::new();
        if self.writers.is_framed() {
            ids.extend(self.frames(records, None).map(|framed| framed.id));
        }
        if let Some(of_keys) = self.of_keys().filter(|keys| keys.writers.is_framed()) {
            ids.extend(of_keys.frames(&keys(records), None).map(|framed| framed.id));
        }
        let known = |id: &SchemaId| self.registered().is_some_and(|registered| registered.knows(*id));
        ids.into_iter().filter(|id| !known(id)).collect()
    }
}
