//! The schema of a table: how it may change, what has changed, whether a file written under an older one still fits,
//! and what it looks like in Arrow.
//!
//! Everything here is a pure function over `iceberg::spec::Schema`. Sending a change to the catalog,
//! and numbering schemas, is the committer's work.

mod arrow;
mod compatible;
mod differences;
mod evolve;
mod promotion;
#[cfg(test)]
mod tests;

use iceberg::spec::Type;
use thiserror::Error;

pub use self::arrow::arrow_schema;
pub use self::compatible::compatible;
pub use self::differences::{added, differences, type_name};
pub use self::evolve::{SchemaChange, evolve};
pub use self::promotion::promotes;

/// Why a schema cannot be what was asked for. Columns are named by their full path, such as
/// `items.element.price`.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The change needs a column that the table does not have.
    #[error("column `{column}` does not exist: reload the table and derive the change again")]
    NoSuchColumn { column: String },

    /// A path leads through a column that has no such part.
    #[error(
        "column `{column}` of type {found} cannot contain `{part}`: a path goes through the fields of structs, \
         `element` of lists and `value` of maps"
    )]
    NotAParent {
        column: String,
        found: Type,
        part: String,
    },

    /// A column cannot be called so.
    #[error("a column in `{parent}` has an empty name: rename the field at its source")]
    EmptyName { parent: String },

    /// Engines compare names without case, and find nested fields by their dotted paths.
    #[error(
        "column `{column}` would have the name of `{taken}`, but for case: rename the field at its source"
    )]
    NameTaken { column: String, taken: String },

    /// The column exists, and what was to be added does not fit into it.
    #[error(
        "column `{column}` exists as {found}, which cannot hold {asked}: widen the column, or send the field \
         under another name"
    )]
    Conflict {
        column: String,
        found: Type,
        asked: Type,
    },

    /// Iceberg has no such promotion.
    #[error(
        "column `{column}` cannot go from {from} to {to}: Iceberg widens int to long, float to double, and a \
         decimal to more digits of the same scale; anything else needs a new column"
    )]
    NotAPromotion { column: String, from: Type, to: Type },

    /// A file was written with a column that the table no longer has.
    #[error(
        "field id {id} (`{column}`) was written, and is no longer in schema {schema_id}: read the offsets again"
    )]
    Dropped { id: i32, column: String, schema_id: i32 },

    /// A file was written with a column whose type has since become another one.
    #[error(
        "field id {id} (`{column}`) was written as {from} and is {to} in schema {schema_id}: read the offsets again"
    )]
    Retyped {
        id: i32,
        column: String,
        from: Type,
        to: Type,
        schema_id: i32,
    },

    /// A file lacks values that the table has come to require.
    #[error(
        "column `{column}` (field id {id}) is required in schema {schema_id}, and a file may lack it: read the \
         offsets again"
    )]
    Required { id: i32, column: String, schema_id: i32 },

    /// The iceberg crate refused the schema.
    #[error("the schema is not valid: {0}")]
    Invalid(#[from] iceberg::Error),
}
