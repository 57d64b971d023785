//! Where the memory comes from that delete files take.

use std::fmt::Debug;

use super::ReadError;

/// A bound on memory that delete files share with whatever else its owner holds.
pub trait Memory: Debug + Send + Sync {
    /// Holds nothing yet.
    fn reserve(&self) -> Box<dyn Reservation>;
}

/// Memory that is held for what one delete file says. Dropping it gives the memory back.
pub trait Reservation: Debug + Send + Sync {
    /// Takes as many bytes more.
    ///
    /// # Errors
    /// [`ReadError::Memory`] where they are not to be had; what is held stays held.
    fn try_grow(&mut self, bytes: usize) -> Result<(), ReadError>;
}
