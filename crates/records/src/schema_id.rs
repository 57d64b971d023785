//! How a record names the schema that it was written with.

use std::fmt;

/// One of the names that a registry gives to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaId {
    /// Confluent's: the number of a schema, whichever subjects have it.
    Number(u32),
    /// Confluent's as well: the same in all registries. Its bytes are those of a UUID, the highest first.
    Guid([u8; 16]),
    /// Apicurio's: the number of one version of one artifact.
    Global(u64),
    /// Apicurio's: the number of a schema, whichever artifacts have it.
    Content(u64),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Global(number) => write!(f, "globalId {number}"),
            Self::Content(number) => write!(f, "contentId {number}"),
            Self::Guid(bytes) => {
                for (at, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_as_its_registry_shows_it() {
        let guid = SchemaId::Guid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
        assert_eq!(guid.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(SchemaId::Number(7).to_string(), "7");
        assert_eq!(SchemaId::Global(7).to_string(), "globalId 7");
        assert_eq!(SchemaId::Content(7).to_string(), "contentId 7");
    }
}
