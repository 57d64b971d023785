//! What stands still: where, why, and the command that answers it.

use maud::{Markup, html};
use tabletopic_ingest::observe::{HaltReport, Report};

use super::words::{ago, count};

/// More than a person answers one by one.
const SHOWN: usize = 50;

pub fn section(report: &Report) -> Markup {
    if report.halts.is_empty() {
        return html! {};
    }
    html! {
        section #halts {
            @for halt in report.halts.iter().take(SHOWN) {
                (one(halt, report))
            }
            @if report.halts.len() > SHOWN {
                p.more { "And " (count((report.halts.len() - SHOWN) as u64)) " more in " a href="status.json" { "status.json" } "." }
            }
        }
    }
}

fn one(halt: &HaltReport, report: &Report) -> Markup {
    html! {
        article.halt {
            h2 {
                (place(halt))
                @if let Some(since) = halt.since_at { span.since { "halted " (ago(report.made_at, since)) } }
            }
            p.message { (halt.message) }
            @match halt.commands.as_slice() {
                [] => p.answer { "No command answers this: the message says what does." },
                [_] => p.answer { "Once you have looked, answer it with" },
                _ => p.answer { "Once you have looked, answer it with one of" },
            }
            @for command in &halt.commands {
                div.command { code { (command) } button type="button" title="Copy this command" { "Copy" } }
            }
        }
    }
}

/// What stands still: as little as the cause allows.
fn place(halt: &HaltReport) -> String {
    let topic = halt.topic.as_deref().or(halt.job.as_deref());
    match (topic, halt.partition, halt.table.as_deref()) {
        (Some(topic), Some(partition), _) if halt.scope == "backfill" => {
            format!("Topic {topic}, partition {partition}, backfill")
        }
        (Some(topic), Some(partition), _) => format!("Topic {topic}, partition {partition}"),
        (Some(topic), None, _) => format!("Topic {topic}"),
        (None, _, Some(table)) => format!("Table {table}"),
        (None, _, None) => format!("A {}", halt.scope),
    }
}
