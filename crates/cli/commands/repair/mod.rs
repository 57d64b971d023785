//! `repair`: some offsets are read again, compared with what the table has of them, and swapped.

mod text;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iceberg::{NamespaceIdent, TableIdent};
use serde_json::{Value, json};
use tabletopic_audit::compare::{Comparison, Verdict};
use tabletopic_ingest::Job;
use tabletopic_ingest::resolve::repair::{Damage, Repaired};
use tabletopic_offsets::Counts;
use tabletopic_replay::{Columns, discard, look};

use super::compare::{Shown, compared};
use super::replay::{How, Planned, table};
use super::{confirm, environment, jobs_of, runtime};
use crate::args::{self, Compare, Output, Span, Where};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::parts::Opened;
use crate::progress::Progress;
use crate::{logging, parts};

/// After which what an interrupted repair has left is removed.
const LEFT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Files that are compared at once.
const JOBS: NonZeroUsize = NonZeroUsize::new(2).expect("it is two");

pub fn run(file: &Path, asked: &args::Repair) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(repair(&config, asked, progress))
}

async fn repair(config: &Config, asked: &args::Repair, progress: Progress) -> anyhow::Result<Exit> {
    let opened = parts::open_to_ask(config).await?;
    let replay = as_replay(asked)?;
    let replayed = place(&replay)?;
    let how = How {
        columns: Columns::OfOriginal,
        words: words(asked),
    };
    // What was read before may have been mapped otherwise.
    if let Some(left) = look(&opened.lake, &replayed).await?
        && (left.discarding || left.note.words == how.words)
    {
        forget(&opened, &replayed).await?;
    }
    let planned = Planned::of(config, config, &replay, how).await?;
    let damage = damage(planned.feeding(), asked)?;
    damage.check(&opened.lake).await?;
    planned.say();
    let read = planned.carry_out(config, &replay, progress.clone()).await?;
    if read.exit != Exit::Done {
        eprint!("{}", read.text());
        eprintln!("the table is as it was: the offsets could not all be read again");
        forget(&opened, &replayed).await?;
        return Ok(read.exit);
    }
    let swapped = swapped(config, &opened, asked, (&damage, &replayed), progress).await;
    // Whatever became of it: what is read once more is mapped as the configuration says then.
    let forgotten = forget(&opened, &replayed).await;
    let exit = swapped?;
    forgotten?;
    Ok(exit)
}

/// Compares, asks, and swaps.
async fn swapped(
    config: &Config,
    opened: &Opened,
    asked: &args::Repair,
    (damage, replayed): (&Damage, &TableIdent),
    progress: Progress,
) -> anyhow::Result<Exit> {
    let reason = match asked.reason.as_str() {
        "" => "repair".to_owned(),
        reason => format!("repair: {reason}"),
    };
    let mut swapping = damage.by(&opened.lake, replayed, &reason).await?;
    // Before the comparison: what changes while it is made is not taken out unseen, either.
    let would = swapping.look().await?;
    let comparison = compared(config, None, &as_compare(asked, replayed), progress).await?;
    let judged = |repaired: Repaired| Judged {
        damage,
        comparison: &comparison,
        repaired,
    };
    let would = judged(would);
    if would.changes_nothing() {
        would.print(asked.output, "nothing was done: nothing differs")?;
        return Ok(Exit::Done);
    }
    if asked.dry_run {
        would.print(asked.output, "what this does")?;
        return Ok(Exit::Differs);
    }
    if !asked.yes {
        write!(io::stderr(), "{}", would.text("what this does"))?;
        confirm(&damage.table.to_string())?;
    }
    judged(swapping.carry_out().await?).print(asked.output, "done")?;
    Ok(Exit::Done)
}

/// The rows have been written into the table's own files: nothing leads to these.
async fn forget(opened: &Opened, replayed: &TableIdent) -> anyhow::Result<()> {
    discard(&opened.lake, opened.listing.as_ref(), replayed).await?;
    Ok(())
}

/// The offsets, and whose they are.
fn damage(jobs: Vec<Arc<Job>>, asked: &args::Repair) -> anyhow::Result<Damage> {
    let jobs = jobs_of(jobs, &asked.table)?;
    let usage = |message: String| anyhow::Error::from(UsageError(message));
    let named = asked.offsets.iter().find_map(|span| span.topic.clone());
    if let Some(other) = asked.offsets.iter().find(|span| span.topic != named) {
        return Err(usage(format!(
            "offsets of partition {} are of another topic; repair one after the other",
            other.partition
        )));
    }
    let is_meant = |job: &&Arc<Job>| named.as_ref().is_none_or(|topic| *topic == job.topic);
    let meant: Vec<&Arc<Job>> = jobs.iter().filter(is_meant).collect();
    let [job] = meant.as_slice() else {
        let topics: Vec<&str> = jobs.iter().map(|job| &*job.topic).collect();
        return Err(usage(format!(
            "say of which topic the offsets are, as in {}/3:120000..180000; those that feed {}: {}",
            topics[0],
            asked.table,
            super::first_of(topics.iter().copied())
        )));
    };
    Ok(Damage {
        table: job.table.clone(),
        job: job.id.clone(),
        ranges: Span::by_partition(&asked.offsets).map_err(usage)?,
    })
}

/// What decides what is read: whoever goes on with a repair has to say the same.
fn words(asked: &args::Repair) -> String {
    let offsets = asked.offsets.iter().map(|span| format!("--offsets {span}"));
    let mut words: Vec<String> = std::iter::once("repair".to_owned()).chain(offsets).collect();
    words.extend(asked.history.iter().map(|table| format!("--history {table}")));
    words.extend(asked.without_topic.then(|| "--without-topic".to_owned()));
    words.join(" ")
}

/// The same offsets, into a namespace of their own.
fn as_replay(asked: &args::Repair) -> anyhow::Result<args::Replay> {
    let of_topic = |span: &Span| {
        span.topic
            .as_ref()
            .map(|topic| format!("{topic}/"))
            .unwrap_or_default()
    };
    let points = |of: fn(&Span) -> i64| {
        let all = asked
            .offsets
            .iter()
            .map(|span| format!("{}{}:{}", of_topic(span), span.partition, of(span)).parse());
        all.collect::<Result<Vec<Where>, String>>().map_err(UsageError)
    };
    let into = match &asked.into {
        Some(into) => into.clone(),
        None => format!("repair_{}", asked.table.replace('.', "_")),
    };
    Ok(args::Replay {
        tables: vec![asked.table.clone()],
        into,
        from: points(|span| span.range.start)?,
        to: points(|span| span.range.end)?,
        same_as: None,
        history: asked.history.clone(),
        without_topic: asked.without_topic,
        from_file: None,
        schema: None,
        set: Vec::new(),
        read_rate: asked.read_rate,
        drop_after: false,
        ttl: Some(LEFT_FOR),
        dry_run: false,
        output: asked.output,
    })
}

/// The table that the offsets are read into.
fn place(replay: &args::Replay) -> anyhow::Result<TableIdent> {
    let table = table(&replay.tables[0])?;
    let namespace = NamespaceIdent::from_strs(replay.into.split('.'))?;
    Ok(TableIdent::new(namespace, table.name))
}

fn as_compare(asked: &args::Repair, replayed: &TableIdent) -> Compare {
    Compare {
        a: asked.table.clone(),
        b: replayed.to_string(),
        other: None,
        key: Vec::new(),
        rename: Vec::new(),
        columns: Vec::new(),
        ignore: Vec::new(),
        offsets: asked.offsets.clone(),
        samples: asked.samples,
        every_key: false,
        jobs: JOBS,
        output: asked.output,
    }
}

/// A repair, with what differs.
struct Judged<'a> {
    damage: &'a Damage,
    comparison: &'a Comparison,
    repaired: Repaired,
}

impl Judged<'_> {
    fn changes_nothing(&self) -> bool {
        let mut swaps = self.repaired.swaps.iter();
        self.comparison.verdict == Verdict::Equal
            && !self.repaired.lacked
            && swaps.all(|swap| swap.before == swap.after)
    }

    fn print(&self, output: Output, heading: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        match output {
            Output::Json => writeln!(out, "{:#}", self.json()),
            Output::Text => write!(out, "{}", self.text(heading)),
        }
    }

    fn text(&self, heading: &str) -> String {
        format!(
            "{}{}",
            Shown(self.comparison),
            text::of_swaps(&format!("{heading}: table {}", self.damage.table), &self.repaired)
        )
    }

    fn json(&self) -> Value {
        let counts = |counts: Counts| {
            json!({
                "rows": counts.rows,
                "dead_letters": counts.dead_letters,
                "filtered": counts.filtered,
                "lost": counts.lost,
            })
        };
        let swaps = self.repaired.swaps.iter().map(|swap| {
            json!({
                "topic": &*swap.topic_partition.topic,
                "partition": swap.topic_partition.partition,
                "start": swap.range.start,
                "end": swap.range.end,
                "before": counts(swap.before),
                "after": counts(swap.after),
                "beside": swap.beside.ranges().iter().map(|range| [range.start, range.end]).collect::<Vec<_>>(),
            })
        });
        json!({
            "table": self.damage.table.to_string(),
            "partitions": swaps.collect::<Vec<_>>(),
            "files": { "removed": self.repaired.files.removed, "written": self.repaired.files.written },
            "snapshot_id": self.repaired.snapshot,
            "comparison": self.comparison,
        })
    }
}
