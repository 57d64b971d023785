//! `[kafka]`: the cluster and how its partitions are shared out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tabletopic_source::{GroupProtocol, KafkaSettings};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::required;
use super::secret::{Secret, Secrets};
use super::start::Start;
use super::units::Interval;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    pub group: String,
    pub group_protocol: GroupProtocol,
    /// Static membership: a process that comes back under its id takes its partitions back without a rebalance.
    /// Each worker joins under this and its number.
    pub instance_id: Option<String>,
    pub assignment: Assignment,
    /// For topics that have no `start` of their own.
    pub start: Start,
    /// How often the brokers are asked for topics that a pattern matches.
    pub topic_refresh: Duration,
    /// Passed to librdkafka as they are.
    pub properties: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignment {
    /// The processes of the group share the partitions out among themselves.
    Group,
    /// Each topic's `partitions` says which ones this process reads.
    Static,
}

/// [`GroupProtocol`] as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawGroupProtocol {
    Classic,
    Consumer,
}

impl From<RawGroupProtocol> for GroupProtocol {
    fn from(raw: RawGroupProtocol) -> Self {
        match raw {
            RawGroupProtocol::Classic => Self::Classic,
            RawGroupProtocol::Consumer => Self::Consumer,
        }
    }
}

impl Kafka {
    pub fn validate(raw: Option<Spanned<raw::Kafka>>, document: &Document<'_>) -> Result<Self, Problem> {
        let raw = required(
            document,
            raw,
            None,
            "kafka",
            "add [kafka] with bootstrap = \"localhost:9092\"",
        )?;
        let section = Some(raw.span());
        let raw = raw.into_inner();
        let bootstrap = required(
            document,
            raw.bootstrap,
            section,
            "kafka.bootstrap",
            "write the brokers to start from, such as bootstrap = \"localhost:9092\"",
        )?;
        if bootstrap.get_ref().trim().is_empty() {
            return Err(document.problem_at(
                bootstrap.span(),
                "is empty; write a broker such as \"localhost:9092\"".to_owned(),
            ));
        }
        let group = match raw.group {
            Some(group) if group.get_ref().is_empty() => {
                return Err(document.problem_at(
                    group.span(),
                    "is empty; write a name, or leave the key out for \"tabletopic\"".to_owned(),
                ));
            }
            Some(group) => group.into_inner(),
            None => "tabletopic".to_owned(),
        };
        let assignment = raw.assignment.unwrap_or(Assignment::Group);
        if let (Assignment::Static, Some(instance_id)) = (assignment, &raw.instance_id) {
            return Err(document.problem_at(
                instance_id.span(),
                "static membership is for groups; remove it, or write assignment = \"group\"".to_owned(),
            ));
        }
        Ok(Self {
            bootstrap: bootstrap.into_inner(),
            group,
            group_protocol: raw
                .group_protocol
                .map_or(GroupProtocol::Classic, GroupProtocol::from),
            instance_id: raw.instance_id.map(Spanned::into_inner),
            assignment,
            start: raw.start.unwrap_or(Start::Earliest),
            topic_refresh: topic_refresh(document, raw.topic_refresh)?,
            properties: allowed(document, raw.properties.unwrap_or_default())?,
        })
    }
}

/// Each round asks the brokers for all their topics, which is not to be done all the time.
fn topic_refresh(document: &Document<'_>, raw: Option<Spanned<Interval>>) -> Result<Duration, Problem> {
    const LEAST: Duration = Duration::from_secs(1);
    let Some(raw) = raw else {
        return Ok(Duration::from_secs(30));
    };
    let Interval(interval) = *raw.get_ref();
    if interval >= LEAST {
        return Ok(interval);
    }
    let message = "that is too often for the brokers; write \"1s\" or more";
    Err(document.problem_at(raw.span(), message.to_owned()))
}

/// The properties, if librdkafka may have all of them: the source knows which.
fn allowed(document: &Document<'_>, properties: Secrets) -> Result<BTreeMap<String, Secret>, Problem> {
    for (name, value) in &properties.0 {
        let mut one = KafkaSettings::new("any", "any");
        one.properties
            .insert(name.clone(), value.get_ref().reveal().to_owned());
        if let Err(error) = one.validate() {
            return Err(document.problem_at(value.span(), error.to_string()));
        }
    }
    Ok(properties
        .0
        .into_iter()
        .map(|(name, value)| (name, value.into_inner()))
        .collect())
}
