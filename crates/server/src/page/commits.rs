//! The newest commits: when, what they added, and which offsets they cover.

use maud::{Markup, html};
use tabletopic_ingest::observe::{CommitRangeReport, CommitReport, Report};

use super::words::{ago, bytes, count, exact};

const SHOWN: usize = 20;
/// Ranges that are shown without a click, and with one.
const RANGES: usize = 2;
const RANGES_OPEN: usize = 200;

pub fn section(report: &Report) -> Markup {
    if report.commits.is_empty() {
        return html! {};
    }
    html! {
        section #commits {
            h2 { "Recent commits" }
            div.wide {
                table.commits {
                    thead {
                        tr {
                            th { "When" }
                            th { "Table" }
                            th.number { "Rows" }
                            th.number title="Records that could not become rows" { "Dead letters" }
                            th.number title="Data files" { "Files" }
                            th.number { "Size" }
                            th title="Topic/partition and offsets [start, end)" { "Offsets" }
                            th.number { "Snapshot" }
                        }
                    }
                    tbody {
                        @for commit in report.commits.iter().take(SHOWN) { (row(commit, report)) }
                    }
                }
            }
            @if report.commits.len() > SHOWN {
                p.more { "Older ones are in " a href="status.json" { "status.json" } " and in the ledger tables." }
            }
        }
    }
}

fn row(commit: &CommitReport, report: &Report) -> Markup {
    html! {
        tr id={ "snapshot-" (commit.snapshot_id) } {
            td { (ago(report.made_at, commit.at)) }
            td {
                (commit.table)
                @if commit.kind != "append" { " " span.kind { (commit.kind) } }
                @if !commit.reason.is_empty() { div.reason { (commit.actor) ": " (commit.reason) } }
            }
            td.number { (exact(commit.rows)) }
            td.number { @if commit.dead_letters > 0 { (exact(commit.dead_letters)) } }
            td.number { (count(commit.files)) }
            td.number { (bytes(commit.bytes)) }
            td.offsets { (ranges(&commit.ranges)) }
            td.number.snapshot { (commit.snapshot_id) }
        }
    }
}

fn ranges(ranges: &[CommitRangeReport]) -> Markup {
    let (first, rest) = ranges.split_at(ranges.len().min(RANGES));
    let (open, hidden) = rest.split_at(rest.len().min(RANGES_OPEN));
    html! {
        @for one in first { (range(one)) }
        @if !rest.is_empty() {
            details {
                summary { "and " (rest.len()) " more" }
                @for one in open { (range(one)) }
                @if !hidden.is_empty() { div { "and " (hidden.len()) " in status.json" } }
            }
        }
    }
}

fn range(range: &CommitRangeReport) -> Markup {
    html! {
        div { span.topic { (range.topic) "/" (range.partition) } " [" (range.start) ", " (range.end) ")" }
    }
}
