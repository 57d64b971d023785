//! The Iceberg side: schema, partitions, data files, and the commit protocol that ties them to offsets.

pub mod file;
pub mod partition;
pub mod schema;
