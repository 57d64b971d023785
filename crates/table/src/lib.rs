//! The Iceberg side: schema, partitions, data files, and the commit protocol that ties them to offsets.

pub mod commit;
pub mod file;
pub mod follower;
mod lake;
pub mod partition;
mod properties;
pub mod read;
pub mod rows;
pub mod schema;
pub mod snapshot;
pub mod storage;
pub mod without;

pub use lake::Lake;
