//! A verdict for a person: a line for each check, what was found, and one sentence.

use std::fmt;

use anstyle::{AnsiColor, Style};
use chrono::DateTime;
use tabletopic_audit::verify::{Check, Conclusion, Outcome, Verdict};

use crate::commands::columns::{Cell, Columns};

/// See the module.
pub struct Shown<'a>(pub &'a Verdict);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.0;
        match &verdict.judged {
            Some(judged) => {
                let time = DateTime::from_timestamp_millis(judged.time);
                let time = time.map_or_else(String::new, |time| time.format(" of %F %T UTC").to_string());
                write!(
                    f,
                    "{}: snapshot {} (sequence number {}){time}",
                    verdict.table, judged.snapshot_id, judged.sequence_number
                )?;
            }
            None => write!(f, "{}: no snapshot", verdict.table)?,
        }
        match verdict.since {
            Some(since) => writeln!(f, ", what is younger than snapshot {since}")?,
            None => writeln!(f)?,
        }
        if verdict.started_again > 0 {
            writeln!(
                f,
                "started again {} times, because the snapshot that was read had expired",
                verdict.started_again
            )?;
        }
        let mut lines = vec![["check", "verdict", "rests on", ""].map(Cell::word).to_vec()];
        lines.extend(verdict.checks.iter().map(line));
        write!(f, "\n{}", Columns(lines))?;
        for check in verdict.checks.iter().filter(|check| !check.findings.is_empty()) {
            findings(f, check)?;
        }
        let style = match verdict.conclusion {
            Conclusion::Proven => Style::new(),
            Conclusion::Differs | Conclusion::Halted => AnsiColor::Red.on_default(),
        };
        writeln!(f, "\n{style}{}.{style:#}", verdict.says)
    }
}

fn line(check: &Check) -> Vec<Cell> {
    vec![
        Cell::word(check.name.as_str()),
        Cell::word(check.outcome.as_str()).styled(style(check.outcome)),
        Cell::word(check.rests_on.as_str()),
        Cell::word(check.says.as_str()),
    ]
}

fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Ok => AnsiColor::Green.on_default(),
        Outcome::NotChecked | Outcome::Note => AnsiColor::Yellow.on_default(),
        Outcome::Failed => AnsiColor::Red.on_default(),
    }
}

fn findings(f: &mut fmt::Formatter<'_>, check: &Check) -> fmt::Result {
    writeln!(f, "\n{}:", check.name.as_str())?;
    for finding in &check.findings {
        let style = style(finding.outcome);
        writeln!(f, "  {style}{}{style:#}: {}", finding.kind, finding.says)?;
    }
    for (kind, counted) in &check.counted {
        let told = check
            .findings
            .iter()
            .filter(|finding| finding.kind == *kind)
            .count() as u64;
        if *counted > told {
            writeln!(f, "  {kind}: {counted} in all")?;
        }
    }
    Ok(())
}
