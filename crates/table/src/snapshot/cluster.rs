//! Manifests written anew by partition value, so that a query of one value opens few of them.
//!
//! ```text
//! manifests of one spec and content ─ Layout::of ─▶ which entry goes where ─ write ─▶ new manifests
//! ```
//!
//! Twice it reads the old ones, because memory holds a few bytes for each file and the entries of one new manifest, never
//! those of all. The order is that of the spec's fields, nulls first.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{
    DataFile, Literal, ManifestContentType, ManifestFile, PrimitiveLiteral, Struct, TableMetadata,
};

use super::live;
use super::manifest::{Under, to_write_anew};
use crate::commit::CommitError;
use crate::lake::Lake;

/// Manifests that are read at a time: each may have the target size.
const AT_ONCE: usize = 4;

/// New manifests, and those in whose place they are: both hold the same live files.
#[derive(Debug, Clone, Default)]
pub struct Clustered {
    /// By path.
    pub replaced: BTreeSet<String>,
    pub written: Vec<ManifestFile>,
}

impl Clustered {
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty()
    }

    /// The files that they hold.
    pub fn entries(&self) -> u64 {
        let existing = self
            .written
            .iter()
            .filter_map(|manifest| manifest.existing_files_count);
        existing.map(u64::from).sum()
    }

    /// As the list of a snapshot has them: they are of the one that puts them there, whenever they were written.
    pub(super) fn of_snapshot(&self, snapshot_id: i64) -> impl Iterator<Item = ManifestFile> {
        self.written.iter().map(move |manifest| ManifestFile {
            added_snapshot_id: snapshot_id,
            ..manifest.clone()
        })
    }
}

/// Where an entry is: which of the old manifests, and which of its live files.
type Entry = (u32, u32);

/// Which entry goes into which new manifest.
#[derive(Debug)]
pub struct Layout {
    spec_id: i32,
    content: ManifestContentType,
    manifests: Vec<ManifestFile>,
    new: Vec<Vec<Entry>>,
}

impl Layout {
    /// Of manifests that are all of one partition spec and content. Those that cannot be written anew are left out.
    ///
    /// # Errors
    /// Those of reading manifests; a partition spec that is not in the table.
    pub async fn of(
        lake: &Lake,
        metadata: &TableMetadata,
        spec_id: i32,
        content: ManifestContentType,
        mut manifests: Vec<ManifestFile>,
        target_bytes: u64,
    ) -> Result<Self, CommitError> {
        let Under { schema, spec, .. } =
            Under::now(metadata, metadata.current_schema_id(), spec_id, content)?;
        manifests.retain(|manifest| manifest.key_metadata.is_none());
        manifests.sort_by_key(|manifest| manifest.sequence_number);
        let reading: Vec<_> = manifests
            .iter()
            .map(|manifest| to_write_anew(lake, &spec, &schema, manifest).boxed())
            .collect();
        let mut reading = iter(reading).buffered(AT_ONCE).enumerate();
        let mut stay = BTreeSet::new();
        let mut values = HashMap::<Struct, Vec<(Entry, u32)>>::new();
        while let Some((number, read)) = reading.next().await {
            let Some(files) = read? else {
                stay.insert(number);
                continue;
            };
            let number = u32::try_from(number - stay.len()).unwrap_or(u32::MAX);
            for (at, live) in (0..).zip(&files) {
                let entry = ((number, at), size(&live.file));
                match values.get_mut(live.file.partition()) {
                    Some(entries) => entries.push(entry),
                    None => drop(values.insert(live.file.partition().clone(), vec![entry])),
                }
            }
        }
        drop(reading);
        let mut number = 0..;
        manifests.retain(|_| number.next().is_some_and(|number| !stay.contains(&number)));
        let new = match manifests.is_empty() {
            true => Vec::new(),
            false => packed(values, target_bytes),
        };
        Ok(Self {
            spec_id,
            content,
            manifests,
            new,
        })
    }

    /// The manifests that are replaced.
    pub fn replaced(&self) -> impl Iterator<Item = &ManifestFile> {
        self.manifests.iter()
    }

    /// How many there are to write.
    pub fn new_manifests(&self) -> usize {
        self.new.len()
    }

    /// Writes one of the new manifests, named after `id`, which is a snapshot id that no snapshot will have.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write(
        &self,
        lake: &Lake,
        metadata: &TableMetadata,
        id: i64,
        number: usize,
    ) -> Result<ManifestFile, CommitError> {
        let under = Under::now(metadata, metadata.current_schema_id(), self.spec_id, self.content)?;
        let content = match self.content {
            ManifestContentType::Data => "d",
            ManifestContentType::Deletes => "x",
        };
        let name = format!("c{content}{}-{number}", self.spec_id);
        let mut writer = under.writer(lake, metadata, id, &name)?;
        let mut wanted = BTreeMap::<u32, Vec<u32>>::new();
        for (manifest, at) in self.new.get(number).into_iter().flatten() {
            wanted.entry(*manifest).or_default().push(*at);
        }
        let reading: Vec<_> = wanted
            .into_iter()
            .filter_map(|(manifest, entries)| Some((self.manifests.get(manifest as usize)?, entries)))
            .map(|(manifest, entries)| {
                async move {
                    let files = live::files(lake, manifest).await?.into_iter().map(Some);
                    let mut files: Vec<_> = files.collect();
                    let chosen = entries.into_iter().map(|at| files.get_mut(at as usize)?.take());
                    Ok::<_, CommitError>(chosen.flatten().collect::<Vec<_>>())
                }
                .boxed()
            })
            .collect();
        let mut reading = iter(reading).buffered(AT_ONCE);
        while let Some(files) = reading.try_next().await? {
            for live in files {
                let (sequence, file_sequence) = (live.sequence_number, live.file_sequence_number);
                let snapshot_id = live.snapshot_id;
                writer.add_existing_file(live.carried_on()?, snapshot_id, sequence, file_sequence)?;
            }
        }
        drop(reading);
        Ok(writer.write_manifest_file().await?)
    }
}

/// Entries in the order of their values, in manifests of about so many bytes.
fn packed(values: HashMap<Struct, Vec<(Entry, u32)>>, target_bytes: u64) -> Vec<Vec<Entry>> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by_cached_key(|(value, _)| Key::of(value));
    let mut new = vec![Vec::new()];
    let mut bytes = 0;
    for (entry, size) in values.into_iter().flat_map(|(_, entries)| entries) {
        if bytes + u64::from(size) > target_bytes && bytes > 0 {
            new.push(Vec::new());
            bytes = 0;
        }
        bytes += u64::from(size);
        if let Some(last) = new.last_mut() {
            last.push(entry);
        }
    }
    new
}

/// A partition value, to be sorted by.
#[derive(PartialEq)]
struct Key(Vec<Option<PrimitiveLiteral>>);

impl Key {
    fn of(value: &Struct) -> Self {
        let literals = value.iter().map(|field| match field {
            Some(Literal::Primitive(literal)) => Some(literal.clone()),
            _ => None,
        });
        Self(literals.collect())
    }
}

impl Eq for Key {}

impl Ord for Key {
    /// Values of one spec have the same types, which all have an order.
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// About the bytes of an entry in Avro, which is not compressed here.
fn size(file: &DataFile) -> u32 {
    const FIXED: usize = 64;
    let number = |value: u64| 1 + (u64::BITS - value.leading_zeros()) as usize / 7;
    let counts = [
        file.column_sizes(),
        file.value_counts(),
        file.null_value_counts(),
        file.nan_value_counts(),
    ];
    let counts: usize = counts
        .into_iter()
        .flatten()
        .map(|(id, count)| number(*id as u64) + number(*count))
        .sum();
    let bounds: usize = [file.lower_bounds(), file.upper_bounds()]
        .into_iter()
        .flatten()
        .map(|(id, bound)| number(*id as u64) + 1 + bound.to_bytes().map_or(0, |bytes| bytes.len()))
        .sum();
    let splits = file.split_offsets().map_or(0, |offsets| offsets.len() * 5);
    let bytes = FIXED + file.file_path().len() + counts + bounds + splits;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
