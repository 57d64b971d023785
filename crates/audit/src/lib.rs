//! What proves what a table holds, and says on what the proof rests.

pub mod compare;
pub mod rounds;
pub mod verify;
