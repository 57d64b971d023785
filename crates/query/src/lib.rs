//! SQL over the catalog's tables, read-only: the engine (DataFusion), what it reads (`catalog`, `scan`, `metadata`),
//! and what a person meets (`script`, `shell`, `output`), or a CI job (`assert`).
//!
//! It knows nothing of Kafka or of how rows came into the tables.

pub mod assert;
mod catalog;
mod engine;
mod error;
mod interruptible;
mod metadata;
mod nearest;
pub mod output;
mod overlooked;
mod runtime;
mod scan;
pub mod script;
pub mod shell;
mod statement;

pub use engine::{Answer, Engine};
pub use error::QueryError;
pub use runtime::{STACK, runtime};
