//! Dead letters: those that the dead-letter table holds, and those on the way there.

mod count;
mod read;

pub use count::{Log, count};
pub use read::{Address, Addresses, Letters, Reading};
