//! Dead letters for people.

use std::fmt;

use chrono::DateTime;
use tabletopic_clock::Millis;
use tabletopic_ingest::dead_letters::{Letter, Listed, Redriven, Staying, Tally, WholeLetter};
use tabletopic_query::output::table::harmless;

use crate::commands::columns::{Cell, Columns};

/// What was listed, under the table's name.
pub struct List<'a>(pub &'a str, pub &'a Listed);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(table, listed) = self;
        let sum = |of: fn(&Tally) -> u64| -> u64 { listed.reasons.values().map(of).sum() };
        let (letters, redriven) = (sum(|tally| tally.letters), sum(|tally| tally.redriven));
        writeln!(f, "{table}: {letters} dead letters, {redriven} of them redriven")?;
        if letters == 0 {
            return Ok(());
        }
        let mut lines = vec![vec![
            Cell::word("reason"),
            Cell::number("letters"),
            Cell::number("redriven"),
            Cell::word("newest record"),
        ]];
        lines.extend(listed.reasons.iter().map(|(reason, tally)| {
            vec![
                Cell::word(harmless(reason)),
                Cell::number(tally.letters),
                Cell::number(tally.redriven),
                Cell::word(time(tally.newest)),
            ]
        }));
        write!(f, "{}", Columns(lines))?;
        if listed.newest.is_empty() {
            return Ok(());
        }
        let mut lines = vec![vec![
            Cell::word("record"),
            Cell::word("time"),
            Cell::word("reason"),
            Cell::word("detail"),
        ]];
        lines.extend(listed.newest.iter().map(line));
        write!(f, "\n{}", Columns(lines))
    }
}

fn line(letter: &Letter) -> Vec<Cell> {
    let reason = match letter.redriven {
        true => format!("{} (redriven)", letter.reason),
        false => letter.reason.clone(),
    };
    let detail = match &letter.field {
        Some(field) => format!("{field}: {}", letter.detail),
        None => letter.detail.clone(),
    };
    vec![
        Cell::word(letter.address()),
        Cell::word(time(letter.timestamp)),
        Cell::word(harmless(&reason)),
        Cell::word(harmless(&detail).replace('\n', " ")),
    ]
}

fn time(at: Option<Millis>) -> String {
    let at = at.and_then(DateTime::from_timestamp_millis);
    at.map_or_else(
        || "no time".to_owned(),
        |at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}

/// A letter with its record.
pub struct Whole<'a>(pub &'a WholeLetter);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WholeLetter {
            letter,
            key,
            value,
            headers,
        } = self.0;
        let topic_id = letter.topic_id.as_deref().unwrap_or("unknown");
        writeln!(
            f,
            "{}  {}, topic id {topic_id}",
            letter.address(),
            time(letter.timestamp)
        )?;
        if letter.redriven {
            writeln!(f, "  it was redriven: the table has its row")?;
        }
        let field = letter.field.as_ref().map(|field| format!(" in field `{field}`"));
        let detail = format!(
            "{}{}: {}",
            letter.reason,
            field.unwrap_or_default(),
            letter.detail
        );
        writeln!(f, "  {}", harmless(&detail))?;
        bytes(f, "key", key.as_deref())?;
        for (name, value) in headers {
            bytes(f, &format!("header {}", harmless(name)), value.as_deref())?;
        }
        bytes(f, "value", value.as_deref())
    }
}

/// Text where it is UTF-8, else 16 bytes in each line.
fn bytes(f: &mut fmt::Formatter<'_>, what: &str, bytes: Option<&[u8]>) -> fmt::Result {
    let Some(bytes) = bytes else {
        return writeln!(f, "  {what}: none");
    };
    writeln!(f, "  {what}, {} bytes:", bytes.len())?;
    match std::str::from_utf8(bytes) {
        Ok(text) => harmless(text)
            .lines()
            .try_for_each(|line| writeln!(f, "    {line}")),
        Err(_) => bytes
            .chunks(16)
            .zip((0..).step_by(16))
            .try_for_each(|(chunk, at)| {
                let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(f, "    {at:08x}  {}", hex.join(" "))
            }),
    }
}

/// What a redrive did, or would do.
pub struct Redrive<'a>(pub &'a Redriven);

impl fmt::Display for Redrive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Redriven {
            selected,
            rows,
            already,
            nulled_fields,
            staying,
            schema_changes,
            snapshots,
        } = self.0;
        writeln!(f, "  {rows} of {selected} dead letters become rows")?;
        if *already > 0 {
            writeln!(f, "  {already} were rows already")?;
        }
        if *nulled_fields > 0 {
            writeln!(f, "  {nulled_fields} fields that do not fit become null in them")?;
        }
        for cause in schema_changes {
            writeln!(
                f,
                "  the table gets a column, or a wider one, for {}",
                harmless(cause)
            )?;
        }
        for Staying {
            reason,
            field,
            letters,
            first,
            detail,
        } in staying
        {
            let field = field.as_ref().map(|field| format!(" in field `{field}`"));
            let why = format!("{reason}{}: {detail}", field.unwrap_or_default());
            writeln!(
                f,
                "  stay letters: {letters}, such as {first}: {}",
                harmless(&why)
            )?;
        }
        if !snapshots.is_empty() {
            let ids: Vec<String> = snapshots.iter().map(i64::to_string).collect();
            writeln!(f, "  snapshots: {}", ids.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_shown_whole_and_harmless() {
        let whole = WholeLetter {
            letter: Letter {
                job: "orders".to_owned(),
                topic: "orders".to_owned(),
                topic_id: Some("abc".to_owned()),
                partition: 3,
                offset: 1042,
                timestamp: Some(0),
                reason: "wrong_type".to_owned(),
                field: Some("amount".to_owned()),
                detail: "a string, not a number".to_owned(),
                redriven: false,
            },
            key: None,
            value: Some(b"{\"amount\": \"\x1b[2J\"}\nmore".to_vec()),
            headers: vec![(
                "trace".to_owned(),
                Some((0..=17).map(|byte| byte | 0x80).collect()),
            )],
        };
        assert_eq!(
            Whole(&whole).to_string(),
            "orders/3@1042  1970-01-01T00:00:00.000Z, topic id abc\n  \
             wrong_type in field `amount`: a string, not a number\n  \
             key: none\n  \
             header trace, 18 bytes:\n    \
             00000000  80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f\n    \
             00000010  90 91\n  \
             value, 23 bytes:\n    \
             {\"amount\": \"\\u{1b}[2J\"}\n    more\n"
        );
    }
}
