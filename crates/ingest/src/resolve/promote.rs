//! `tabletopic promote`: the rows of a replay take the place of a table's.

use iceberg::TableIdent;
use tabletopic_offsets::{Gap, LostInHistory, TableState, TopicPartition};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::Marks;
use tabletopic_table::commit::{Base, resolve};

use super::rollback::{Gone, gone, standing};
use super::{Resolution, ResolveError, Step};
use crate::ask_broker::AskBroker;

/// What a promotion does.
#[derive(Debug, Clone)]
pub struct Promotion {
    pub table: TableIdent,
    pub replay: TableIdent,
    /// The replay's newest snapshot when it was looked at.
    pub looked_at: i64,
    /// The table's last sequence number then.
    pub table_looked_at: i64,
    pub resolution: Resolution,
    /// Rows of the table, before and after.
    pub rows: (u64, u64),
    /// What the table has above the replay's ends, and its topics no longer have.
    pub gone: Vec<Gone>,
    /// What the replay accounts for and has nothing of, because the history that it was read from has lost it.
    pub history: LostInHistory,
    /// What of this the table has not lost.
    pub lost: Vec<Gone>,
}

/// Looks what it would do.
///
/// # Errors
/// The replay can't take the table's place; a table that stands still; a topic that is not the one which fed it.
pub async fn look(
    lake: &Lake,
    broker: &dyn AskBroker,
    table: &TableIdent,
    replay: &TableIdent,
    history: LostInHistory,
) -> Result<Promotion, ResolveError> {
    let base = standing(lake, table).await?;
    let read = standing(lake, replay).await?;
    let Some(head) = read.head() else {
        return Err(ResolveError::Target {
            table: replay.to_string(),
            detail: "it holds nothing yet".to_owned(),
        });
    };
    let looked_at = head.snapshot_id();
    let table_looked_at = base.metadata().last_sequence_number();
    let at = (looked_at, table_looked_at);
    let done = step(lake, replay, at, (&history, None), Marks::default(), "")
        .look(lake, &base)
        .await?;
    let (effects, files, _) = done.unwrap_or_default();
    let gone = gone(broker, &base, &effects).await?;
    let lost = lost(&base, &read, &history);
    Ok(Promotion {
        table: table.clone(),
        replay: replay.clone(),
        looked_at,
        table_looked_at,
        resolution: Resolution {
            effects,
            files,
            ..Resolution::default()
        },
        rows: (rows(&base), rows(&read)),
        gone,
        history,
        lost,
    })
}

/// Does it: one commit. What was said to be lost is declared lost.
///
/// # Errors
/// As [`look`]; the replay has changed since it was looked at; outages that last.
pub async fn promote(
    lake: &Lake,
    looked: &Promotion,
    marked: Marks,
    reason: &str,
) -> Result<Resolution, ResolveError> {
    let mut base = standing(lake, &looked.table).await?;
    let at = (looked.looked_at, looked.table_looked_at);
    let declared = looked.lost.iter().map(|lost| Gap {
        job: lost.job.clone(),
        partition: lost.topic_partition.partition,
        range: lost.range,
    });
    let lost = (&looked.history, Some(declared.collect()));
    let mut step = step(lake, &looked.replay, at, lost, marked, reason);
    let (effects, files, snapshot) = step.take(lake, &mut base).await?.unwrap_or_default();
    Ok(Resolution {
        effects,
        files,
        snapshots: snapshot.into_iter().collect(),
        ..Resolution::default()
    })
}

fn step<'a>(
    lake: &'a Lake,
    replay: &TableIdent,
    (looked_at, table_looked_at): (i64, i64),
    (lost, declared): (&LostInHistory, Option<Vec<Gap>>),
    marked: Marks,
    reason: &str,
) -> Step<'a> {
    let plan = resolve::Promote {
        lake,
        replay: replay.clone(),
        looked_at,
        table_looked_at,
        lost: lost.clone(),
        declared,
        marked,
        reason: reason.to_owned(),
    };
    Step {
        plan: Box::new(plan),
        of: None,
    }
}

fn lost(base: &Base<TableState>, read: &Base<TableState>, history: &LostInHistory) -> Vec<Gone> {
    let (Some(now), Some(read)) = (base.state(), read.state()) else {
        return Vec::new();
    };
    let gaps = now.lost_by(read, history).into_iter();
    gaps.map(|gap| Gone {
        topic_partition: read.job(&gap.job).map_or_else(
            || TopicPartition::new(gap.job.as_str(), gap.partition),
            |job| job.topic_partition(gap.partition),
        ),
        job: gap.job,
        range: gap.range,
    })
    .collect()
}

fn rows(base: &Base<TableState>) -> u64 {
    let jobs = base.state().into_iter().flat_map(|state| state.jobs.values());
    jobs.flat_map(|job| job.partitions.values())
        .map(|state| state.counts.rows)
        .sum()
}
