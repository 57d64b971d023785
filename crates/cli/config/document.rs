//! The text of a configuration file with the place of everything in it, so that a message can name the line
//! and the key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::change::Changes;
use super::error::Problem;
use super::reference::{Kept, References};

/// A file that is TOML. Byte ranges ("spans") refer to its text.
pub struct Document<'i> {
    text: &'i str,
    table: Spanned<DeTable<'i>>,
    /// Strings with references, as they are written.
    referring: BTreeMap<usize, String>,
}

impl<'i> Document<'i> {
    pub fn parse(text: &'i str) -> Result<Self, Problem> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Self {
                text,
                table,
                referring: BTreeMap::new(),
            }),
            Err(error) => Err(Problem {
                line: error.span().map(|span| line_of(text, span.start)),
                key: None,
                message: format!("this is not TOML: {}", error.message().replace('\n', " ")),
            }),
        }
    }

    /// Puts what a command line says in the place of what stands here.
    pub fn change(&mut self, changes: Changes<'i>) {
        changes.apply(self.table.get_mut());
    }

    /// Puts what `${env:NAME}` and `${file:path}` stand for in the place of each, in every string. `${topic}` stays where
    /// it may stand.
    pub fn resolve(&mut self, references: &References<'_>) -> Vec<Problem> {
        let mut failures = Vec::new();
        for (_, value) in self.table.get_mut().iter_mut() {
            resolve_value(value, references, Kept::None, &mut self.referring, &mut failures);
        }
        failures
            .into_iter()
            .map(|(span, message)| self.problem_at(span, message))
            .collect()
    }

    /// The string at `span` as it was before [`resolve`](Self::resolve), if that changed it.
    pub fn referring(&self, span: &Range<usize>) -> Option<&str> {
        self.referring.get(&span.start).map(String::as_str)
    }

    /// The document without its places, for serde.
    pub fn table(&self) -> Spanned<DeTable<'i>> {
        self.table.clone()
    }

    /// A problem with what stands at `span`.
    pub fn problem_at(&self, span: Range<usize>, message: String) -> Problem {
        Problem {
            line: Some(line_of(self.text, span.start)),
            key: key_in(self.table.get_ref(), &span),
            message,
        }
    }

    /// A problem with `key`, which is not in the section at `span`, or not in the file at all.
    pub fn problem_in(&self, span: Option<Range<usize>>, key: &str, message: String) -> Problem {
        Problem {
            line: span.map(|span| line_of(self.text, span.start)),
            key: Some(key.to_owned()),
            message,
        }
    }
}

/// The 1-based line of byte `at`.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(at)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The dotted path of the innermost key whose name or value covers the start of `span`. The elements of an
/// array are told apart by the line, not by a number.
fn key_in(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let covers = |place: Range<usize>| place.contains(&span.start);
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(table) => key_in(table, span),
            DeValue::Array(elements) => elements
                .iter()
                .find_map(|element| element.get_ref().as_table().and_then(|table| key_in(table, span))),
            _ => None,
        };
        match inner {
            Some(inner) => Some(format!("{}.{inner}", key.get_ref())),
            None if covers(key.span()) || covers(value.span()) => Some(key.get_ref().to_string()),
            None => None,
        }
    })
}

fn resolve_value(
    value: &mut Spanned<DeValue<'_>>,
    references: &References<'_>,
    kept: Kept,
    referring: &mut BTreeMap<usize, String>,
    failures: &mut Vec<(Range<usize>, String)>,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) => match references.resolve(text, kept) {
            Ok(Some(resolved)) => {
                referring.insert(span.start, text.to_string());
                *text = Cow::Owned(resolved);
            }
            Ok(None) => {}
            Err(message) => failures.push((span, message)),
        },
        DeValue::Array(elements) => {
            for element in elements.iter_mut() {
                resolve_value(element, references, kept, referring, failures);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table.iter_mut() {
                resolve_value(value, references, Kept::of(key.get_ref()), referring, failures);
            }
        }
        _ => {}
    }
}
