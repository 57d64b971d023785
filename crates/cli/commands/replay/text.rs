//! A replay in words.

use std::fmt::Write;

use tabletopic_replay::{Discarded, Found, Plan};

use crate::commands::columns::{Cell, Columns};
use crate::commands::replays;
use crate::exit::Exit;

/// Partitions of a topic that a person is shown.
const SHOWN: usize = 20;

/// What will be read.
pub fn of_plan(plan: &Plan) -> String {
    let mut text = String::new();
    for planned in &plan.jobs {
        let offsets: u64 = planned.ranges.values().map(|range| range.len()).sum();
        let _ = writeln!(
            text,
            "{}topic {} into {}: {offsets} offsets of {} partitions",
            if planned.begun { "goes on: " } else { "" },
            planned.job.topic,
            planned.job.table,
            planned.ranges.len()
        );
        let mut lines = vec![["partition", "from", "to", "offsets"].map(Cell::word).to_vec()];
        for (partition, range) in planned.ranges.iter().take(SHOWN) {
            lines.push(vec![
                Cell::number(partition),
                Cell::number(range.start),
                Cell::number(range.end),
                Cell::number(range.len()),
            ]);
        }
        let _ = write!(text, "{}", Columns(lines));
        match planned.ranges.len().saturating_sub(SHOWN) {
            0 => {}
            more => {
                let _ = writeln!(text, "and {more} more partitions");
            }
        }
        for (partition, lost) in planned.lost.iter().take(SHOWN) {
            let _ = writeln!(text, "the history has lost {lost} of partition {partition}");
        }
        text.push('\n');
    }
    text
}

/// What was read, and what comes next.
pub fn of_done(
    plan: &Plan,
    found: &[Found],
    halts: &[String],
    exit: Exit,
    dropped: Option<Discarded>,
) -> String {
    let mut text = replays::table(found, None);
    for halt in halts {
        let _ = writeln!(text, "\nhalted: {halt}");
    }
    let into = plan.into.join(".");
    match (dropped, exit) {
        (Some(dropped), _) => {
            let _ = writeln!(text, "\nremoved again, with {} files", dropped.files);
        }
        (None, Exit::Done) => {
            text.push('\n');
            for one in found {
                let _ = writeln!(text, "tabletopic compare {} {}", one.note.of, one.table);
            }
            let _ = writeln!(text, "tabletopic replays --drop {into}");
        }
        (None, Exit::Later) => {
            let _ = writeln!(
                text,
                "\nnot all is read: the same command goes on, `tabletopic replays --drop {into}` gives it up"
            );
        }
        (None, Exit::Failed) => {
            let _ = writeln!(
                text,
                "\nthe topic no longer had all of these offsets when they were read; `tabletopic replays --drop {into}`, and \
                 begin with --from earliest"
            );
        }
        (None, _) => {
            let _ = writeln!(
                text,
                "\na part stands still, and the configured tables know nothing of it. Correct the cause, and give the same \
                 command again; or `tabletopic replays --drop {into}`, and replay otherwise, such as with \
                 --set on_bad_record=dead-letter"
            );
        }
    }
    text
}
