//! `tabletopic replay` and `tabletopic replays`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as Arguments;
use iceberg::TableIdent;
use tabletopic_clock::Millis;
use tabletopic_replay::{Named, Point};

use super::{Output, size};
use crate::config::Setting;
use crate::when::When;

pub const EXAMPLE: &str = "\
Examples:
  tabletopic replay --into ci_42                                        (all topics, from their beginnings to now)
  tabletopic replay shop.orders --into ci_42 --same-as shop.orders      (the offsets that the table holds)
  tabletopic replay shop.orders --into try --from 2h --set on_bad_record=dead-letter --ttl 1d
  tabletopic replay shop.orders --into try --from 3:120000 --to 3:180000 --drop-after
  tabletopic replay shop.orders --into try --history raw.orders         (what the topic no longer has, then the topic)
  tabletopic replay shop.orders --into ci_42 --from-file orders.jsonl   (a captured slice; no broker)
  tabletopic compare shop.orders ci_42.orders

Nothing of the configured tables is changed, no consumer group is joined, and no group's offsets move. A replay that was
interrupted goes on when the same command is given again; `tabletopic replays` shows and removes what is left behind.

Exit codes: 0 all is read; 1 failed; 2 configuration or usage, offsets that the topic does not have; 4 a part stands still;
5 interrupted, or something cannot be reached now: the same command goes on";

pub const REPLAYS_EXAMPLE: &str = "\
Examples:
  tabletopic replays
  tabletopic replays --drop ci_42 --yes
  tabletopic replays --drop-expired --yes

Only tables that a replay has made are removed, with all files below their locations.

Exit codes: 0 done; 1 failed; 2 configuration or usage, no replay in that namespace; 5 something cannot be reached now";

#[derive(Debug, Arguments)]
pub struct Replay {
    /// Replay only these tables, as the configuration names them
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,

    /// The namespace that the tables of the replay are made in: shop.orders becomes NAMESPACE.orders
    #[arg(long, value_name = "NAMESPACE")]
    pub into: String,

    /// Where to begin: earliest; a time such as 2026-01-31T00:00:00Z, or how long ago, such as 2h; PARTITION:OFFSET
    /// (TOPIC/PARTITION:OFFSET where there are several topics; may be given again); or TABLE or TABLE@SNAPSHOT, where that
    /// table stood
    #[arg(long, value_name = "POINT", default_value = "earliest")]
    pub from: Vec<Where>,

    /// Where to end, likewise; latest is the end of the topic as it is now
    #[arg(long, value_name = "POINT", default_value = "latest")]
    pub to: Vec<Where>,

    /// Read what this table holds: from where it began to where it stands
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["from", "to"])]
    pub same_as: Option<String>,

    /// Read this raw-history table first, and the topic from where it ends
    #[arg(long, value_name = "TABLE")]
    pub history: Option<String>,

    /// Read the raw-history table alone: no broker is needed
    #[arg(long, requires = "history")]
    pub without_topic: bool,

    /// Read a captured file in the place of the topic (see `capture`): no broker is needed, and no registry
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "same_as"])]
    pub from_file: Option<PathBuf>,

    /// Another mapping: columns in a .sql file, or the schema of the records in any other
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// Set a key of [[topic]] for this replay, such as on_bad_record=dead-letter; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Setting>,

    /// Read at most so many bytes of records a second, such as 20MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub read_rate: Option<u64>,

    /// Remove the tables once all is read, or nothing more can be: only whether it works was asked
    #[arg(long)]
    pub drop_after: bool,

    /// How long the tables are kept, such as 1d: `run` removes them afterwards, and so does `replays --drop-expired`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,

    /// Say what would be read into which tables, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

#[derive(Debug, Arguments)]
pub struct Replays {
    /// Remove the replays of this namespace, whole or not
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "drop_expired")]
    pub drop: Option<String>,

    /// Remove those whose time is over (see `replay --ttl`)
    #[arg(long)]
    pub drop_expired: bool,

    /// Say what would be removed, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// A point as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Where {
    /// The words.
    pub text: String,
    at: At,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Earliest,
    Latest,
    When(When),
    Offset(Named),
    Table(TableIdent, Option<i64>),
}

impl Where {
    /// One point of all that were given.
    ///
    /// # Errors
    /// Several that are not all offsets.
    pub fn point(all: &[Self], now: Millis) -> Result<Point, String> {
        if let [one] = all {
            return Ok(match &one.at {
                At::Earliest => Point::Earliest,
                At::Latest => Point::Latest,
                At::When(when) => Point::Time(when.at(now)),
                At::Offset(named) => Point::Offsets(vec![named.clone()]),
                At::Table(table, snapshot) => Point::Stood(table.clone(), *snapshot),
            });
        }
        let offsets = all.iter().map(|one| match &one.at {
            At::Offset(named) => Ok(named.clone()),
            _ => Err(format!(
                "`{}` can't stand beside another point; only offsets of several partitions can",
                one.text
            )),
        });
        offsets.collect::<Result<_, _>>().map(Point::Offsets)
    }
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = match text {
            "earliest" => At::Earliest,
            "latest" => At::Latest,
            _ => match (offset(text), text.parse(), table(text)) {
                (Some(named), ..) => At::Offset(named),
                (_, Ok(when), _) => At::When(when),
                (.., Some((table, snapshot))) => At::Table(table, snapshot),
                _ => {
                    let advice = "write earliest, latest, a time with its zone such as 2026-01-31T00:00:00Z, how long ago \
                                  such as 2h, PARTITION:OFFSET such as 3:120000, or a table such as shop.orders or \
                                  shop.orders@7316890471516221234";
                    return Err(advice.to_owned());
                }
            },
        };
        Ok(Self {
            text: text.to_owned(),
            at,
        })
    }
}

fn offset(text: &str) -> Option<Named> {
    let (place, offset) = text.rsplit_once(':')?;
    let (topic, partition): (Option<Arc<str>>, _) = match place.rsplit_once('/') {
        Some((topic, partition)) => (Some(topic.into()), partition),
        None => (None, place),
    };
    Some(Named {
        topic,
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

fn table(text: &str) -> Option<(TableIdent, Option<i64>)> {
    let (name, snapshot) = match text.rsplit_once('@') {
        Some((name, snapshot)) => (name, Some(snapshot.parse().ok()?)),
        None => (text, None),
    };
    let parts: Vec<&str> = name.split('.').collect();
    let named = parts.len() > 1 && parts.iter().all(|part| !part.is_empty());
    let table = named.then(|| TableIdent::from_strs(parts).ok()).flatten()?;
    Some((table, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(texts: &[&str]) -> Result<Point, String> {
        let all: Result<Vec<Where>, String> = texts.iter().map(|text| text.parse()).collect();
        Where::point(&all?, 10_000)
    }

    #[test]
    fn a_point_is_a_word_a_time_an_offset_or_a_table() {
        let named = |topic: Option<&str>, partition, offset| Named {
            topic: topic.map(Into::into),
            partition,
            offset,
        };
        let orders = || TableIdent::from_strs(["shop", "orders"]).unwrap();
        assert_eq!(point(&["earliest"]), Ok(Point::Earliest));
        assert_eq!(point(&["2s"]), Ok(Point::Time(8_000)));
        assert_eq!(point(&["1970-01-01T00:00:05Z"]), Ok(Point::Time(5_000)));
        assert_eq!(
            point(&["3:120", "shop.orders/4:7"]),
            Ok(Point::Offsets(vec![
                named(None, 3, 120),
                named(Some("shop.orders"), 4, 7)
            ]))
        );
        assert_eq!(point(&["shop.orders"]), Ok(Point::Stood(orders(), None)));
        assert_eq!(point(&["shop.orders@12"]), Ok(Point::Stood(orders(), Some(12))));
        assert!(point(&["yesterday"]).is_err());
        assert!(point(&["3:120", "latest"]).is_err());
    }
}
