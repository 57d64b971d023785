//! Puts manifests in the place of others that held the same files (commit protocol, section 8).
//!
//! They were written beforehand. A manifest never changes, so that all that has to be seen on a base is that those which
//! go are still in its list; what came meanwhile keeps the manifests that it has.

use std::collections::BTreeSet;

use async_trait::async_trait;
use iceberg::spec::Operation;
use tabletopic_clock::Millis;

use super::base::Base;
use super::change::{Change, Leaving};
use super::engine::Plan;
use super::error::CommitError;
use super::replace::{LATEST, Lost, Maintained};
use super::tag_state::{Note, SnapshotAt};
use crate::lake::Lake;
use crate::snapshot::build::FileChange;
use crate::snapshot::cluster::Clustered;
use crate::snapshot::live;

/// A plan that puts manifests in the place of others.
#[derive(Debug)]
pub struct ReplaceManifests<'a> {
    lake: &'a Lake,
    clustered: &'a Clustered,
    /// When they were written, at the latest.
    begun: Millis,
    lost: Option<Lost>,
}

impl<'a> ReplaceManifests<'a> {
    pub fn new(lake: &'a Lake, clustered: &'a Clustered) -> Self {
        Self {
            lake,
            clustered,
            begun: lake.clock.now(),
            lost: None,
        }
    }

    /// Valid once the commit has ended: why nothing was committed.
    pub fn into_lost(self) -> Option<Lost> {
        self.lost
    }
}

#[async_trait]
impl<S: Maintained> Plan<S> for ReplaceManifests<'_> {
    async fn plan(&mut self, base: &Base<S>, _at: SnapshotAt) -> Result<Option<Change<S>>, CommitError> {
        if self.lake.clock.now() - self.begun > LATEST {
            self.lost = Some(Lost::TooLate);
            return Ok(None);
        }
        let there = match base.head() {
            Some(head) => live::manifests(self.lake, base.metadata(), head).await?,
            None => Vec::new(),
        };
        let there: BTreeSet<&str> = there
            .iter()
            .map(|manifest| manifest.manifest_path.as_str())
            .collect();
        let mut replaced = self.clustered.replaced.iter();
        if let Some(path) = replaced.find(|path| !there.contains(path.as_str())) {
            self.lost = Some(Lost::Gone { path: path.clone() });
            return Ok(None);
        }
        let (replaced, written) = (self.clustered.replaced.len(), self.clustered.written.len());
        Ok(Some(Change {
            operation: Operation::Replace,
            state: base.state().map(S::maintained),
            note: Note {
                actor: self.lake.actor.to_string(),
                reason: format!("{replaced} manifests rewritten into {written}"),
                ..Note::default()
            },
            files: FileChange {
                clustered: self.clustered.clone(),
                ..FileChange::default()
            },
            rewrites: Vec::new(),
            schema: None,
            spec: None,
            leaving: Leaving::Expired,
        }))
    }
}
