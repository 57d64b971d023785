//! The end of the demo: what went in and what came out, by which snapshots, what the tables answer, and how to open
//! them.

use console::style;
use indicatif::HumanCount;
use tabletopic_offsets::Kind;

use super::answers;
use super::folder::Folder;
use super::open_it;
use super::screen::{heading, say};
use super::snapshots::{self, Held, Snapshot, Watch};
use super::traffic::{ORDERS, Sent};
use crate::config::Config;
use crate::exit::Exit;

/// Prints it.
///
/// # Errors
/// Those of reading the tables.
pub async fn tell(watch: &Watch, config: &Config, folder: &Folder, sent: &Sent) -> anyhow::Result<Exit> {
    let Some(table) = watch.table().await? else {
        say("It was ended before the table was made: nothing is left to see.");
        return Ok(Exit::Done);
    };
    let held = Held::by(&table)?;
    if sent.orders < ORDERS {
        say(&format!(
            "\nEnded early, after {} of {} orders. Those that were not read went with the broker.",
            HumanCount(sent.orders),
            HumanCount(ORDERS)
        ));
    }
    let exit = balance(&held, sent);
    if held.counts.rows > 0 {
        list(&snapshots::of(&table.metadata)?);
        answers::tell(config).await?;
        open_it::tell(folder, &table)?;
    }
    Ok(exit)
}

/// What went in, and what came out of it.
fn balance(held: &Held, sent: &Sent) -> Exit {
    say(&heading(
        "Exactly once",
        "every offset is one row or one dead letter",
    ));
    say(&format!(
        "  {} orders were sent, {} of them late and {} malformed.",
        HumanCount(sent.orders),
        HumanCount(sent.late),
        HumanCount(sent.malformed)
    ));
    say(&format!(
        "  The table accounts for {} offsets: {} rows and {} dead letters.",
        HumanCount(held.offsets()),
        HumanCount(held.counts.rows),
        HumanCount(held.counts.dead_letters)
    ));
    if held.records() == held.offsets() {
        return Exit::Done;
    }
    say(&format!(
        "  {}",
        style("That does not add up: please report it.").red().bold()
    ));
    Exit::Failed
}

fn list(snapshots: &[Snapshot]) {
    say(&heading(
        "Snapshots",
        "each was committed with the offsets that it holds",
    ));
    say(&format!(
        "  {}",
        style(format!(
            "{:19} {:>6} {:>5}  {}",
            "snapshot", "rows", "aside", "partition:[offsets)"
        ))
        .dim()
    ));
    for snapshot in snapshots {
        let offsets = match snapshot.kind {
            Kind::Append => snapshots::ranges(snapshot),
            Kind::Anchor => "each partition begins at 0".to_owned(),
            Kind::Schema => format!(
                "column `{}`, from {}",
                snapshot.new_columns.join("`, `"),
                snapshot.reason
            ),
            other => other.name().to_owned(),
        };
        say(&format!(
            "  {:19} {:>6} {:>5}  {offsets}",
            snapshot.id,
            HumanCount(snapshot.counts.rows),
            snapshot.counts.dead_letters,
        ));
    }
}
