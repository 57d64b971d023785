//! `tabletopic rollback`.

use std::str::FromStr;

use clap::Args as Arguments;
use tabletopic_clock::Millis;
use tabletopic_ingest::resolve::rollback::To;

use super::Output;
use crate::when::When;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic rollback shop.orders --to 2h --dry-run         (says what would be read again, and whether topics have it)
  tabletopic rollback shop.orders --to 2026-01-31T00:00:00Z --reason 'prices were wrong, see ticket 42'
  tabletopic rollback shop.orders --to 3:120000             (before offset 120000 of partition 3)
  tabletopic rollback shop.orders --to 7316890471516221234

`run` may go on meanwhile: it reads again what came after by itself. Stop it, and change the configuration, if it should
read otherwise. It is one commit: readers see the table before it or after it.

Exit codes: 0 done; 1 refused or failed; 2 configuration or usage; 4 the table is halted (see `tabletopic resolve`);
5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Rollback {
    /// The table, as the configuration names it
    pub table: String,

    /// A snapshot's id; a time, such as 2026-01-31T00:00:00Z, or how long ago, such as 2h; or PARTITION:OFFSET, the
    /// newest snapshot that holds nothing of the partition from there on (TOPIC/PARTITION:OFFSET where several feed it)
    #[arg(long, value_name = "SNAPSHOT|TIME|OFFSET")]
    pub to: Target,

    /// Go back also where topics no longer have some of the records, and write these offsets down as lost
    #[arg(long)]
    pub declare_lost: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// Why, in your own words: it stands in the ledger for good
    #[arg(long, default_value = "")]
    pub reason: String,

    /// How to print what is done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Where to go back to, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Known(To),
    When(When),
}

impl Target {
    pub fn at(&self, now: Millis) -> To {
        match self {
            Self::Known(to) => to.clone(),
            Self::When(when) => To::Time(when.at(now)),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Known(To::Snapshot(id)));
        }
        if let Some(to) = offset(text) {
            return Ok(Self::Known(to));
        }
        text.parse().map(Self::When).map_err(|when| {
            format!("write a snapshot's id, PARTITION:OFFSET such as 3:120000, or a time ({when})")
        })
    }
}

fn offset(text: &str) -> Option<To> {
    let (place, offset) = text.rsplit_once(':')?;
    let (topic, partition) = match place.rsplit_once('/') {
        Some((topic, partition)) => (Some(topic.into()), partition),
        None => (None, place),
    };
    Some(To::Offset {
        topic,
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_snapshot_an_offset_or_a_time() {
        let to = |text: &str| text.parse::<Target>().map(|target| target.at(10_000));
        assert_eq!(
            to("7316890471516221234"),
            Ok(To::Snapshot(7_316_890_471_516_221_234))
        );
        let offset = |topic: Option<&str>| To::Offset {
            topic: topic.map(Into::into),
            partition: 3,
            offset: 120_000,
        };
        assert_eq!(to("3:120000"), Ok(offset(None)));
        assert_eq!(to("shop/orders/3:120000"), Ok(offset(Some("shop/orders"))));
        assert_eq!(to("1970-01-01T00:00:05Z"), Ok(To::Time(5_000)));
        assert_eq!(to("2s"), Ok(To::Time(8_000)));
        assert!(to("yesterday").is_err());
    }
}
