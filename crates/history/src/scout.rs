//! Finds out where the rows of each row group are from, by reading the columns that tell it.
//!
//! The bounds in manifests and footers do not tell it where a file has rows of several partitions, as most do: they are of
//! all of them together.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::iter;
use futures::{StreamExt, TryStreamExt};
use iceberg::TableIdent;
use parquet::file::metadata::RowGroupMetaData;
use tabletopic_offsets::{Offset, OffsetRange};
use tabletopic_table::commit::CommitError;
use tabletopic_table::read::ReadError;

use crate::HistoryError;
use crate::extents::{Extent, Extents, Group, MOST};
use crate::files::{Files, all_rows};
use crate::rows::{Places, Topic, Whose};

/// Files that are read at a time.
const AT_ONCE: usize = 8;

/// The rows that are looked for.
#[derive(Debug, Clone)]
pub struct Sought {
    pub whose: Whose,
    /// The offsets of each partition that the log has.
    pub log: BTreeMap<i32, OffsetRange>,
}

/// Looks at all files. Rows outside of the log's offsets are not of it.
///
/// # Errors
/// Those of reading; rows of which nobody knows whose they are; more extents than are held.
pub async fn scout(files: &Arc<Files>, sought: &Arc<Sought>) -> Result<Extents, HistoryError> {
    let each = (0..files.data.len()).map(|number| {
        let (files, sought) = (files.clone(), sought.clone());
        // On threads of the runtime, since decoding is what takes the time.
        async move {
            let looking = tokio::spawn(async move { of_file(&files, number, &sought).await });
            match looking.await {
                Ok(found) => found,
                Err(panicked) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
                Err(stopped) => Err(CommitError::Encode(stopped.to_string()).into()),
            }
        }
    });
    let mut looking = iter(each).buffer_unordered(AT_ONCE);
    let (mut found, mut extents) = (Vec::new(), 0);
    while let Some(groups) = looking.try_next().await? {
        extents += groups.iter().map(|group| group.seen.len()).sum::<usize>();
        if extents > MOST {
            return Err(HistoryError::TooScattered {
                table: files.table.ident.clone(),
                most: MOST,
            });
        }
        found.extend(groups);
    }
    Ok(in_order(files, found))
}

/// In the order in which records came, as far as their timestamps tell: then each row group is read once where files were
/// written in that order.
fn in_order(files: &Files, mut found: Vec<Scouted>) -> Extents {
    found.sort_by_key(|scouted| {
        let file = &files.data[scouted.group.file];
        (
            scouted.group.oldest,
            file.sequence_number,
            scouted.group.file,
            scouted.group.index,
        )
    });
    let mut extents = Vec::new();
    for (number, scouted) in (0..).zip(&found) {
        extents.extend(scouted.seen.iter().map(|(partition, seen)| {
            let extent = Extent::new(number, seen.rows, seen.first, seen.last, seen.newest);
            (*partition, extent)
        }));
    }
    Extents::new(found.into_iter().map(|scouted| scouted.group).collect(), extents)
}

async fn of_file(files: &Files, number: usize, sought: &Sought) -> Result<Vec<Scouted>, HistoryError> {
    let file = &files.data[number];
    let opened = files.open(file).await?;
    let metadata = opened.metadata.metadata().clone();
    let mut groups = metadata.row_groups().iter().enumerate().map(|(index, group)| {
        Scouted::new(Group {
            file: number,
            index,
            rows: u64::try_from(group.num_rows()).unwrap_or(0),
            bytes: decoded_bytes(group),
            ascending: true,
            oldest: i64::MAX,
        })
    });
    let (mut done, mut open) = (Vec::new(), groups.next());
    let mut left = open.as_ref().map_or(0, |open| open.group.rows);
    let mut batches = all_rows(opened, &files.columns.places)?;
    while let Some(batch) = batches.try_next().await? {
        let places = Places::of(&batch, files.columns.tell_topics).map_err(|error| ReadError::File {
            file: file.path.clone(),
            reason: error.to_string(),
        })?;
        for row in 0..places.len() {
            // A batch may have rows of two row groups.
            while left == 0 {
                done.extend(open.take());
                open = groups.next();
                let Some(next) = &open else {
                    return Err(unexpected(&file.path));
                };
                left = next.group.rows;
            }
            left -= 1;
            if let Some(open) = &mut open {
                open.add(&places, row, sought)
                    .map_err(|untold| untold.of(&files.table.ident, &file.path))?;
            }
        }
    }
    done.extend(open);
    done.retain(|scouted| !scouted.seen.is_empty());
    Ok(done)
}

fn unexpected(path: &str) -> HistoryError {
    HistoryError::Read(ReadError::File {
        file: path.to_owned(),
        reason: "it has more rows than its footer says".to_owned(),
    })
}

/// As far as the footer tells: values that a dictionary has once may be larger where it says nothing of them.
fn decoded_bytes(group: &RowGroupMetaData) -> u64 {
    let columns = group.columns().iter().map(|column| {
        let encoded = column.uncompressed_size();
        column.unencoded_byte_array_data_bytes().unwrap_or(0).max(encoded)
    });
    u64::try_from(columns.sum::<i64>()).unwrap_or(0)
}

/// What a row group has of one partition, as far as it was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    rows: u32,
    first: Offset,
    last: Offset,
    newest: i64,
}

/// A row group, as far as it was seen.
#[derive(Debug)]
struct Scouted {
    group: Group,
    seen: BTreeMap<i32, Seen>,
}

/// A row that might be of the log and does not tell its topic.
struct Untold {
    partition: i32,
    offset: Offset,
}

impl Untold {
    fn of(self, table: &TableIdent, path: &str) -> HistoryError {
        HistoryError::NoTopic {
            table: table.clone(),
            file: path.to_owned(),
            partition: self.partition,
            offset: self.offset,
        }
    }
}

impl Scouted {
    fn new(group: Group) -> Self {
        Self {
            group,
            seen: BTreeMap::new(),
        }
    }

    fn add(&mut self, places: &Places, row: usize, sought: &Sought) -> Result<(), Untold> {
        let Some((partition, offset)) = places.at(row) else {
            return Ok(());
        };
        let inside = sought.log.get(&partition).is_some_and(|log| log.contains(offset));
        if !inside {
            return Ok(());
        }
        match places.topic(row, &sought.whose) {
            Topic::Ours => {}
            Topic::Anothers => return Ok(()),
            Topic::Untold => return Err(Untold { partition, offset }),
        }
        let timestamp = places.timestamp(row);
        let newest = timestamp.unwrap_or(i64::MIN);
        self.group.oldest = self.group.oldest.min(timestamp.unwrap_or(i64::MAX));
        match self.seen.get_mut(&partition) {
            Some(seen) => {
                self.group.ascending &= seen.last < offset;
                seen.rows = seen.rows.saturating_add(1);
                seen.first = seen.first.min(offset);
                seen.last = seen.last.max(offset);
                seen.newest = seen.newest.max(newest);
            }
            None => {
                let (rows, first, last) = (1, offset, offset);
                let seen = Seen {
                    rows,
                    first,
                    last,
                    newest,
                };
                self.seen.insert(partition, seen);
            }
        }
        Ok(())
    }
}
