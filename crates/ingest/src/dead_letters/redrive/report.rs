//! What a redrive did.

use serde::Serialize;
use tabletopic_decode::BadRecord;
use tabletopic_offsets::TableState;
use tabletopic_table::commit::Base;
use tabletopic_table::rows::Offsets;

use super::count;
use super::gather::Portion;

/// What became of the selected letters, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Redriven {
    pub selected: u64,
    /// That became rows.
    pub rows: u64,
    /// That were rows before.
    pub already: u64,
    /// Fields that became null in the new rows, by `on_bad_record = "null-field"`.
    pub nulled_fields: u64,
    /// That stay letters, by why they do.
    pub staying: Vec<Staying>,
    /// Records for which the table's schema was changed.
    pub schema_changes: Vec<String>,
    /// What was committed.
    #[serde(rename = "snapshot_ids")]
    pub snapshots: Vec<i64>,
}

/// Letters that stay letters for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staying {
    /// One of the decoder's, such as `wrong_type`; `not_configured`, `earlier_topic`, `superseded`
    /// or `schema_refused`.
    pub reason: String,
    /// The column to blame.
    pub field: Option<String>,
    pub letters: u64,
    /// One of them: `orders/3@1042`.
    pub first: String,
    /// Of that one.
    pub detail: String,
}

impl Redriven {
    /// Letters of a portion stay for a reason that is none of the decoder's.
    pub(super) fn stays(&mut self, reason: &str, portion: &Portion, offsets: &Offsets, detail: String) {
        let first = offsets
            .iter()
            .find_map(|(partition, offsets)| Some((*partition, offsets.ranges().first()?.start)));
        if let Some(first) = first {
            self.add(reason, None, count(offsets), address(portion, first), detail);
        }
    }

    /// What the decoder says of the letters of a portion.
    pub(super) fn bad(&mut self, portion: &Portion, bad: &[BadRecord]) {
        for bad in bad {
            if bad.nulled {
                self.nulled_fields += 1;
                continue;
            }
            let first = address(portion, portion.place(bad.index));
            self.add(
                bad.reason.as_str(),
                bad.field.clone(),
                1,
                first,
                bad.detail.clone(),
            );
        }
    }

    /// The letters of a portion that are not among the `open` ones of `base`.
    pub(super) fn closed(&mut self, portion: &Portion, base: &Base<TableState>, open: &Offsets) {
        let letters = &portion.letters;
        let known = base.state().and_then(|state| state.job(&letters.job));
        let Some(known) = known.filter(|known| known.identity.agrees(&letters.identity)) else {
            let why = match known {
                Some(known) => format!(
                    "the table reads {} now, and this is of {}",
                    known.identity, letters.identity
                ),
                None => format!("the table has nothing of job {}", letters.job),
            };
            return self.stays("earlier_topic", portion, &letters.offsets, why);
        };
        if known.generation != letters.generation {
            let why = "a halt of the table was answered meanwhile; run it again".to_owned();
            return self.stays("superseded", portion, &letters.offsets, why);
        }
        self.already += count(&letters.offsets) - count(open);
    }

    fn add(&mut self, reason: &str, field: Option<String>, letters: u64, first: String, detail: String) {
        let same = |staying: &&mut Staying| staying.reason == reason && staying.field == field;
        match self.staying.iter_mut().find(same) {
            Some(staying) => staying.letters += letters,
            None => self.staying.push(Staying {
                reason: reason.to_owned(),
                field,
                letters,
                first,
                detail,
            }),
        }
    }
}

fn address(portion: &Portion, (partition, offset): (i32, i64)) -> String {
    format!("{}/{partition}@{offset}", portion.letters.identity.topic)
}
