//! `tabletopic dead-letters`: the records that could not become rows, and rows of them once the cause is mended.
//!
//! `selection` says which are meant, `list` and `show` look at them, `redrive` makes rows of them.

mod error;
mod letter;
mod list;
mod redrive;
mod selection;
mod show;

pub use error::DeadLettersError;
pub use letter::{Letter, WholeLetter};
pub use list::{Listed, Tally, list};
pub use redrive::{Redriven, Staying, redrive};
pub use selection::{Records, RecordsError, Selection};
pub use show::show;
