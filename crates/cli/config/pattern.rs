//! `pattern` in the place of a topic's `name`: one job for each topic that it matches, those included that appear later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;
use tabletopic_decode::DecodeSettings;
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::kafka::Assignment;
use super::{Config, TableName, Topic};

#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// What its topics have in common. Its name is the pattern, and `${topic}` still stands in its table.
    model: Topic,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.model == other.model
    }
}

impl Pattern {
    pub(super) fn new(regex: Regex, model: Topic) -> Self {
        Self { regex, model }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// What its topics have in common. Its name is the pattern, and `${topic}` still stands in its table.
    pub fn model(&self) -> &Topic {
        &self.model
    }

    /// The settings of a topic that it matches.
    fn topic(&self, name: &str) -> Result<Topic, String> {
        Ok(Topic {
            name: name.to_owned(),
            job: name.to_owned(),
            table: self.model.table.of_topic(name)?,
            decode: DecodeSettings {
                topic: name.to_owned(),
                ..self.model.decode.clone()
            },
            ..self.model.clone()
        })
    }
}

/// A pattern that can be searched for.
pub(super) fn regex(
    document: &Document<'_>,
    pattern: &Spanned<String>,
    assignment: Assignment,
    job: Option<&Spanned<String>>,
) -> Result<Regex, Problem> {
    if assignment == Assignment::Static {
        let message = "with assignment = \"static\" each topic has its own partitions, so that a pattern can't be read; \
                       write the topics by name, or assignment = \"group\"";
        return Err(document.problem_at(pattern.span(), message.to_owned()));
    }
    if let Some(job) = job {
        let message = "every topic of a pattern is a job of its own, under the topic's name; remove it";
        return Err(document.problem_at(job.span(), message.to_owned()));
    }
    if pattern.get_ref().is_empty() {
        let message = "is empty; write a regular expression such as \"^shop\\\\.\", or \".*\" for all topics";
        return Err(document.problem_at(pattern.span(), message.to_owned()));
    }
    Regex::new(pattern.get_ref()).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.trim().trim_start_matches("error: ");
        let message = format!(
            "`{}` is not a regular expression: {reason}; see https://docs.rs/regex/latest/regex/#syntax",
            pattern.get_ref()
        );
        document.problem_at(pattern.span(), message)
    })
}

/// What the patterns make of the topics that the brokers have.
#[derive(Debug, Default, PartialEq)]
pub struct Matched {
    pub topics: Vec<Topic>,
    /// Topics that are matched and can't be taken, and why.
    pub refused: BTreeMap<Arc<str>, String>,
}

impl Config {
    /// Takes the topics among `names` that a pattern matches and that have no `[[topic]]` of their own, each by the
    /// first pattern in the file that matches. Two that would come to the same table by `${topic}` are both refused,
    /// unless one is in `running`.
    pub fn matched(&self, names: &[Arc<str>], running: &BTreeSet<Arc<str>>) -> Matched {
        let mut matched = Matched::default();
        let mut of_their_topic = BTreeSet::new();
        let own = |name: &str| self.topics.iter().any(|topic| topic.name == name);
        for name in names.iter().filter(|name| !own(name)) {
            let Some(pattern) = self.patterns.iter().find(|pattern| pattern.regex.is_match(name)) else {
                continue;
            };
            match pattern.topic(name) {
                Ok(topic) => {
                    if pattern.model.table.is_of_its_topic() {
                        of_their_topic.insert(topic.name.clone());
                    }
                    matched.topics.push(topic);
                }
                Err(message) => {
                    matched.refused.insert(name.clone(), advised(name, &message));
                }
            }
        }
        let clashes = self.clashes(&matched.topics, &of_their_topic, running);
        matched
            .topics
            .retain(|topic| !clashes.contains_key(topic.name.as_str()));
        matched.refused.extend(clashes);
        matched
    }

    /// Which of the matched topics would be mixed up with another one. Those `of_their_topic` have tables that `${topic}`
    /// names.
    fn clashes(
        &self,
        matched: &[Topic],
        of_their_topic: &BTreeSet<String>,
        running: &BTreeSet<Arc<str>>,
    ) -> BTreeMap<Arc<str>, String> {
        let mut feeding = BTreeMap::<&TableName, Vec<&str>>::new();
        for topic in self.topics.iter().chain(matched) {
            feeding.entry(&topic.table).or_default().push(&topic.name);
        }
        let clash = |topic: &Topic| {
            if let Some(named) = self.topics.iter().find(|named| named.job == topic.job) {
                return Some(format!("`{}` is the job of topic {}", topic.job, named.name));
            }
            let others = feeding.get(&topic.table)?;
            let other = others.iter().find(|other| **other != topic.name)?;
            of_their_topic.contains(&topic.name).then(|| {
                format!(
                    "`${{topic}}` would give it table {}, which is that of topic {other}",
                    topic.table
                )
            })
        };
        matched
            .iter()
            .filter(|topic| !running.contains(topic.name.as_str()))
            .filter_map(|topic| Some((topic.name.as_str().into(), advised(&topic.name, &clash(topic)?))))
            .collect()
    }
}

fn advised(topic: &str, why: &str) -> String {
    format!(
        "topic {topic} is not read: {why}; give it a [[topic]] with name = \"{topic}\" and a table of its own"
    )
}
