//! The in-memory twin of a Kafka cluster, deterministic, for the simulation and for tests. The test
//! writes the logs and hands out partitions; nothing happens by itself, and no call waits.

mod broker;
mod log;
mod source;
#[cfg(test)]
mod tests;

pub use broker::MemoryBroker;
pub use log::MemoryRecord;
pub use source::MemorySource;
