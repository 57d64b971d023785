//! The memory that delete files may take while a table is verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tabletopic_table::read::{Memory, ReadError, Reservation};

/// So many bytes, shared by all who hold some of it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Held>);

#[derive(Debug)]
struct Held {
    most: usize,
    held: AtomicUsize,
}

impl Budget {
    pub fn new(most: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self(Arc::new(Held { most, held }))
    }
}

impl Memory for Budget {
    fn reserve(&self) -> Box<dyn Reservation> {
        Box::new(Share {
            of: self.0.clone(),
            bytes: 0,
        })
    }
}

#[derive(Debug)]
struct Share {
    of: Arc<Held>,
    bytes: usize,
}

impl Reservation for Share {
    fn try_grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        let Held { most, held } = self.of.as_ref();
        let grown = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|sum| sum <= most)
        });
        match grown {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(held) => Err(ReadError::Memory(format!(
                "{bytes} bytes more than the {held} that are held, and {most} are allowed; compact the table, or raise \
                 [memory] budget"
            ))),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
