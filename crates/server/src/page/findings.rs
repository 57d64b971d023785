//! Tables in which verification beside the ingest has found something wrong.

use maud::{Markup, html};
use tabletopic_ingest::observe::{Report, TableReport, VerifiedReport};

use super::words::{ago, count};

/// More than a person looks at one by one.
const SHOWN: usize = 50;

/// Those tables, with what was said of them.
pub fn wrong(report: &Report) -> Vec<(&TableReport, &VerifiedReport)> {
    let verified = report.tables.iter();
    let verified = verified.filter_map(|table| Some((table, table.verified.as_ref()?)));
    verified.filter(|(_, verified)| verified.findings > 0).collect()
}

pub fn section(report: &Report) -> Markup {
    let wrong = wrong(report);
    if wrong.is_empty() {
        return html! {};
    }
    html! {
        section #findings {
            @for (table, verified) in wrong.iter().take(SHOWN) {
                article.halt {
                    h2 { "Table " (table.table) span.since { "verified " (ago(report.made_at, verified.at)) } }
                    p.message { (verified.says) ". The log has each finding; nothing was halted." }
                    p.answer { "All of it, as it is now:" }
                    div.command {
                        code { "tabletopic verify " (table.table) }
                        button type="button" title="Copy this command" { "Copy" }
                    }
                }
            }
            @if wrong.len() > SHOWN {
                p.more { "And " (count((wrong.len() - SHOWN) as u64)) " more in " a href="status.json" { "status.json" } "." }
            }
        }
    }
}
