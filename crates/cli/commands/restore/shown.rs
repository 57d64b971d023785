//! A restore in words, and for machines.

use std::fmt;

use bytesize::ByteSize;
use serde_json::{Value, json};
use tabletopic_history::restore::{Begun, Plan, Restored, Whole};
use tabletopic_history::{History, PartitionLog};

use crate::commands::columns::{Cell, Columns};

/// What is to be written, and what was.
pub struct Shown<'a> {
    pub history: &'a History,
    pub topic: &'a str,
    pub plan: &'a Plan,
    /// Whether the topic is made first.
    pub makes_it: bool,
    pub restored: Option<Restored>,
}

impl Shown<'_> {
    fn left(&self) -> u64 {
        let left = self.plan.partitions.iter();
        left.map(|(number, left)| self.history.rows_within(*number, *left))
            .sum()
    }

    pub fn json(&self) -> Value {
        let partitions: Vec<Value> = self
            .history
            .partitions()
            .iter()
            .map(|(number, log)| {
                let left = self.plan.partitions[number];
                json!({
                    "partition": number, "start": log.offsets.start, "end": log.offsets.end, "next": left.start,
                    "rows": log.rows, "without_row": without_row(log), "lost": log.gone.lost.len_offsets(),
                    "filtered": log.gone.filtered, "dead_letters": log.gone.dead_letters, "retired": log.gone.retired,
                })
            })
            .collect();
        let restored = self.restored.map(|restored| {
            json!({
                "records": restored.records, "bytes": restored.bytes, "transactions": restored.transactions,
                "retimed": restored.retimed,
            })
        });
        json!({
            "table": self.history.table().to_string(), "snapshot_id": self.history.snapshot_id(),
            "job": self.history.job().as_str(), "from_topic": &*self.history.identity().topic, "to_topic": self.topic,
            "makes_topic": self.makes_it, "begun_before": self.plan.begun == Begun::Before,
            "partitions": partitions, "restored": restored,
        })
    }
}

/// Offsets of the log that have no row.
fn without_row(log: &PartitionLog) -> u64 {
    log.offsets.len().saturating_sub(log.rows)
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (history, topic) = (self.history, self.topic);
        let from = format!(
            "the log of topic {} in {} (snapshot {})",
            history.identity().topic,
            history.table(),
            history.snapshot_id()
        );
        match (&self.restored, self.plan.whole()) {
            (Some(done), Whole::NotYet) => writeln!(
                f,
                "done: {} records of {from} were written into topic {topic}, {} in {} transactions",
                done.records,
                ByteSize(done.bytes),
                done.transactions
            )?,
            (_, Whole::Yes) => writeln!(f, "topic {topic} has all of {from}")?,
            (None, Whole::NotYet) => {
                let goes_on = match self.plan.begun {
                    Begun::Before => ", which was begun before and goes on",
                    Begun::Now => "",
                };
                let made = if self.makes_it {
                    ", which is made first"
                } else {
                    ""
                };
                writeln!(
                    f,
                    "what this does: {from}{goes_on} is written into topic {topic}{made}; about {} records are left, of some {} \
                     in all",
                    self.left(),
                    ByteSize(history.bytes())
                )?;
            }
        }
        if let Some(retimed) = self
            .restored
            .map(|done| done.retimed)
            .filter(|retimed| *retimed > 0)
        {
            writeln!(
                f,
                "  {retimed} records have no timestamp that Kafka's client could write, and have another one"
            )?;
        }
        let heading = ["partition", "from", "up to", "rows", "without a row"];
        let heading = heading.map(Cell::number).to_vec();
        let lines = history.partitions().iter().map(|(number, log)| {
            vec![
                Cell::number(number),
                Cell::number(self.plan.partitions[number].start),
                Cell::number(log.offsets.end),
                Cell::number(log.rows),
                Cell::number(without_row(log)),
            ]
        });
        write!(f, "{}", Columns(std::iter::once(heading).chain(lines).collect()))?;
        let logs = || history.partitions().values();
        if logs().any(|log| without_row(log) > 0 || log.offsets.start > 0) {
            writeln!(
                f,
                "  records after an offset without a row have lower offsets in topic {topic} than they had"
            )?;
        }
        let gone: [(u64, &str); 4] = [
            (
                logs().map(|log| log.gone.lost.len_offsets()).sum(),
                "offsets were declared lost",
            ),
            (
                logs().map(|log| log.gone.dead_letters).sum(),
                "records are dead letters",
            ),
            (
                logs().map(|log| log.gone.filtered).sum(),
                "records were left out by configuration",
            ),
            (
                logs().map(|log| log.gone.retired).sum(),
                "rows were removed by retention",
            ),
        ];
        for (count, what) in gone.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  {count} {what}, and are not in the topic")?;
        }
        Ok(())
    }
}
