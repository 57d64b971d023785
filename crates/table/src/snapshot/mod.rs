//! Snapshots as files: manifests, manifest lists and summaries.

pub mod build;
pub mod cluster;
pub mod deletes;
pub mod live;
mod manifest;
pub mod merge;
mod summary;
