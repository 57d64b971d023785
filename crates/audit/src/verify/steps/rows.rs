//! The rows of a table of ours, and all that is judged by them.

use tabletopic_offsets::TableState;
use tabletopic_table::commit::{Base, Counted, Tagged};
use tabletopic_table::rows::Held;

use super::{Steps, Told};
use crate::verify::broker::{self, Asked};
use crate::verify::budget::Budget;
use crate::verify::deleted;
use crate::verify::error::VerifyError;
use crate::verify::files::Inventory;
use crate::verify::letters::Addressed;
use crate::verify::offsets::{Lines, Passes, Rows, Seen, locate};
use crate::verify::retired::Retired;
use crate::verify::rows;
use crate::verify::verdict::{Check, Finding, Name};

impl Steps<'_> {
    /// The rows, the letters that are rows, and what has no row.
    pub(super) async fn rows(
        &self,
        base: &Base<TableState>,
        tagged: &Tagged<TableState>,
        inventory: &Inventory,
        told: Option<&Told<'_>>,
        letters: Result<Addressed, Check>,
    ) -> Result<Vec<Check>, VerifyError> {
        let (mut letters, letters_check) = match letters {
            Ok(letters) => (letters, None),
            Err(check) => (Addressed::default(), Some(check)),
        };
        let memory = Budget::new(self.means.memory);
        let rows = Rows::of(
            self.means.lake,
            self.table,
            self.snapshot,
            &inventory.deletes,
            memory,
        )?;
        let Some(rows) = rows else {
            let why = "the table has no columns _kafka_partition and _kafka_offset: its rows do not tell where they are from";
            let mut checks = [Name::Offsets, Name::Rows, Name::Broker]
                .map(|name| Check::not_checked(name, why))
                .to_vec();
            checks.push(judge_letters(letters_check, &mut letters));
            return Ok(checks);
        };
        let state = &tagged.state;
        let passes = Passes {
            rows: &rows,
            inventory,
            state,
            since: self.since,
            progress: self.means.progress,
        };
        let retired = told.map_or_else(|| Retired::of_state(state), |told| told.retired.clone());
        let mut asked = match &self.means.brokers {
            // A letter would be taken for a record that is lost.
            _ if letters_check.is_some() => Err("the dead letters are not known".to_owned()),
            Ok(brokers) => broker::ask(brokers.clone(), state, self.since, retired.clone()).await,
            Err(why) => Err(why.clone()),
        };
        let up_to = tagged.snapshot.sequence_number();
        let above = self.since.map_or(0, |since| since.sequence_number);
        let windows = passes.windows(self.means.memory as u64);
        let (mut seen, mut last) = (Seen::default(), None);
        for window in &windows {
            let lines = passes.read(*window, &mut seen).await?;
            for line in lines.told_apart(rows.tell_topics) {
                let redriven = told.and_then(|told| told.redriven.get(&line.tp));
                // Without a ledger nobody knows which letters were redriven.
                if told.is_some() && self.since.is_none() {
                    letters.also_rows(line, redriven);
                }
            }
            if let Ok(asked) = &mut asked {
                asked.pass_over(lines.iter().count() - lines.told_apart(rows.tell_topics).count());
                let recorded = told.map(|told| (&told.ledger, &told.answers, above, up_to));
                asked.look(&lines, &letters, rows.tell_topics, recorded).await?;
            }
            last = Some(lines);
        }
        passes.name_files(&mut seen).await?;
        let offsets = Check::of(
            Name::Offsets,
            self.offsets_say(&seen),
            std::mem::take(&mut seen.findings),
        );

        let expected = self.expected(state, told, &seen);
        let mut checks = vec![offsets, judge_letters(letters_check, &mut letters)];
        let expected = match expected {
            Ok(expected) => expected,
            Err(why) => {
                checks.push(Check::not_checked(Name::Rows, why));
                checks.push(judge_broker(asked, rows::Missing::default()));
                return Ok(checks);
            }
        };
        let gone = match rows::missing(&expected, &seen.held) {
            0 => deleted::Deleted::default(),
            _ => {
                let answered = told.map_or(0, |told| told.answers.counted_anew);
                let above = above.max(answered);
                let metadata = base.metadata();
                deleted::look(self.means.lake, metadata, self.snapshot, above, seen.taken).await?
            }
        };
        // The counts of a whole table have what retention removed taken off.
        let since_then = self.since.map(|since| retired.after(since)).unwrap_or_default();
        let (missing, mut findings) = rows::compare(state, &expected, &seen.held, &gone, &since_then);
        if missing.rows > missing.deleted {
            if let Some(told) = told {
                for window in &windows {
                    let lines = match last.take().filter(|lines: &Lines| lines.window == *window) {
                        Some(lines) => lines,
                        None => passes.read(*window, &mut Seen::default()).await?,
                    };
                    let at = (self.since, up_to);
                    let found = locate(
                        &told.ledger,
                        &told.answers,
                        &lines,
                        &letters,
                        rows.tell_topics,
                        at,
                    )
                    .await?;
                    findings.append(found);
                }
            }
            if let Some(from) = gone.history_from {
                let says = format!(
                    "the history of `main` goes back to {}: whether others deleted rows before nobody can tell from it",
                    crate::verify::shown(from)
                );
                findings.add(Finding::note("history", says));
            }
            if seen.unreadable > 0 {
                let says = format!(
                    "the rows of {} files could not be read, and are missing here",
                    seen.unreadable
                );
                findings.add(Finding::note("unreadable", says));
            }
        }
        let sum: u64 = seen.held.values().map(|held| held.rows).sum();
        let mut says =
            format!("{sum} rows are there, by count and by the sum of their offsets as many as were counted");
        if missing.rows > 0 {
            says = format!(
                "{sum} rows are there; {} were removed on purpose by others",
                missing.rows
            );
        }
        if missing.retired > 0 {
            says += &format!(
                "; {} more were counted, and retention has removed as many",
                missing.retired
            );
        }
        checks.push(Check::of(Name::Rows, says, findings));
        checks.push(judge_broker(asked, missing));
        Ok(checks)
    }

    fn offsets_say(&self, seen: &Seen) -> String {
        let mut says = "no offset is there twice, and none is outside of the progress".to_owned();
        if seen.without_offset > 0 {
            says += &format!("; {} rows of others have none", seen.without_offset);
        }
        says
    }

    /// The rows that there have to be.
    fn expected(
        &self,
        state: &TableState,
        told: Option<&Told<'_>>,
        seen: &Seen,
    ) -> Result<rows::Counted, String> {
        let Some(since) = self.since else {
            return state.held().ok_or_else(|| "the state keeps no counts".to_owned());
        };
        if seen.mixed {
            return Err(
                "several topics feed this table, and its rows do not tell theirs: leave --since out"
                    .to_owned(),
            );
        }
        let Some(told) = told else {
            return Err(
                "without a ledger nobody knows what was redriven since: leave --since out".to_owned(),
            );
        };
        let mut expected = rows::Counted::new();
        for (id, job) in &state.jobs {
            for (partition, now) in &job.partitions {
                let then = since
                    .state
                    .partition(id, *partition)
                    .map(|then| then.counts)
                    .unwrap_or_default();
                let Some(counts) = now.counts.minus(then) else {
                    return Err("rows were taken back since that snapshot: leave --since out".to_owned());
                };
                let mut held = Held {
                    rows: counts.rows,
                    offset_sum: counts.offset_sum,
                };
                // A letter of an older record became a row.
                let redriven = told.redriven.get(&job.topic_partition(*partition));
                let older = redriven.map(|redriven| redriven.intersection(&since.progress(id, *partition)));
                if let Some(older) = older {
                    held.rows = held.rows.saturating_sub(older.len_offsets());
                    held.offset_sum = held.offset_sum.wrapping_sub(older.offset_sum());
                }
                expected.entry(*partition).or_default().merge(held);
            }
        }
        expected.retain(|_, held| held.rows > 0);
        Ok(expected)
    }
}

fn judge_letters(check: Option<Check>, letters: &mut Addressed) -> Check {
    check.unwrap_or_else(|| {
        let says = format!(
            "{} dead letters, each once, as many as were counted",
            letters.letters
        );
        Check::of(Name::DeadLetters, says, std::mem::take(&mut letters.findings))
    })
}

fn judge_broker(asked: Result<Asked, String>, missing: rows::Missing) -> Check {
    match asked {
        Ok(asked) => asked.check(missing),
        Err(why) => Check::not_checked(Name::Broker, why),
    }
}
