//! Replays: records that are read once more, into tables of their own, between offsets that are known beforehand.
//!
//! A replay is the service itself, run until it reaches its end, with three of its parts wrapped: a broker whose logs
//! begin and end where the replay does, sources that read no further, and a catalog that commits to one namespace alone.
//! What a table is a replay of stands in a property of that table, so that a replay which was interrupted goes on with the
//! same offsets, and whoever finds the table later knows what it is.

pub mod bounded;
mod bounds;
pub mod chained;
mod discard;
mod error;
mod field_ids;
mod found;
mod isolated;
mod lost;
mod marks;
mod note;
mod plan;
mod point;
mod prepare;

pub use discard::{Discarded, discard, forget};
pub use error::ReplayError;
pub use found::{Found, found, look};
pub use isolated::Columns;
pub use marks::mark;
pub use note::{DISCARDING, Note, NotedJob, PROMOTED, PROPERTY};
pub use plan::{Plan, PlannedJob, Wanted, plan};
pub use point::{Asked, Named, Point};
