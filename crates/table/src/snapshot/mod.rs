//! Snapshots as files: manifests, manifest lists and summaries.

pub mod build;
pub mod live;
mod summary;
