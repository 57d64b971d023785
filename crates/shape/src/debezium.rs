//! Debezium's change events: which parts of the envelope are read, and which columns they make.

use std::borrow::Cow;

use iceberg::spec::PrimitiveType;
use jiter::Jiter;
use tabletopic_decode::{Format, Ignored};
use tabletopic_records::Record;

/// The row after and before the change. `after` comes first: it is the one that most events have.
pub const IMAGES: [&str; 2] = ["after", "before"];

/// What the change was: `c`, `r` (of a snapshot), `u`, `d` or `t`.
pub const OP: &str = "op";

/// When the connector saw it, in milliseconds.
pub const TS: &str = "ts_ms";

/// Where it came from.
pub const SOURCE: &str = "source";

/// Where in the database's log a change stands, by the names of the connectors; each has some of them.
const POSITION: [&str; 11] = [
    "lsn",
    "file",
    "pos",
    "row",
    "gtid",
    "scn",
    "commit_scn",
    "change_lsn",
    "commit_lsn",
    "event_serial_no",
    "ord",
];

/// A column that an envelope makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Of the table.
    pub name: &'static str,
    /// Within the envelope.
    pub path: &'static [&'static str],
    pub kind: Kind,
}

/// What a part of the envelope becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, whatever it was: positions are numbers to one connector and text to another.
    Text,
    /// Milliseconds that become a time.
    Time,
}

impl Kind {
    pub fn primitive(self) -> PrimitiveType {
        match self {
            Self::Text => PrimitiveType::String,
            Self::Time => PrimitiveType::Timestamptz,
        }
    }
}

/// All of them, in the order of the table. Those of which no event has said anything are not made.
pub const MADE: [Made; 14] = [
    text("_op", &["op"]),
    time("_ts_ms", &["ts_ms"]),
    time("_source_ts_ms", &["source", "ts_ms"]),
    text("_source_lsn", &["source", "lsn"]),
    text("_source_file", &["source", "file"]),
    text("_source_pos", &["source", "pos"]),
    text("_source_row", &["source", "row"]),
    text("_source_gtid", &["source", "gtid"]),
    text("_source_scn", &["source", "scn"]),
    text("_source_commit_scn", &["source", "commit_scn"]),
    text("_source_change_lsn", &["source", "change_lsn"]),
    text("_source_commit_lsn", &["source", "commit_lsn"]),
    text("_source_event_serial_no", &["source", "event_serial_no"]),
    text("_source_ord", &["source", "ord"]),
];

const fn text(name: &'static str, path: &'static [&'static str]) -> Made {
    let kind = Kind::Text;
    Made { name, path, kind }
}

const fn time(name: &'static str, path: &'static [&'static str]) -> Made {
    let kind = Kind::Time;
    Made { name, path, kind }
}

/// The column of this name, if envelopes make it.
pub fn made(name: &str) -> Option<Made> {
    MADE.into_iter().find(|made| made.name == name)
}

/// Whether a column of the record may not be called so.
pub fn makes(name: &str) -> bool {
    MADE.iter().any(|made| made.name.eq_ignore_ascii_case(name))
}

/// Whether a field of `source` is read.
pub fn is_read(field: &str) -> bool {
    field == TS || POSITION.contains(&field)
}

/// The fields without a column: `fields`, those at `taken`, and all of the envelope but what is read.
pub fn ignored(fields: &[Vec<String>], taken: &[Vec<String>]) -> Ignored {
    let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let mut open: Vec<_> = IMAGES.iter().map(|image| path(&[image])).collect();
    open.extend([path(&[OP]), path(&[TS]), path(&[SOURCE]), path(&[SOURCE, TS])]);
    open.extend(POSITION.iter().map(|field| path(&[SOURCE, field])));
    Ignored::new(fields, taken, &[Vec::new(), path(&[SOURCE])], &open)
}

/// The events without the wrapper that Kafka Connect's JSON converter may put around them, `{"schema": …, "payload": …}`.
pub fn events<'a, 'r>(format: Format, records: &'a [Record<'r>]) -> Cow<'a, [Record<'r>]> {
    if format != Format::Json || !records.iter().any(|record| payload(record).is_some()) {
        return Cow::Borrowed(records);
    }
    let event = |record: &Record<'r>| match payload(record) {
        // A `null` inside is what a tombstone is outside.
        Some(b"null") => Record {
            value: None,
            ..*record
        },
        Some(event) => Record {
            value: Some(event),
            ..*record
        },
        None => *record,
    };
    Cow::Owned(records.iter().map(event).collect())
}

/// What stands under `payload`, if a record begins with a `schema`, or has nothing else.
fn payload<'r>(record: &Record<'r>) -> Option<&'r [u8]> {
    let value = record.value?;
    let mut json = Jiter::new(value);
    let mut key = json.next_object().ok()??.to_owned();
    if key != "schema" && key != "payload" {
        return None;
    }
    loop {
        // Behind the colon, which reading the key has passed; spaces may follow.
        let from = json.current_index();
        json.next_skip().ok()?;
        if key == "payload" {
            return Some(value.get(from..json.current_index())?.trim_ascii());
        }
        key = json.next_key().ok()??.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_records::NoHeaders;

    use super::*;

    fn unwrapped(value: &str) -> Option<String> {
        let record = Record {
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            value: Some(value.as_bytes()),
            headers: &NoHeaders,
        };
        let found = events(Format::Json, &[record])[0].value;
        found.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn a_wrapper_is_taken_off_and_everything_else_stays() {
        let event = r#"{"before": null, "after": {"id": 1}, "op": "c"}"#;
        let wrapped = format!(r#"{{"schema": {{"type": "struct"}}, "payload": {event} }}"#);
        assert_eq!(unwrapped(&wrapped).as_deref(), Some(event));
        assert_eq!(
            unwrapped(&format!(r#"{{"payload":{event}}}"#)).as_deref(),
            Some(event)
        );
        assert_eq!(unwrapped(event).as_deref(), Some(event));
        assert_eq!(unwrapped(r#"{"schema": null, "payload": null}"#), None);
        for broken in ["{", "", "[]", r#"{"schema": {"#, r#"{"schema": 1}"#] {
            assert_eq!(unwrapped(broken).as_deref(), Some(broken));
        }
    }
}
