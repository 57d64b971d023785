//! How the values of a writer's schema are read into the columns that they were resolved against.

use std::sync::Arc;

use super::schema::{Avro, Decimal, Timestamp, Types};

/// How a value is read into the column that it is resolved against.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Scalar(Scalar),
    /// An enum's symbols, as text.
    Enum(Arc<[Box<str>]>),
    Struct(StructRead),
    List(Box<Read>),
    Map(Box<Read>),
    /// By branch. One of them is chosen by the record.
    Union(Box<[Read]>),
    /// The member of a struct that holds this branch of a union.
    Member(usize, Box<Read>),
    /// A branch that has no member: it holds nothing.
    NoMember(Avro),
    Duration,
    /// As text.
    Json(Avro),
    /// Null: there is no value.
    Nothing,
    /// The table will have another type for it, once the change that it asks for is made.
    Later(Avro),
    /// The column can't hold it. The text says why.
    Unfit(Avro, Box<str>),
}

/// A value of a type without parts, as its bytes are to be understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Date,
    TimeMillis,
    TimeMicros,
    Timestamp(Timestamp),
    /// An int or a long of the configured unit.
    Epoch,
    UuidText,
    UuidBytes,
    Decimal(Decimal),
}

/// The record as a whole.
#[derive(Debug)]
pub(crate) struct RecordRead {
    pub(super) fields: StructRead,
    pub(super) types: Arc<Types>,
}

/// The fields of a record in the writer's order.
#[derive(Debug, Clone)]
pub(super) struct StructRead {
    pub fields: Box<[FieldRead]>,
    /// Members of the column that the writer does not have.
    pub absent: Box<[usize]>,
    /// Those of them that may not be null, and may be once the table has changed.
    pub later: Box<[usize]>,
}

#[derive(Debug, Clone)]
pub(super) enum FieldRead {
    /// The number of the member that takes it.
    Into(usize, Read),
    /// Nothing is kept, and nothing is missed: it is null, or it gets a column first.
    Past(Avro),
    /// It has no column, and gets none.
    Unknown(Avro),
    /// It has no column, and may not get one. The path, for messages.
    Refused(Avro, Box<str>),
}
