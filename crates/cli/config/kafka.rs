//! `[kafka]`: the cluster and how its partitions are shared out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tabletopic_source::{GroupProtocol, KafkaSettings, MskIam, PropertyFiles, names_a_file};
use toml::Spanned;

use super::document::Document;
use super::error::Problem;
use super::raw;
use super::reference::{Kept, References};
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
    /// Where the brokers are that AWS's IAM lets in, if it does.
    pub aws_region: Option<String>,
    /// Passed to librdkafka as they are.
    pub properties: BTreeMap<String, Secret>,
    pub files: PropertiesInFiles,
}

/// The properties whose values stand in files, all or in part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertiesInFiles {
    /// As they are written, with the references.
    written: BTreeMap<String, Secret>,
    /// Where paths start.
    folder: PathBuf,
}

impl PropertyFiles for PropertiesInFiles {
    fn read(&self) -> Result<BTreeMap<String, String>, String> {
        let references = References {
            env: &|name| std::env::var(name).ok(),
            folder: &self.folder,
        };
        let read = |(name, text): (&String, &Secret)| {
            let read = references.resolve(text.reveal(), Kept::None)?;
            let read = read.unwrap_or_else(|| text.reveal().to_owned());
            Ok((name.clone(), in_folder(name, &read, &self.folder)))
        };
        self.written.iter().map(read).collect()
    }
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
    pub fn validate(
        raw: Option<Spanned<raw::Kafka>>,
        document: &Document<'_>,
        references: &References<'_>,
    ) -> Result<Self, Problem> {
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
        let properties = raw.properties.unwrap_or_default();
        let files = PropertiesInFiles {
            written: in_files(document, &properties),
            folder: references.folder.to_owned(),
        };
        let aws_region = aws_region(document, &bootstrap, &properties, references)?;
        Ok(Self {
            bootstrap: bootstrap.into_inner(),
            aws_region,
            group,
            group_protocol: raw
                .group_protocol
                .map_or(GroupProtocol::Classic, GroupProtocol::from),
            instance_id: raw.instance_id.map(Spanned::into_inner),
            assignment,
            start: raw.start.unwrap_or(Start::Earliest),
            topic_refresh: topic_refresh(document, raw.topic_refresh)?,
            properties: allowed(document, properties, references.folder)?,
            files,
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

/// AWS's brokers have it in their names, unless somebody gave them others.
fn aws_region(
    document: &Document<'_>,
    bootstrap: &Spanned<String>,
    properties: &Secrets,
    references: &References<'_>,
) -> Result<Option<String>, Problem> {
    let mut settings = KafkaSettings::new("any", "any");
    let written = properties.0.iter();
    settings.properties = written
        .map(|(name, value)| (name.clone(), value.get_ref().reveal().to_owned()))
        .collect();
    if !settings.is_aws_iam() {
        return Ok(None);
    }
    let named = MskIam::region_of(bootstrap.get_ref()).map(str::to_owned);
    let region = named.or_else(|| (references.env)("AWS_REGION"));
    region.map(Some).ok_or_else(|| {
        let message =
            "has no AWS region in its name, which sasl.mechanism = \"AWS_MSK_IAM\" needs; set AWS_REGION";
        document.problem_at(bootstrap.span(), message.to_owned())
    })
}

fn in_files(document: &Document<'_>, properties: &Secrets) -> BTreeMap<String, Secret> {
    let written = properties.0.iter().filter_map(|(name, value)| {
        let text = document.referring(&value.span())?;
        text.contains("${file:")
            .then(|| (name.clone(), Secret::new(text)))
    });
    written.collect()
}

/// The properties, if librdkafka may have all of them: the source knows which.
fn allowed(
    document: &Document<'_>,
    properties: Secrets,
    folder: &Path,
) -> Result<BTreeMap<String, Secret>, Problem> {
    let mut all = KafkaSettings::new("any", "any");
    for (name, value) in &properties.0 {
        let mut one = KafkaSettings::new("any", "any");
        let read = value.get_ref().reveal().to_owned();
        one.properties.insert(name.clone(), read.clone());
        if let Err(error) = one.validate() {
            return Err(document.problem_at(value.span(), error.to_string()));
        }
        all.properties.insert(name.clone(), read);
    }
    if let (Err(error), Some(place)) = (all.can_log_in(), login_of(&properties)) {
        return Err(document.problem_at(place.span(), error.to_string()));
    }
    let placed = properties.0.into_iter().map(|(name, value)| {
        let placed = in_folder(&name, value.get_ref().reveal(), folder);
        (name, Secret::new(&placed))
    });
    Ok(placed.collect())
}

/// What says how to log in: the mechanism, or, where none is said, what asks for one.
fn login_of(properties: &Secrets) -> Option<&Spanned<Secret>> {
    let places = ["sasl.mechanism", "sasl.mechanisms", "security.protocol"];
    places.iter().find_map(|name| properties.0.get(*name))
}

/// The value, or the path that it is: relative ones start at the configuration file's folder.
fn in_folder(property: &str, value: &str, folder: &Path) -> String {
    // librdkafka's own word for the places where systems keep their authorities.
    if !names_a_file(property) || value == "probe" {
        return value.to_owned();
    }
    let path = folder.join(value);
    path.to_str().unwrap_or(value).to_owned()
}
