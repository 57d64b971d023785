//! The topic partitions of a job, one a row.

use std::cmp::Reverse;

use maud::{Markup, html};
use tabletopic_ingest::observe::{JobReport, PartitionReport, Report, ToRetention};

use super::words::{ago, count, counted, exact, span};

/// Rows; beyond that the worst are shown.
const SHOWN: usize = 200;
/// Partitions that are shown without a click.
const FEW: usize = 8;
/// Ranges of one partition. More than one is rare.
const RANGES: usize = 3;

pub fn details(job: &JobReport, report: &Report, open: bool) -> Markup {
    if job.partitions.is_empty() {
        return html! {};
    }
    let shown = worst(&job.partitions);
    html! {
        details open[open && job.partitions.len() <= FEW] {
            summary { (summary(job)) }
            div.wide {
                table.partitions {
                    thead {
                        tr {
                            th { "Partition" }
                            th title="Offsets [start, end) that the table accounts for" { "Held" }
                            th.number title="End of the topic partition" { "End" }
                            th.number title="Records that the topic has and the table does not" { "Lag" }
                            th.number title="Age of the oldest record that is not in the table" { "Oldest unread" }
                            th.number title="Until the broker may delete the oldest unread record" { "To retention" }
                            th.number { "Last commit" }
                        }
                    }
                    tbody {
                        @for partition in &shown { (row(partition, report)) }
                    }
                }
            }
            @if shown.len() < job.partitions.len() {
                p.more { "The " (shown.len()) " with the most lag. All are in " a href="status.json" { "status.json" } "." }
            }
        }
    }
}

fn summary(job: &JobReport) -> String {
    let unread = job
        .partitions
        .iter()
        .filter(|partition| partition.lag_records.is_some_and(|lag| lag > 0))
        .count();
    let halted = job.partitions.iter().filter(|partition| partition.halted).count();
    let mut words = counted(job.partitions.len(), "partition");
    if unread > 0 {
        words += &format!(", {} with unread records", count(unread as u64));
    }
    if halted > 0 {
        words += &format!(", {} halted", count(halted as u64));
    }
    words
}

/// By number, so that rows stay where they are.
fn worst(partitions: &[PartitionReport]) -> Vec<&PartitionReport> {
    let mut shown: Vec<&PartitionReport> = partitions.iter().collect();
    shown.sort_by_key(|partition| Reverse((partition.halted, partition.lag_records)));
    shown.truncate(SHOWN);
    shown.sort_by_key(|partition| partition.partition);
    shown
}

fn row(partition: &PartitionReport, report: &Report) -> Markup {
    html! {
        tr.act[partition.halted] {
            td { (partition.partition) @if partition.halted { " halted" } }
            td.offsets { (held(partition)) }
            td.number { @match partition.end_offset { Some(end) => (end), None => "–" } }
            td.number { @match partition.lag_records { Some(lag) => (exact(lag)), None => "–" } }
            td.number {
                @match (partition.lag_records, partition.lag_seconds) {
                    (Some(0), _) => "none",
                    (_, Some(seconds)) => (span(seconds)),
                    (_, None) => "–",
                }
            }
            td.number { (to_retention(partition)) }
            td.number { @match &partition.last_commit { Some(commit) => (ago(report.made_at, commit.at)), None => "–" } }
        }
    }
}

fn held(partition: &PartitionReport) -> String {
    let ranges: Vec<String> = partition
        .held
        .iter()
        .take(RANGES)
        .map(|range| format!("[{}, {})", range.start, range.end))
        .collect();
    match partition.held.len() {
        0 => "nothing yet".to_owned(),
        all if all > RANGES => format!("{} and {} more", ranges.join(" "), all - RANGES),
        _ => ranges.join(" "),
    }
}

fn to_retention(partition: &PartitionReport) -> String {
    match (partition.to_retention, partition.seconds_to_retention) {
        (ToRetention::CaughtUp, _) => "nothing unread".to_owned(),
        (ToRetention::Overtaken, _) => "overtaken".to_owned(),
        (ToRetention::Never, _) => "kept for good".to_owned(),
        (ToRetention::BySize, None) => "by size".to_owned(),
        (_, Some(seconds)) => span(seconds),
        (_, None) => "–".to_owned(),
    }
}
