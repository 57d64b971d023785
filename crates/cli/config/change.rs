//! What a command line says in the place of the file: keys of `[[topic]]`, for those topics that it is about.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reference::TOPIC;

/// `KEY=VALUE`, the key dotted, the value in TOML; what is not TOML is a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    key: Vec<String>,
    value: String,
}

impl Setting {
    pub fn new(key: &str, value: impl Into<String>) -> Self {
        Self {
            key: key.split('.').map(str::to_owned).collect(),
            value: value.into(),
        }
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice =
            || "write a key of [[topic]] and its value, such as on_bad_record=dead-letter".to_owned();
        let (key, value) = text.split_once('=').ok_or_else(advice)?;
        let setting = Self::new(key.trim(), value.trim());
        match setting.key.iter().any(String::is_empty) {
            true => Err(advice()),
            false => Ok(setting),
        }
    }
}

impl Setting {
    /// Dotted.
    pub fn key(&self) -> String {
        self.key.join(".")
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key.join("."), self.value)
    }
}

/// Settings, and the tables whose topics they change; all of them if none is named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'c> {
    pub settings: &'c [Setting],
    pub tables: &'c [String],
}

impl<'c> Changes<'c> {
    pub(super) fn apply(&self, document: &mut DeTable<'c>) {
        if self.settings.is_empty() {
            return;
        }
        let Some(DeValue::Array(topics)) = document.get_mut("topic").map(Spanned::get_mut) else {
            return;
        };
        for topic in topics.iter_mut() {
            let place = topic.span();
            let DeValue::Table(topic) = topic.get_mut() else {
                continue;
            };
            if self.is_about(topic) {
                for Setting { key, value } in self.settings {
                    set(topic, key, value, &place);
                }
            }
        }
    }

    fn is_about(&self, topic: &DeTable<'_>) -> bool {
        let table = topic.get("table").map(Spanned::get_ref);
        match table {
            // Which tables a pattern makes is not known yet.
            Some(DeValue::String(table)) if !table.contains(TOPIC) => {
                self.tables.is_empty() || self.tables.iter().any(|named| *named == **table)
            }
            _ => true,
        }
    }
}

/// Everything that is set has the topic's place: it stands nowhere else in the file.
fn set<'c>(table: &mut DeTable<'c>, key: &'c [String], value: &'c str, place: &Range<usize>) {
    let Some((first, rest)) = key.split_first() else {
        return;
    };
    let name = Spanned::new(place.clone(), Cow::Borrowed(first.as_str()));
    if rest.is_empty() {
        table.remove(first.as_str());
        table.insert(name, Spanned::new(place.clone(), parsed(value, place)));
        return;
    }
    let inner = table
        .entry(name)
        .or_insert_with(|| Spanned::new(place.clone(), DeValue::Table(DeTable::new())));
    if !matches!(inner.get_ref(), DeValue::Table(_)) {
        *inner = Spanned::new(place.clone(), DeValue::Table(DeTable::new()));
    }
    if let DeValue::Table(inner) = inner.get_mut() {
        set(inner, rest, value, place);
    }
}

fn parsed<'c>(value: &'c str, place: &Range<usize>) -> DeValue<'c> {
    match DeValue::parse(value) {
        Ok(parsed) => {
            let mut parsed = parsed.into_inner();
            replace(&mut parsed, place);
            parsed
        }
        Err(_) => DeValue::String(Cow::Borrowed(value)),
    }
}

fn replace(value: &mut DeValue<'_>, place: &Range<usize>) {
    match value {
        DeValue::Array(elements) => {
            for element in elements.iter_mut() {
                moved(element, place);
            }
        }
        DeValue::Table(table) => {
            for (_, value) in table.iter_mut() {
                moved(value, place);
            }
        }
        _ => {}
    }
}

fn moved(value: &mut Spanned<DeValue<'_>>, place: &Range<usize>) {
    let inner = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
    *value = Spanned::new(place.clone(), inner);
    replace(value.get_mut(), place);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(settings: &[&str], tables: &[&str]) -> String {
        let text = "[[topic]]\nname = \"a\"\ntable = \"shop.a\"\nformat = \"json\"\n[[topic]]\nname = \"b\"\ntable = \"shop.b\"\n";
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        let tables: Vec<String> = tables.iter().map(|&name| name.to_owned()).collect();
        let mut document = DeTable::parse(text).unwrap();
        let changes = Changes {
            settings: &settings,
            tables: &tables,
        };
        changes.apply(document.get_mut());
        let value: toml::Table =
            serde::Deserialize::deserialize(toml::de::Deserializer::from(document)).unwrap();
        value["topic"].to_string()
    }

    #[test]
    fn settings_change_the_topics_that_are_meant() {
        let all = changed(
            &["format=avro", "commit.interval=5s", "partition_by=[\"day(x)\"]"],
            &[],
        );
        assert_eq!(all.matches("format = \"avro\"").count(), 2, "{all}");
        assert_eq!(all.matches("interval = \"5s\"").count(), 2, "{all}");
        assert_eq!(all.matches("[\"day(x)\"]").count(), 2, "{all}");
        let one = changed(&["format=avro"], &["shop.a"]);
        assert_eq!(one.matches("format = \"avro\"").count(), 1, "{one}");
    }

    #[test]
    fn what_is_no_setting_is_said_to_be_none() {
        assert!("format".parse::<Setting>().is_err());
        assert!("=avro".parse::<Setting>().is_err());
        assert!("commit..interval=5s".parse::<Setting>().is_err());
    }
}
