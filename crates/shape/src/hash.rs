//! Keyed hashes: HMAC-SHA-256, in hexadecimal. Whoever has the key finds a value's hash again; nobody else can try
//! values out.

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use ring::hmac;
use uuid::Uuid;

/// A secret: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Arc<[u8]>);

impl HashKey {
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }

    pub(crate) fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether values of this type can be hashed: those that have one way to be written.
pub(crate) fn can_be_hashed(ty: &DataType) -> bool {
    use DataType::{Boolean, Date32, Decimal128, FixedSizeBinary, Int32, Int64, LargeBinary, Utf8};
    matches!(
        ty,
        Boolean | Int32 | Int64 | Decimal128(..) | Date32 | Utf8 | LargeBinary | FixedSizeBinary(_)
    )
}

/// The hash of each value: of a text's UTF-8, of bytes as they are, of everything else as it is written.
pub(crate) fn hashes(key: &hmac::Key, values: &ArrayRef) -> Result<StringArray, ArrowError> {
    let mut hashes = StringBuilder::with_capacity(values.len(), values.len() * 64);
    let mut append = |value: Option<&[u8]>| match value {
        None => hashes.append_null(),
        Some(value) => {
            let mut text = String::with_capacity(64);
            for byte in hmac::sign(key, value).as_ref() {
                let _ = write!(text, "{byte:02x}");
            }
            hashes.append_value(text);
        }
    };
    match values.data_type() {
        DataType::Utf8 => values
            .as_string::<i32>()
            .iter()
            .for_each(|value| append(value.map(str::as_bytes))),
        DataType::LargeBinary => values.as_binary::<i64>().iter().for_each(append),
        DataType::FixedSizeBinary(16) => fixed(values)
            .iter()
            .map(|value| value.and_then(|value| Uuid::from_slice(value).ok()))
            .for_each(|uuid| {
                append(
                    uuid.map(|uuid| uuid.to_string())
                        .as_ref()
                        .map(|text| text.as_bytes()),
                )
            }),
        DataType::FixedSizeBinary(_) => fixed(values).iter().for_each(append),
        _ => {
            let options = FormatOptions::default();
            let written = ArrayFormatter::try_new(values.as_ref(), &options)?;
            for row in 0..values.len() {
                let text = values.is_valid(row).then(|| written.value(row).to_string());
                append(text.as_ref().map(|text| text.as_bytes()));
            }
        }
    }
    Ok(hashes.finish())
}

fn fixed(values: &ArrayRef) -> &FixedSizeBinaryArray {
    values.as_fixed_size_binary()
}
