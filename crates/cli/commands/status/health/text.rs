//! The health of a table for people: files by size, the worst partitions, what lies beside them, and what is due.

use std::fmt;

use anstyle::{AnsiColor, Style};
use bytesize::ByteSize;
use tabletopic_maintain::health::{Files, Health, Next, Partition, SizeClass};

use super::Document;
use crate::commands::columns::{Cell, Columns};
use crate::commands::status::text::about;

const BAD: Style = AnsiColor::Red.on_default().bold();
const CLOSE: Style = AnsiColor::Yellow.on_default();
const HEADING: Style = Style::new().bold();

/// Partitions that are shown; the worst come first.
const SHOWN: usize = 10;

/// Files too many that are worth a colour.
const MANY: u64 = 100;

pub struct Shown<'a>(pub &'a Document);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Document {
            health,
            made_at,
            commands,
        } = self.0;
        let ago = |at: i64| about((made_at - at) as f64 / 1000.0);
        let Files {
            files, bytes, rows, ..
        } = &health.files;
        writeln!(
            f,
            "{HEADING}{}{HEADING:#}  {files} files, {}, {rows} rows in {} partitions",
            health.table,
            ByteSize(*bytes),
            health.partitions.count
        )?;
        if let Some(halted) = &health.halted {
            writeln!(f, "  {BAD}halted{BAD:#}  {halted}")?;
        }
        match (health.snapshots.oldest_at, health.snapshots.newest_at) {
            (Some(oldest), Some(newest)) => writeln!(
                f,
                "  snapshots   {}, the oldest {} old, the newest {}",
                health.snapshots.count,
                ago(oldest),
                ago(newest)
            )?,
            _ => writeln!(f, "  snapshots   none: nothing was committed yet")?,
        }
        metadata(f, health)?;
        deletes(f, health)?;
        if *files > 0 {
            sizes(f, &health.files.by_size)?;
            partitions(f, health, &ago)?;
        }
        next(f, &health.next, commands, &ago)?;
        writeln!(f)
    }
}

fn metadata(f: &mut fmt::Formatter<'_>, health: &Health) -> fmt::Result {
    let refs = health
        .refs
        .iter()
        .map(|reference| format!("{} {}", reference.kind, reference.name));
    let refs = match refs.collect::<Vec<_>>() {
        none if none.is_empty() => "none".to_owned(),
        refs => refs.join(", "),
    };
    let manifests = &health.manifests;
    writeln!(f, "  refs        {refs}")?;
    writeln!(
        f,
        "  manifests   {} with {}; a query of one partition opens {:.1}",
        manifests.data + manifests.deletes,
        ByteSize(manifests.bytes),
        manifests.opened_for_one_partition
    )?;
    writeln!(
        f,
        "  metadata    {}, format version {}",
        ByteSize(health.metadata_bytes),
        health.format_version
    )?;
    for old in &health.old_specs {
        writeln!(
            f,
            "  old spec    {}: {} files, {}",
            old.spec_id,
            old.tally.files,
            ByteSize(old.tally.bytes)
        )?;
    }
    Ok(())
}

fn deletes(f: &mut fmt::Formatter<'_>, health: &Health) -> fmt::Result {
    let deletes = &health.deletes;
    let kinds = [
        (deletes.position_files, "by position"),
        (deletes.equality_files, "by equality"),
        (deletes.deletion_vectors, "deletion vectors"),
    ];
    let there = kinds.iter().filter(|(count, _)| *count > 0);
    let there: Vec<String> = there.map(|(count, kind)| format!("{count} {kind}")).collect();
    match there.is_empty() {
        true => writeln!(f, "  deletes     none"),
        false => writeln!(
            f,
            "  deletes     {CLOSE}{}{CLOSE:#}, {}, for {} data files",
            there.join(", "),
            ByteSize(deletes.bytes),
            deletes.data_files
        ),
    }
}

fn sizes(f: &mut fmt::Formatter<'_>, classes: &[SizeClass]) -> fmt::Result {
    let headings = [
        Cell::word("size of files"),
        Cell::number("files"),
        Cell::number("bytes"),
    ];
    let mut lines: Vec<Vec<Cell>> = vec![headings.map(|cell| cell.styled(HEADING)).into()];
    lines.extend(classes.iter().map(|class| {
        let size = match class.below_bytes {
            Some(below) => format!("below {}", ByteSize(below)),
            None => format!("{} and more", ByteSize(class.from_bytes)),
        };
        vec![
            Cell::word(size),
            Cell::number(class.tally.files),
            Cell::number(ByteSize(class.tally.bytes)),
        ]
    }));
    write!(f, "\n{}", Columns(lines))
}

fn partitions(f: &mut fmt::Formatter<'_>, health: &Health, ago: &dyn Fn(i64) -> String) -> fmt::Result {
    let headings = [
        Cell::word("partition"),
        Cell::number("files"),
        Cell::number("small"),
        Cell::number("deletes"),
        Cell::number("too many"),
        Cell::number("bytes"),
        Cell::word("newest rows"),
    ];
    let mut lines: Vec<Vec<Cell>> = vec![headings.map(|cell| cell.styled(HEADING)).into()];
    let shown = health.partitions.worst.iter().take(SHOWN);
    lines.extend(shown.map(|partition| line(partition, ago)));
    write!(f, "\n{}", Columns(lines))?;
    match usize::try_from(health.partitions.count)
        .unwrap_or(usize::MAX)
        .checked_sub(SHOWN)
    {
        Some(more @ 1..) => writeln!(
            f,
            "  and {more} more partitions, which need less; --output json has up to a thousand"
        ),
        _ => Ok(()),
    }
}

fn line(partition: &Partition, ago: &dyn Fn(i64) -> String) -> Vec<Cell> {
    let name = match partition.partition.as_str() {
        "" => "all",
        partition => partition,
    };
    let too_many = Cell::number(partition.too_many).styled(match partition.too_many {
        MANY.. => CLOSE,
        _ => Style::new(),
    });
    let newest = partition
        .last_added_at
        .map_or_else(|| "?".to_owned(), |at| format!("{} ago", ago(at)));
    let newest = match partition.hot {
        true => format!("{newest}, hot"),
        false => newest,
    };
    vec![
        Cell::word(name),
        Cell::number(partition.files),
        Cell::number(partition.small_files),
        Cell::number(partition.delete_files),
        too_many,
        Cell::number(ByteSize(partition.bytes)),
        Cell::word(newest),
    ]
}

fn next(
    f: &mut fmt::Formatter<'_>,
    next: &Next,
    commands: &[String],
    ago: &dyn Fn(i64) -> String,
) -> fmt::Result {
    writeln!(f, "\n  {HEADING}due{HEADING:#}")?;
    let leaving = &next.expire.leaving;
    match (&next.expire.refused, leaving.oldest, leaving.newest) {
        (Some(why), ..) => writeln!(f, "  expire      not here: {why}")?,
        (None, Some(oldest), Some(newest)) => writeln!(
            f,
            "  expire      {} snapshots, from {} to {} old; {} stay",
            leaving.snapshots,
            ago(newest),
            ago(oldest),
            leaving.stay
        )?,
        (None, ..) => writeln!(f, "  expire      nothing")?,
    }
    let merge = &next.compact;
    let cost = &merge.cost;
    match (&merge.refused, cost.pieces) {
        (Some(why), _) => writeln!(f, "  compact     not here: {why}")?,
        (None, 0) => writeln!(f, "  compact     nothing")?,
        (None, pieces) => writeln!(
            f,
            "  compact     {pieces} pieces: {} data and {} delete files with {} become about {} files in {} commits; about {} GET \
             and {} PUT requests",
            cost.data.files,
            cost.deletes.files,
            ByteSize(cost.data.bytes + cost.deletes.bytes),
            cost.writes,
            cost.commits,
            cost.requests.get,
            cost.requests.put
        )?,
    }
    let waits = &merge.waits;
    if waits.tally.files > 0 {
        writeln!(
            f,
            "  waits       {} files with {} in {} partitions, which are hot: rows came lately",
            waits.tally.files,
            ByteSize(waits.tally.bytes),
            waits.partitions
        )?;
    }
    for command in commands {
        writeln!(f, "      {HEADING}{command}{HEADING:#}")?;
    }
    Ok(())
}
