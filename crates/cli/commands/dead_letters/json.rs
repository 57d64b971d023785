//! Dead letters for machines.

use serde_json::{Value, json};
use tabletopic_ingest::dead_letters::{Listed, WholeLetter};

/// What was listed, under the table's name.
pub fn list(table: &str, listed: &Listed) -> serde_json::Result<Value> {
    Ok(json!({
        "table": table,
        "letters": listed.reasons.values().map(|tally| tally.letters).sum::<u64>(),
        "redriven": listed.reasons.values().map(|tally| tally.redriven).sum::<u64>(),
        "reasons": serde_json::to_value(&listed.reasons)?,
        "newest": serde_json::to_value(&listed.newest)?,
    }))
}

/// Letters with their records: one, but for topics that were created again.
pub fn whole(letters: &[WholeLetter]) -> serde_json::Result<Value> {
    letters.iter().map(of).collect()
}

fn of(whole: &WholeLetter) -> serde_json::Result<Value> {
    let mut letter = serde_json::to_value(&whole.letter)?;
    let headers: Vec<Value> = whole
        .headers
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": bytes(value.as_deref()) }))
        .collect();
    letter["key"] = bytes(whole.key.as_deref());
    letter["value"] = bytes(whole.value.as_deref());
    letter["headers"] = Value::Array(headers);
    Ok(letter)
}

/// `{"text": …}` where it is UTF-8, else `{"hex": …}`.
fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!({ "text": text }),
        Some((Err(_), bytes)) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_where_they_can_be() {
        assert_eq!(bytes(Some("é\n".as_bytes())), json!({"text": "é\n"}));
        assert_eq!(bytes(Some(b"\xff\x00a")), json!({"hex": "ff0061"}));
        assert_eq!(bytes(None), Value::Null);
    }
}
