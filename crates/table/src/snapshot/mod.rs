//! Snapshots as files: manifests, manifest lists and summaries.

pub mod build;
pub mod deletes;
pub mod live;
pub mod merge;
mod summary;
