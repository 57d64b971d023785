//! What is wrong with a configuration: file, line, key, what it is, and what to write instead.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::document::Document;

/// A configuration that cannot be used. Fix the file that it names.
#[derive(Debug)]
pub struct ConfigError {
    pub file: PathBuf,
    /// Not empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// 1-based.
    pub line: Option<usize>,
    /// As a dotted path: `topic.commit.interval`.
    pub key: Option<String>,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Document<'_> {
    /// serde's refusal, in the reader's words.
    pub fn problem_of(&self, error: &toml::de::Error) -> Problem {
        let message = explain(error.message());
        match error.span() {
            Some(span) => self.problem_at(span, message),
            None => Problem {
                line: None,
                key: None,
                message,
            },
        }
    }
}

/// serde says "unknown field `x`, expected one of `a`, `b`" (or "unknown variant"): name the nearest of those.
/// Any other message is passed on.
fn explain(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (what, (unknown, known)) = match (message, names.split_first()) {
        (m, Some(split)) if m.starts_with("unknown field ") => ("no such key", split),
        (m, Some(split)) if m.starts_with("unknown variant ") => ("not a value for this key", split),
        _ => return message.replace('\n', " "),
    };
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(unknown.len()) / 3 + 1)
        .min();
    match nearest {
        Some((_, name)) => format!("`{unknown}` is {what}; did you mean `{name}`?"),
        None => format!("`{unknown}` is {what}; write one of {}", known.join(", ")),
    }
}
