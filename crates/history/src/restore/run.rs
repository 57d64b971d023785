//! Writes a log, transaction by transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tabletopic_offsets::{Offset, OffsetRange};
use tabletopic_records::Record;
use tabletopic_source::{KafkaWriter, WriteError};
use tokio::runtime::Handle;

use super::{Plan, RestoreError};
use crate::History;
use crate::reader::{Piece, Reader, Run};
use crate::rows::Rows;
use crate::sorted::MOST_HELD;

/// What a transaction has at most, and how long it is open: one that waits for the table is committed.
const BYTES: u64 = 32 << 20;
const RECORDS: u64 = 100_000;
const OPEN: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(1);

/// What a rate makes up for later.
const LEAST_PAUSE: Duration = Duration::from_millis(50);

/// How often reading the table fails in a row, with a pause that doubles, before it is given up.
const MOST_FAILURES: u32 = 5;

/// Takes records, and commits them together with how far it is.
pub trait Writer {
    /// # Errors
    /// This record, or one before it, is refused.
    fn write(&mut self, record: &Record<'_>) -> Result<(), WriteError>;

    /// Commits what was written, with the first offset of each partition that is to be written next, and a note.
    ///
    /// # Errors
    /// It was refused, or no answer has come.
    fn commit(&mut self, next: &BTreeMap<i32, Offset>, note: &str) -> Result<(), WriteError>;
}

impl Writer for KafkaWriter {
    fn write(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        Self::write(self, record)
    }

    fn commit(&mut self, next: &BTreeMap<i32, Offset>, note: &str) -> Result<(), WriteError> {
        Self::commit(self, next, note)
    }
}

/// Who is told how far it is.
pub trait Progress {
    /// What is committed so far.
    fn committed(&self, so_far: &Restored);
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    pub records: u64,
    /// Of keys, values and headers.
    pub bytes: u64,
    pub transactions: u64,
    /// Records whose timestamp Kafka's client cannot write: those without one have the time of writing, and those of the
    /// Unix epoch itself are a millisecond later.
    pub retimed: u64,
}

impl Restored {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.transactions += other.transactions;
        self.retimed += other.retimed;
    }
}

/// Bytes a second, of keys, values and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

impl Rate {
    /// How long to wait after so many bytes in so much time.
    fn pause(self, bytes: u64, elapsed: Duration) -> Duration {
        let due = Duration::from_secs_f64(bytes as f64 / self.0.max(1) as f64);
        due.saturating_sub(elapsed)
    }
}

/// Writes what a plan says, `rate` fast at most. Where it ends early, the next plan goes on behind the last transaction that was committed. Blocks,
/// and must not be called on a thread of the runtime.
///
/// # Errors
/// Those of reading and writing.
pub fn restore(
    history: &History,
    plan: &Plan,
    writer: &mut dyn Writer,
    rate: Option<Rate>,
    runtime: &Handle,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    let next = plan.partitions.iter().map(|(number, left)| (*number, left.start));
    let mut restoring = Restoring {
        writer,
        note: &plan.note,
        next: next.collect(),
        open: None,
        restored: Restored::default(),
        progress,
        rate,
        began: Instant::now(),
    };
    // From here on the topic is this restore's, whatever becomes of the first records.
    restoring.commit()?;
    let mut failures = 0;
    loop {
        let error = match restoring.go_on(history, plan, runtime, failures) {
            Ok(()) => return Ok(restoring.restored),
            Err(Stopped { error, went_on }) => {
                failures = if went_on { 1 } else { failures + 1 };
                error
            }
        };
        match error {
            RestoreError::History(error) if error.is_transient() && failures < MOST_FAILURES => {
                tracing::warn!("{error}; reading again");
            }
            error => return Err(error),
        }
    }
}

/// Why reading ended early, and whether anything came before.
struct Stopped {
    error: RestoreError,
    went_on: bool,
}

struct Restoring<'a> {
    writer: &'a mut dyn Writer,
    note: &'a str,
    /// The first offset of each partition that was not written yet.
    next: BTreeMap<i32, Offset>,
    /// The transaction that is open: since when, and what it has.
    open: Option<(Instant, Restored)>,
    restored: Restored,
    progress: &'a dyn Progress,
    rate: Option<Rate>,
    began: Instant,
}

impl Restoring<'_> {
    fn go_on(
        &mut self,
        history: &History,
        plan: &Plan,
        runtime: &Handle,
        failures: u32,
    ) -> Result<(), Stopped> {
        let pause = match failures {
            0 => Duration::ZERO,
            failures => Duration::from_secs(1 << (failures - 1)),
        };
        let at: BTreeMap<i32, Offset> = plan
            .partitions
            .iter()
            .map(|(number, left)| (*number, self.next[number], left.end))
            .filter(|(_, next, end)| next < end)
            .map(|(number, next, _)| (number, next))
            .collect();
        let mut reader = Reader::start(history.clone(), at, pause, MOST_HELD, runtime);
        let mut went_on = false;
        loop {
            let taken = runtime.block_on(async { tokio::time::timeout(WAIT, reader.pieces.recv()).await });
            let done = match taken {
                // It may wait for long.
                Err(_) => self.commit_open(),
                Ok(Some(Ok(Piece::Rows(rows, runs)))) => {
                    went_on = true;
                    self.rows(&rows, &runs)
                }
                Ok(Some(Ok(Piece::Reached(reached)))) => {
                    self.next.extend(reached);
                    Ok(())
                }
                Ok(Some(Err(error))) => Err(error.into()),
                Ok(None) => {
                    let end = self.end(&plan.partitions);
                    return end.map_err(|error| Stopped { error, went_on });
                }
            };
            done.map_err(|error| Stopped { error, went_on })?;
        }
    }

    fn end(&mut self, partitions: &BTreeMap<i32, OffsetRange>) -> Result<(), RestoreError> {
        let there = partitions
            .iter()
            .all(|(number, left)| self.next[number] >= left.end);
        if !there {
            return Err(RestoreError::Ended);
        }
        self.commit()
    }

    fn rows(&mut self, rows: &Rows, runs: &[Run]) -> Result<(), RestoreError> {
        for run in runs {
            for row in run.rows.clone() {
                let headers = rows.headers(row);
                self.record(rows.record(row, run.partition, &headers))?;
            }
        }
        self.commit_old()
    }

    fn record(&mut self, mut record: Record<'_>) -> Result<(), RestoreError> {
        let (_, open) = self
            .open
            .get_or_insert_with(|| (Instant::now(), Restored::default()));
        open.records += 1;
        open.bytes += bytes(&record);
        if matches!(record.timestamp, None | Some(0)) {
            open.retimed += 1;
            record.timestamp = record.timestamp.map(|_| 1);
        }
        let written = *open;
        self.writer.write(&record)?;
        self.next.insert(record.partition, record.offset + 1);
        if written.bytes >= BYTES || written.records >= RECORDS {
            self.commit()?;
        }
        self.slow_down()
    }

    /// Waits as long as the rate asks for.
    fn slow_down(&mut self) -> Result<(), RestoreError> {
        let Some(rate) = self.rate else { return Ok(()) };
        let open = self.open.as_ref().map_or(0, |(_, open)| open.bytes);
        let written = self.restored.bytes + open;
        loop {
            let pause = rate.pause(written, self.began.elapsed());
            if pause < LEAST_PAUSE {
                return Ok(());
            }
            std::thread::sleep(pause.min(WAIT));
            self.commit_old()?;
        }
    }

    /// Commits a transaction that was open for long.
    fn commit_old(&mut self) -> Result<(), RestoreError> {
        match &self.open {
            Some((since, _)) if since.elapsed() >= OPEN => self.commit(),
            _ => Ok(()),
        }
    }

    fn commit_open(&mut self) -> Result<(), RestoreError> {
        match self.open {
            Some(_) => self.commit(),
            None => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<(), RestoreError> {
        self.writer.commit(&self.next, self.note)?;
        let (_, mut committed) = self
            .open
            .take()
            .unwrap_or_else(|| (Instant::now(), Restored::default()));
        committed.transactions = 1;
        self.restored.add(committed);
        self.progress.committed(&self.restored);
        Ok(())
    }
}

fn bytes(record: &Record<'_>) -> u64 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let mut bytes = length(record.key) + length(record.value);
    record
        .headers
        .for_each(&mut |key, value| bytes += key.len() + length(value));
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_asks_for_what_is_left_of_its_time() {
        let rate = Rate(1_000);
        assert_eq!(
            rate.pause(2_000, Duration::from_millis(500)),
            Duration::from_millis(1_500)
        );
        assert_eq!(rate.pause(2_000, Duration::from_secs(3)), Duration::ZERO);
    }
}
