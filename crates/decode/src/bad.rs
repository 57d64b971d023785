//! Why a record, or one field of it, does not fit the table.

use std::fmt;

/// The kind of fault. The names are stable: they are metric labels and stand in the dead-letter table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The value is not JSON.
    NotJson,
    /// The bytes are not what the record's Avro schema says.
    NotAvro,
    /// The bytes are not what the record's Protobuf schema says.
    NotProtobuf,
    /// The value does not begin as a registry's serializers begin it.
    NotFramed,
    /// The registry has no schema with the record's id.
    UnknownSchema,
    /// The record's schema is one of which no columns can be made.
    UnusableSchema,
    /// A string or key holds bytes that are not UTF-8.
    InvalidUtf8,
    /// The value is JSON but not an object.
    NotAnObject,
    /// A field holds another kind of value than its column takes.
    WrongType,
    /// The right kind of value, but not written as the column needs it (a date, a UUID ...).
    InvalidValue,
    /// A number that the column cannot hold exactly.
    OutOfRange,
    /// More bytes than `max_record_bytes`.
    TooLarge,
    /// Nested more deeply than `max_depth`.
    TooDeep,
    /// More than `max_fields`.
    TooManyFields,
    /// An object or a map has one key twice.
    DuplicateKey,
    /// A required column got null or nothing.
    MissingRequired,
    /// The event time is null or absent.
    MissingEventTime,
    /// The event time is outside the years that the limits allow.
    AbsurdEventTime,
    /// A value that the table is partitioned by is outside of what its partitions can represent. Found by whoever
    /// knows how the table is partitioned.
    NoPartition,
    /// A computed column, or the `where`, has no value for the record: a division by zero, a cast that fails.
    ExpressionFailed,
    /// The job's `where` does not keep the record, and sets it aside.
    NotKept,
    /// The value is not a change event of Debezium's.
    NotDebezium,
    /// Only of a letter: what the record held was withheld from it.
    Withheld,
}

impl Reason {
    pub const ALL: [Self; 23] = [
        Self::NotJson,
        Self::NotAvro,
        Self::NotProtobuf,
        Self::NotFramed,
        Self::UnknownSchema,
        Self::UnusableSchema,
        Self::InvalidUtf8,
        Self::NotAnObject,
        Self::WrongType,
        Self::InvalidValue,
        Self::OutOfRange,
        Self::TooLarge,
        Self::TooDeep,
        Self::TooManyFields,
        Self::DuplicateKey,
        Self::MissingRequired,
        Self::MissingEventTime,
        Self::AbsurdEventTime,
        Self::NoPartition,
        Self::ExpressionFailed,
        Self::NotKept,
        Self::NotDebezium,
        Self::Withheld,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAvro => "not_avro",
            Self::NotProtobuf => "not_protobuf",
            Self::NotFramed => "not_framed",
            Self::UnknownSchema => "unknown_schema",
            Self::UnusableSchema => "unusable_schema",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::WrongType => "wrong_type",
            Self::InvalidValue => "invalid_value",
            Self::OutOfRange => "out_of_range",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyFields => "too_many_fields",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingRequired => "missing_required",
            Self::MissingEventTime => "missing_event_time",
            Self::AbsurdEventTime => "absurd_event_time",
            Self::NoPartition => "no_partition",
            Self::ExpressionFailed => "expression_failed",
            Self::NotKept => "not_kept",
            Self::NotDebezium => "not_debezium",
            Self::Withheld => "withheld",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One fault of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Index into the slice of records that was decoded.
    pub index: usize,
    pub reason: Reason,
    /// The column to blame, dotted, with Iceberg's `element`, `key` and `value` for lists and maps.
    pub field: Option<String>,
    /// For people; never holds the value itself.
    pub detail: String,
    /// `true`: the field became null and the record's row is in the batch. `false`: it has no row.
    pub nulled: bool,
}

/// A fault while a record is read, before its index is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub reason: Reason,
    pub field: Option<Box<str>>,
    pub detail: String,
    /// The value to blame was read to its end, so the record can be read on behind it.
    pub resumable: bool,
}

impl Fault {
    /// A fault after which the record cannot be read on.
    #[cold]
    pub fn fatal(reason: Reason, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            reason,
            field: None,
            detail: detail.into(),
            resumable: false,
        })
    }

    /// A fault of one value, which has been read to its end.
    #[cold]
    pub fn of_value(reason: Reason, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            reason,
            field: None,
            detail: detail.into(),
            resumable: true,
        })
    }

    pub fn into_bad(self, index: usize, nulled: bool) -> BadRecord {
        BadRecord {
            index,
            reason: self.reason,
            field: self.field.map(Into::into),
            detail: self.detail,
            nulled,
        }
    }
}
