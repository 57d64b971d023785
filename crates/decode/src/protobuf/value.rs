//! Values without parts of their own, as their bytes are to be understood.

use super::wire::Wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    Text,
    Bytes,
}

impl Scalar {
    pub fn is_integer(self) -> bool {
        !matches!(
            self,
            Self::Bool | Self::Float | Self::Double | Self::Text | Self::Bytes
        )
    }

    pub(super) fn wire(self) -> Wire {
        match self {
            Self::Bool
            | Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint32
            | Self::Sint64 => Wire::Varint,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Wire::Fixed32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Fixed64,
            Self::Text | Self::Bytes => Wire::Delimited,
        }
    }
}

/// The names of an enum's values.
#[derive(Debug)]
pub(crate) struct Enum {
    /// What a value that is not written is.
    pub default: i32,
    /// By number, each once: the first of several names for one number.
    names: Box<[(i32, Box<str>)]>,
}

impl Enum {
    /// `values` in the order of their declaration.
    pub fn new(mut values: Vec<(i32, String)>) -> Self {
        let default = values.first().map_or(0, |(number, _)| *number);
        values.sort_by_key(|(number, _)| *number);
        values.dedup_by_key(|(number, _)| *number);
        let names = values.into_iter().map(|(number, name)| (number, name.into()));
        Self {
            default,
            names: names.collect(),
        }
    }

    pub fn name(&self, number: i32) -> Option<&str> {
        let at = self.names.binary_search_by_key(&number, |(number, _)| *number);
        at.ok().map(|at| &*self.names[at].1)
    }
}

/// The well-known types that hold JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    Struct,
    Value,
    List,
}
