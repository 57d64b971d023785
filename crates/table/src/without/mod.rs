//! Files without some offsets: which files of a snapshot hold their rows, and what takes the place of these files.

mod find;
mod rewrite;

pub use find::{Found, Known, PLACE, all, find};
pub use rewrite::{Rewrite, staying, write};
