//! What a table has of the offsets that are to be repaired, as somebody was shown it: what goes afterwards has to be just that.

use std::collections::{BTreeMap, HashSet};

use tabletopic_offsets::{Counts, Kind, TableState};

use super::counted;
use super::places::Places;
use crate::commit::{Base, TagState};
use crate::rows::Deleted;

/// Snapshots that an error names.
const NAMED: usize = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Seen {
    /// The table's last one then.
    sequence_number: i64,
    /// The files that hold rows of the offsets, with the deletes that apply to them: as long as they are the same, so are the
    /// rows.
    files: HashSet<Deleted>,
    counts: BTreeMap<i32, Counts>,
    /// Offsets with a row or a dead letter.
    places: Places,
}

impl Seen {
    pub fn of(base: &Base<TableState>, files: HashSet<Deleted>, found: &counted::Found) -> Self {
        Self {
            sequence_number: base.metadata().last_sequence_number(),
            files,
            counts: found.counts.clone(),
            places: found.places.clone(),
        }
    }

    /// Whether the rows are in the same files, or in files that we have written them into since, as compaction does.
    ///
    /// # Errors
    /// Says what came meanwhile.
    pub fn refuse_other_files(
        &self,
        base: &Base<TableState>,
        files: &HashSet<Deleted>,
    ) -> Result<(), String> {
        let since = Since::of(base, self.sequence_number);
        match *files == self.files || since.keeps_rows() {
            true => Ok(()),
            false => Err(since.says()),
        }
    }

    /// Whether as much is counted, and rows and dead letters are at the same offsets.
    ///
    /// # Errors
    /// Says what came meanwhile.
    pub fn refuse_other_counts(&self, base: &Base<TableState>, found: &counted::Found) -> Result<(), String> {
        match found.counts == self.counts && found.places == self.places {
            true => Ok(()),
            false => Err(Since::of(base, self.sequence_number).says()),
        }
    }
}

/// What came to a table after a sequence number.
struct Since {
    /// Snapshots that may have changed rows which were there.
    others: Vec<String>,
    /// Whether all that came is still known.
    is_whole: bool,
}

impl Since {
    fn of(base: &Base<TableState>, sequence_number: i64) -> Self {
        let later = base
            .metadata()
            .snapshots()
            .filter(|snapshot| snapshot.sequence_number() > sequence_number);
        let (mut others, mut known) = (Vec::new(), 0);
        for snapshot in later {
            known += 1;
            let summary = &snapshot.summary().additional_properties;
            let id = snapshot.snapshot_id();
            match <TableState as TagState>::decode(summary).map(|state| state.kind) {
                Ok(Kind::Append | Kind::Anchor | Kind::Schema | Kind::Maintenance) => {}
                Ok(kind) => others.push(format!("snapshot {id} ({})", kind.name())),
                Err(_) => {
                    let operation = snapshot.summary().operation.as_str();
                    others.push(format!("snapshot {id} (another writer's {operation})"));
                }
            }
        }
        Self {
            others,
            is_whole: base.metadata().last_sequence_number() - sequence_number == known,
        }
    }

    /// Whether rows that were there are there still, whatever file they are in.
    fn keeps_rows(&self) -> bool {
        self.is_whole && self.others.is_empty()
    }

    fn says(&self) -> String {
        let more = if self.others.len() > NAMED {
            " and others"
        } else {
            ""
        };
        let named: Vec<&str> = self.others.iter().take(NAMED).map(String::as_str).collect();
        let came = match (named.is_empty(), self.is_whole) {
            (false, _) => format!("{}{more} came meanwhile", named.join(", ")),
            (true, false) => "snapshots came meanwhile that have expired".to_owned(),
            (true, true) => "its dead letters have changed meanwhile".to_owned(),
        };
        format!(
            "what the table has of these offsets is not what was shown: {came}. Nothing was done; give the same command once \
             more, and look again"
        )
    }
}
