//! The report for people: halts first, then each table, its partitions with the worst on top.

use std::cmp::Ordering;
use std::fmt;

use anstyle::{AnsiColor, Style};
use tabletopic_ingest::observe::{
    HaltReport, JobReport, PartitionReport, Report, Standing, TableReport, ToRetention,
};

use crate::commands::columns::{Cell, Columns};

const BAD: Style = AnsiColor::Red.on_default().bold();
const CLOSE: Style = AnsiColor::Yellow.on_default();
const HEADING: Style = Style::new().bold();

/// Below this, the time that retention leaves is worth a colour.
const SOON: f64 = 6.0 * 3600.0;

/// Partitions of a job that are shown; the worst come first.
const SHOWN: usize = 40;

pub struct Shown<'a>(pub &'a Report);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        for halt in &report.halts {
            halted(f, halt)?;
        }
        if let Some(error) = &report.broker_error {
            writeln!(f, "{CLOSE}The brokers say nothing now{CLOSE:#}: {error}\n")?;
        }
        for table in &report.tables {
            writeln!(
                f,
                "{HEADING}{}{HEADING:#}  {}",
                table.table,
                sentence(report, table)
            )?;
            for job in report.jobs.iter().filter(|job| job.table == table.table) {
                partitions(f, report, job)?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "From the tables and the brokers. A bad record that stopped a partition, a log that was cut, and what a \
             catalog refuses are in the log of the running service."
        )
    }
}

fn halted(f: &mut fmt::Formatter<'_>, halt: &HaltReport) -> fmt::Result {
    writeln!(f, "{BAD}halted{BAD:#}  {}", halt.message)?;
    for command in &halt.commands {
        writeln!(f, "        {HEADING}{command}{HEADING:#}")?;
    }
    writeln!(f)
}

fn sentence(report: &Report, table: &TableReport) -> String {
    let standing = match table.standing {
        Standing::New => return "nothing was committed yet".to_owned(),
        Standing::InMain => "",
        Standing::Halted => "halted, ",
    };
    let commit = match table.last_commit_at {
        Some(at) => format!("last commit {} ago", about((report.made_at - at) as f64 / 1000.0)),
        None if table.rows == 0 && table.dead_letters == 0 => "nothing was read into it yet".to_owned(),
        None => "no commit among the snapshots that are left".to_owned(),
    };
    let newest = match table.freshness_seconds {
        Some(seconds) => format!(", newest record {} old", about(seconds)),
        None => String::new(),
    };
    let letters = match table.dead_letters {
        0 => String::new(),
        letters => format!(", {letters} dead letters"),
    };
    let lost = match table.lost {
        0 => String::new(),
        lost => format!(", {lost} offsets lost"),
    };
    format!("{standing}{commit}{newest}, {} rows{letters}{lost}", table.rows)
}

fn partitions(f: &mut fmt::Formatter<'_>, report: &Report, job: &JobReport) -> fmt::Result {
    if job.partitions.is_empty() {
        return writeln!(f, "  topic {}: nothing of it was read yet", job.topic);
    }
    let headings = [
        Cell::word("topic"),
        Cell::number("partition"),
        Cell::number("next offset"),
        Cell::number("end offset"),
        Cell::number("lag"),
        Cell::word("oldest unread"),
        Cell::word("until retention"),
        Cell::word("last commit"),
    ];
    let mut lines: Vec<Vec<Cell>> = vec![headings.map(|cell| cell.styled(HEADING)).into()];
    let mut worst: Vec<&PartitionReport> = job.partitions.iter().collect();
    worst.sort_by(|a, b| by_need(a, b));
    let shown = worst.iter().take(SHOWN);
    lines.extend(shown.map(|partition| line(report, job, partition)));
    write!(f, "{}", Columns(lines))?;
    if let Some(more @ 1..) = worst.len().checked_sub(SHOWN) {
        writeln!(
            f,
            "  and {more} more partitions, which need less; --output json has them all"
        )?;
    }
    let filling = job
        .partitions
        .iter()
        .filter(|partition| partition.backfill.is_some());
    if let Some(partitions @ 1..) = Some(filling.count()) {
        writeln!(
            f,
            "  history: {} offsets of {partitions} of {} partitions are still to be filled behind what is new",
            job.backfill_left(),
            job.partitions.len()
        )?;
    }
    match &job.retention_error {
        Some(error) => writeln!(
            f,
            "  {CLOSE}retention of {} is unknown{CLOSE:#}: {error}",
            job.topic
        ),
        None => Ok(()),
    }
}

/// Who needs somebody first: what stands still, what is about to be lost, what is furthest behind.
fn by_need(a: &PartitionReport, b: &PartitionReport) -> Ordering {
    let left = |partition: &PartitionReport| partition.seconds_to_retention.unwrap_or(f64::INFINITY);
    b.halted
        .cmp(&a.halted)
        .then(left(a).total_cmp(&left(b)))
        .then(b.lag_records.cmp(&a.lag_records))
        .then(a.partition.cmp(&b.partition))
}

fn line(report: &Report, job: &JobReport, partition: &PartitionReport) -> Vec<Cell> {
    let unknown = || "?".to_owned();
    let topic = match partition.halted {
        true => Cell::word(&job.topic).styled(BAD),
        false => Cell::word(&job.topic),
    };
    let oldest = match (partition.lag_records, partition.lag_seconds) {
        (Some(0), _) => "-".to_owned(),
        _ if partition.to_retention == ToRetention::Overtaken => "gone".to_owned(),
        (_, Some(seconds)) => about(seconds),
        (_, None) => unknown(),
    };
    let commit = match &partition.last_commit {
        Some(commit) => format!("{} ago", about((report.made_at - commit.at) as f64 / 1000.0)),
        None => unknown(),
    };
    vec![
        topic,
        Cell::number(partition.partition),
        Cell::number(partition.next_offset),
        Cell::number(partition.end_offset.map_or_else(unknown, |end| end.to_string())),
        Cell::number(partition.lag_records.map_or_else(unknown, |lag| lag.to_string())),
        Cell::word(oldest),
        until_retention(partition),
        Cell::word(commit),
    ]
}

fn until_retention(partition: &PartitionReport) -> Cell {
    let left = partition.seconds_to_retention.unwrap_or(0.0);
    let style = match left {
        left if left <= 0.0 => BAD,
        left if left < SOON => CLOSE,
        _ => Style::new(),
    };
    match partition.to_retention {
        ToRetention::CaughtUp => Cell::word("-"),
        ToRetention::Overtaken => Cell::word("overtaken").styled(BAD),
        ToRetention::ByTime | ToRetention::ByTimeOrSize if left <= 0.0 => Cell::word("overdue").styled(BAD),
        ToRetention::ByTime => Cell::word(about(left)).styled(style),
        ToRetention::ByTimeOrSize => Cell::word(format!("{} at most", about(left))).styled(style),
        ToRetention::BySize => Cell::word("by size: unknown"),
        ToRetention::Never => Cell::word("never"),
        ToRetention::Unknown => Cell::word("?"),
    }
}

/// In the largest unit that leaves at least two of it.
pub fn about(seconds: f64) -> String {
    let units = [(86_400.0, "days"), (3600.0, "h"), (60.0, "min")];
    let unit = units.iter().find(|(unit, _)| seconds >= 2.0 * unit);
    match unit {
        Some((unit, name)) => format!("{:.0} {name}", (seconds / unit).floor()),
        None => format!("{:.0} s", seconds.max(0.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32, lag: u64, left: Option<f64>) -> PartitionReport {
        PartitionReport {
            partition: number,
            held: Vec::new(),
            next_offset: 0,
            log_start: Some(0),
            end_offset: Some(lag as i64),
            lag_records: Some(lag),
            lag_seconds: Some(0.0),
            seconds_to_retention: left,
            to_retention: left.map_or(ToRetention::CaughtUp, |_| ToRetention::ByTime),
            halted: false,
            backfill: None,
            last_commit: None,
            error: None,
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let halted = PartitionReport {
            halted: true,
            ..partition(4, 0, None)
        };
        let mut all = [
            partition(0, 5, None),
            partition(1, 90, None),
            partition(2, 5, Some(80.0)),
            partition(3, 5, Some(-2.0)),
            halted,
        ];
        all.sort_by(by_need);
        assert_eq!(all.map(|partition| partition.partition), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let told = [0.4, 119.0, 120.0, 7_199.0, 7_200.0, 172_800.0].map(about);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }
}
