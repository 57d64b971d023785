//! The memory that delete files may take while tables are maintained.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tabletopic_table::read::{Memory, ReadError, Reservation};

/// So many bytes, shared by all who hold some of it.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Held>);

#[derive(Debug)]
struct Held {
    most: usize,
    held: AtomicUsize,
}

impl Allowance {
    pub fn new(most: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self(Arc::new(Held { most, held }))
    }
}

impl Memory for Allowance {
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
                "{bytes} bytes more than the {held} that are held, and {most} are allowed; compact the table with \
                 fewer --jobs, or raise [memory] budget"
            ))),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let allowance = Allowance::new(10);
        let mut first = allowance.reserve();
        first.try_grow(7).unwrap();
        let mut second = allowance.reserve();
        assert!(second.try_grow(4).is_err());
        drop(first);
        second.try_grow(10).unwrap();
    }
}
