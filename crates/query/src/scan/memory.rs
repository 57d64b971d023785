//! The engine's memory, as the readers of delete files take it.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tabletopic_table::read::{Memory, ReadError, Reservation};

/// What all statements share.
#[derive(Debug)]
pub struct Pool(pub Arc<dyn MemoryPool>);

impl Memory for Pool {
    fn reserve(&self) -> Box<dyn Reservation> {
        Box::new(Reserved(MemoryConsumer::new("delete files").register(&self.0)))
    }
}

#[derive(Debug)]
struct Reserved(MemoryReservation);

impl Reservation for Reserved {
    fn try_grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        let grown = self.0.try_grow(bytes);
        grown.map_err(|error| ReadError::Memory(error.find_root().message().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DataFusionError;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;
    use crate::error::QueryError;

    #[test]
    fn what_is_held_is_given_back_and_what_is_not_there_is_told() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000));
        let mut held = Pool(pool.clone()).reserve();
        held.try_grow(600).unwrap();
        assert_eq!(pool.reserved(), 600);
        let refused = held.try_grow(600).unwrap_err();
        assert_eq!(pool.reserved(), 600);
        drop(held);
        assert_eq!(pool.reserved(), 0);

        // As the engine's own operators are refused.
        let through = DataFusionError::from(QueryError::from(refused)).context("while reading");
        let told = QueryError::of(through).to_string();
        assert_eq!(
            told,
            "the query needs more memory than [memory] budget gives; raise it, or ask for less: Failed to allocate \
             additional 600.0 B for delete files with 600.0 B already allocated for this reservation - 400.0 B remain \
             available for the total pool"
        );
    }
}
