//! What only expired snapshots led to is deleted once the commit is known to be applied: manifest lists, manifests, and
//! data and delete files.
//!
//! A manifest enters the table with one snapshot, is carried on by its descendants, and is gone for good in all
//! descendants of the one that replaced it. So on the way between two snapshots that share a manifest, all have it; and
//! what an expired snapshot leads to need only be looked for where such a way enters what is kept:
//! - at snapshots that are newer than all that went and whose parent is gone: their lists are read;
//! - at snapshots that are older (a tag's, or those from before our time): nothing that is as old as them is deleted.
//!
//! The same holds for data files, but to compare what two snapshots hold would be to read all of their manifests. So
//! those are looked at that say what a snapshot removed, where one line leads through all that expired into what is kept:
//! what was removed on it is in nothing that is kept. Most expiries read none.
//!
//! A Puffin file may hold deletion vectors of several data files, which leave one by one, and be named by several manifests.
//! It goes once the oldest snapshot that is kept has none of them.
//!
//! Writers spell one file differently (`file:/a`, `s3a://b/c`), so that files are compared by one spelling.
//!
//! What stays behind (what a crash or an outage left, files as old as a kept snapshot, all data files where history is no
//! line) is for the removal of orphans to find.

use std::collections::{HashMap, HashSet};

use futures::stream::iter;
use futures::{FutureExt, StreamExt};
use iceberg::spec::{
    DataFileFormat, MAIN_BRANCH, Manifest, ManifestContentType, ManifestFile, SnapshotRef, TableMetadata,
};

use crate::commit::CommitError;
use crate::lake::Lake;
use crate::snapshot::live;
use crate::storage::canonical;

/// Requests to the store at a time.
const AT_ONCE: usize = 8;

/// Manifest lists that one commit reads at most. After an expiry of more, all files stay.
const MOST_LISTS: usize = 256;

/// Only tidies up: the commit is applied whatever happens here, so that a failure is logged.
pub async fn delete_unreachable(lake: &Lake, expired: &[SnapshotRef], now: &TableMetadata) {
    if expired.is_empty() {
        return;
    }
    let (table, snapshots) = (now.location(), expired.len());
    match unreachable(lake, expired, now).await {
        Ok(files) => {
            tracing::debug!(table, snapshots, files = files.len(), "expired");
            if let Err(error) = lake.file_io.delete_stream(iter(files)).await {
                tracing::warn!(
                    table,
                    snapshots,
                    "some files of expired snapshots are left: {error}"
                );
            }
        }
        Err(error) => {
            tracing::warn!(
                table,
                snapshots,
                "the files of expired snapshots are left: {error}"
            );
        }
    }
}

/// Paths of what only `expired` led to.
async fn unreachable(
    lake: &Lake,
    expired: &[SnapshotRef],
    now: &TableMetadata,
) -> Result<Vec<String>, CommitError> {
    let kept: Vec<SnapshotRef> = now.snapshots().cloned().collect();
    let border = Border::of(expired, &kept);
    let count = expired.len() + border.entrances.len();
    if count > MOST_LISTS {
        let words = format!("{count} manifest lists would have to be read");
        return Err(CommitError::Encode(words));
    }
    let line: HashSet<i64> = border.line(expired).iter().map(|at| at.snapshot_id()).collect();
    let mut reachable = HashSet::new();
    let mut kept_deletes = Vec::new();
    let mut removals = Vec::new();
    let mut note = |of: &SnapshotRef, manifest: &ManifestFile| {
        let removes = manifest.deleted_files_count.is_none_or(|count| count > 0);
        if line.contains(&of.snapshot_id()) && manifest.added_snapshot_id == of.snapshot_id() && removes {
            removals.push(manifest.clone());
        }
    };
    for (snapshot, manifests) in border
        .entrances
        .iter()
        .zip(lists(lake, now, border.entrances.clone()).await)
    {
        for manifest in manifests? {
            note(snapshot, &manifest);
            reachable.insert(canonical(&manifest.manifest_path));
            if manifest.content == ManifestContentType::Deletes {
                kept_deletes.push(manifest);
            }
        }
    }
    let mut gone = HashSet::new();
    for (snapshot, manifests) in expired
        .iter()
        .zip(lists(lake, now, expired.iter().collect()).await)
    {
        match manifests {
            Ok(manifests) => {
                gone.insert(canonical(snapshot.manifest_list()));
                manifests.iter().for_each(|manifest| note(snapshot, manifest));
                let younger = manifests
                    .into_iter()
                    .filter(|manifest| manifest.sequence_number > border.older);
                gone.extend(younger.map(|manifest| canonical(&manifest.manifest_path)));
            }
            Err(error) if error.is_transient() => return Err(error),
            // Somebody else's expiry was quicker.
            Err(_) => {}
        }
    }
    gone.extend(removed(lake, now, &removals, &kept_deletes).await?);
    let own = format!("{}/", canonical(now.location().trim_end_matches('/')));
    gone.retain(|path| !reachable.contains(path) && path.starts_with(&own));
    Ok(gone.into_iter().collect())
}

/// Paths of the files that the snapshots of these manifests removed, and that nobody has added again. `kept_deletes` are
/// the delete manifests of the oldest snapshot that is kept.
async fn removed(
    lake: &Lake,
    now: &TableMetadata,
    removals: &[ManifestFile],
    kept_deletes: &[ManifestFile],
) -> Result<HashSet<String>, CommitError> {
    let Some(since) = removals.iter().map(|manifest| manifest.sequence_number).min() else {
        return Ok(HashSet::new());
    };
    let mut gone = HashSet::new();
    let mut shared = false;
    for (manifest, read) in removals.iter().zip(read(lake, removals).await) {
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error) if error.is_transient() => return Err(error),
            // Somebody else's expiry was quicker.
            Err(_) => continue,
        };
        let removed = loaded
            .entries()
            .iter()
            .filter(|entry| !entry.is_alive() && entry.snapshot_id() == Some(manifest.added_snapshot_id));
        for entry in removed {
            shared |= entry.file_format() == DataFileFormat::Puffin;
            gone.insert(canonical(entry.file_path()));
        }
    }
    if shared {
        keep_live(lake, kept_deletes, &mut gone).await?;
    }
    if let Some(head) = now.snapshot_for_ref(MAIN_BRANCH).filter(|_| !gone.is_empty()) {
        let mut younger = live::manifests(lake, now, head).await?;
        younger.retain(|manifest| manifest.sequence_number >= since);
        keep_live(lake, &younger, &mut gone).await?;
    }
    Ok(gone)
}

/// What is live in these manifests is not gone.
async fn keep_live(
    lake: &Lake,
    manifests: &[ManifestFile],
    gone: &mut HashSet<String>,
) -> Result<(), CommitError> {
    for read in read(lake, manifests).await {
        for entry in read?.entries().iter().filter(|entry| entry.is_alive()) {
            gone.remove(&canonical(entry.file_path()));
        }
    }
    Ok(())
}

async fn read(lake: &Lake, manifests: &[ManifestFile]) -> Vec<Result<Manifest, CommitError>> {
    let reading: Vec<_> = manifests
        .iter()
        .map(|manifest| async move { Ok(manifest.load_manifest(&lake.file_io).await?) }.boxed())
        .collect();
    iter(reading).buffered(AT_ONCE).collect().await
}

/// A snapshot's property: it holds what another one added, which is no ancestor of it.
const CHERRY_PICKED: &str = "source-snapshot-id";

/// Where what is kept may lead to what an expired snapshot led to.
struct Border<'a> {
    /// Whose lists have to be read.
    entrances: Vec<&'a SnapshotRef>,
    /// Manifests up to this sequence number may be an older snapshot's that is kept.
    older: i64,
    /// Whether files are only ever added by one snapshot.
    plain: bool,
}

impl<'a> Border<'a> {
    fn of(expired: &[SnapshotRef], kept: &'a [SnapshotRef]) -> Self {
        let ids: HashSet<i64> = kept.iter().map(|snapshot| snapshot.snapshot_id()).collect();
        let newest = expired.iter().map(|snapshot| snapshot.sequence_number()).max();
        let is_newer = |snapshot: &&SnapshotRef| Some(snapshot.sequence_number()) > newest;
        let (newer, older): (Vec<_>, Vec<_>) = kept.iter().partition(is_newer);
        let enters = |snapshot: &&SnapshotRef| {
            let parent = snapshot.parent_snapshot_id();
            parent.is_none_or(|parent| !ids.contains(&parent))
        };
        let picked = |snapshot: &SnapshotRef| {
            let summary = &snapshot.summary().additional_properties;
            summary.contains_key(CHERRY_PICKED)
        };
        Self {
            entrances: newer.into_iter().filter(enters).collect(),
            older: older
                .iter()
                .map(|snapshot| snapshot.sequence_number())
                .max()
                .unwrap_or(0),
            plain: !kept.iter().chain(expired).any(picked),
        }
    }

    /// The one entrance and the expired ones before it, newest first, as far as their parents expired with them: what
    /// such a snapshot removed is in none that is kept. Empty where there are several ways into what is kept, or older
    /// snapshots are kept: a file of theirs may have come into the line by a cherry-pick that nobody remembers.
    fn line(&self, expired: &'a [SnapshotRef]) -> Vec<&'a SnapshotRef> {
        let by_id: HashMap<i64, &SnapshotRef> = expired.iter().map(|at| (at.snapshot_id(), at)).collect();
        let mut line = Vec::new();
        if let (true, 0, [entrance]) = (self.plain, self.older, self.entrances.as_slice()) {
            let mut at = *entrance;
            while let Some(parent) = at.parent_snapshot_id().and_then(|parent| by_id.get(&parent)) {
                line.push(at);
                at = parent;
            }
        }
        line
    }
}

/// The manifests of each snapshot.
async fn lists(
    lake: &Lake,
    metadata: &TableMetadata,
    snapshots: Vec<&SnapshotRef>,
) -> Vec<Result<Vec<ManifestFile>, CommitError>> {
    let reading: Vec<_> = snapshots
        .into_iter()
        .map(|snapshot| live::manifests(lake, metadata, snapshot).boxed())
        .collect();
    iter(reading).buffered(AT_ONCE).collect().await
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use iceberg::spec::{Operation, Snapshot, Summary};
    use proptest::prelude::*;

    use super::*;

    /// A table's snapshots; manifests and data files are the sequence numbers that they were written with.
    #[derive(Debug, Default)]
    struct Tree {
        snapshots: BTreeMap<i64, SnapshotRef>,
        /// By snapshot, also of those that are gone.
        lists: BTreeMap<i64, BTreeSet<i64>>,
        files: BTreeMap<i64, BTreeSet<i64>>,
        /// The files that each snapshot took out of its parent's.
        removed: BTreeMap<i64, BTreeSet<i64>>,
        deleted: BTreeSet<i64>,
        deleted_files: BTreeSet<i64>,
        main: i64,
        named: BTreeSet<i64>,
    }

    impl Tree {
        /// Carries on the manifests of `main`, one of them or all replaced by a new one, or none.
        fn commit(&mut self, replaced: u8) {
            let id = self.lists.len() as i64 + 1;
            let mut list = self.lists.get(&self.main).cloned().unwrap_or_default();
            let before = self.files.get(&self.main).cloned().unwrap_or_default();
            let mut files = before.clone();
            match replaced % 4 {
                0 => {
                    list.clear();
                    files.clear();
                }
                1 => {
                    list.pop_first();
                    files.pop_first();
                }
                2 => {
                    list.pop_last();
                    files.pop_last();
                }
                _ => {}
            }
            self.removed
                .insert(id, before.difference(&files).copied().collect());
            list.insert(id);
            files.insert(id);
            self.add(snapshot(id, self.parent()), list, files);
        }

        /// The files that another snapshot added are added to `main` again, by a manifest of its own.
        fn cherry_pick(&mut self, picked: i64) {
            let id = self.lists.len() as i64 + 1;
            let mut list = self.lists[&self.main].clone();
            let mut files = self.files[&self.main].clone();
            list.insert(id);
            files.insert(picked);
            self.removed.insert(id, BTreeSet::new());
            self.add(cherry_picked(id, self.parent(), picked), list, files);
        }

        fn parent(&self) -> Option<i64> {
            (self.main > 0).then_some(self.main)
        }

        fn add(&mut self, snapshot: SnapshotRef, list: BTreeSet<i64>, files: BTreeSet<i64>) {
            let id = snapshot.snapshot_id();
            self.snapshots.insert(id, snapshot);
            self.lists.insert(id, list);
            self.files.insert(id, files);
            self.main = id;
        }

        fn pick(&self, among: u8) -> i64 {
            let ids: Vec<i64> = self.snapshots.keys().copied().collect();
            ids[usize::from(among) % ids.len()]
        }

        /// Somebody else's expiry of one snapshot: its children name a parent that is gone, or none.
        fn expire_one(&mut self, id: i64, orphans: bool) {
            if id == self.main || self.named.contains(&id) {
                return;
            }
            self.snapshots.remove(&id);
            for child in self.snapshots.values_mut() {
                if orphans && child.parent_snapshot_id() == Some(id) {
                    let properties = child.summary().additional_properties.clone();
                    *child = with_summary(child.snapshot_id(), None, properties);
                }
            }
        }

        /// Ours: all below one but those with a name, and what only they lead to.
        fn expire_below(&mut self, cut: i64) {
            let mut named = self.named.clone();
            named.insert(self.main);
            let (expired, kept): (Vec<_>, Vec<_>) = self.snapshots.values().cloned().partition(|snapshot| {
                snapshot.snapshot_id() < cut && !named.contains(&snapshot.snapshot_id())
            });
            self.snapshots = kept
                .iter()
                .map(|kept| (kept.snapshot_id(), kept.clone()))
                .collect();
            if expired.is_empty() {
                return;
            }
            let border = Border::of(&expired, &kept);
            let of = |snapshots: Vec<&SnapshotRef>| -> BTreeSet<i64> {
                snapshots
                    .iter()
                    .flat_map(|snapshot| self.lists[&snapshot.snapshot_id()].clone())
                    .collect()
            };
            let reachable = of(border.entrances.clone());
            let gone = of(expired.iter().collect());
            let gone = gone
                .difference(&reachable)
                .filter(|manifest| **manifest > border.older);
            self.deleted.extend(gone);
            let line = border.line(&expired);
            let removed = line.iter().flat_map(|at| &self.removed[&at.snapshot_id()]);
            self.deleted_files.extend(removed);
        }

        fn missing(&self) -> Option<(i64, i64)> {
            self.snapshots.keys().find_map(|id| {
                let mut manifests = self.lists[id].intersection(&self.deleted);
                let mut files = self.files[id].intersection(&self.deleted_files);
                Some((*id, *manifests.next().or_else(|| files.next())?))
            })
        }
    }

    fn snapshot(id: i64, parent: Option<i64>) -> SnapshotRef {
        with_summary(id, parent, HashMap::new())
    }

    fn cherry_picked(id: i64, parent: Option<i64>, source: i64) -> SnapshotRef {
        with_summary(
            id,
            parent,
            HashMap::from([(CHERRY_PICKED.to_owned(), source.to_string())]),
        )
    }

    fn with_summary(id: i64, parent: Option<i64>, properties: HashMap<String, String>) -> SnapshotRef {
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(id)
            .with_timestamp_ms(id)
            .with_manifest_list("")
            .with_summary(Summary {
                operation: Operation::Append,
                additional_properties: properties,
            });
        Arc::new(snapshot.build())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_kept_never_misses_a_manifest(steps in prop::collection::vec((0..13_u8, any::<u8>()), 1..80)) {
            let mut tree = Tree::default();
            tree.commit(3);
            for (step, number) in steps {
                match step {
                    0..6 => tree.commit(number),
                    6 => tree.main = tree.pick(number),
                    7 => drop(tree.named.insert(tree.pick(number))),
                    8 => drop(tree.named.pop_first()),
                    9 => tree.expire_one(tree.pick(number), number % 2 == 0),
                    10 => tree.cherry_pick(tree.pick(number)),
                    _ => tree.expire_below(tree.pick(number)),
                }
                prop_assert_eq!(tree.missing(), None, "{:?}", tree);
            }
        }
    }

    #[test]
    fn a_straight_line_keeps_nothing_that_is_not_needed() {
        let mut tree = Tree::default();
        (0..40).for_each(|_| tree.commit(1));
        tree.expire_below(30);
        assert_eq!(tree.deleted.len(), 29, "{tree:?}");
        assert_eq!(tree.deleted_files, tree.deleted, "{tree:?}");
    }

    #[test]
    fn files_stay_where_a_snapshot_was_cherry_picked() {
        let expired = [snapshot(1, None), snapshot(2, Some(1))];
        let kept = [snapshot(3, Some(2))];
        assert_eq!(Border::of(&expired, &kept).line(&expired).len(), 2);
        assert_eq!(
            Border::of(&expired, &[cherry_picked(3, Some(2), 7)])
                .line(&expired)
                .len(),
            0
        );
    }
}
