//! Apicurio's own API, versions 2 and 3. It alone knows global ids; schemas come as they are, their references and
//! versions under paths of their own.

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tabletopic_records::SchemaId;

use crate::gathering::Gathering;
use crate::http::{Http, from_json};
use crate::settings::{ApicurioVersion, RegistrySettings, SettingsError};
use crate::{Answer, Outage, ReferencedSchema, RegisteredSchema, Registry, Versioned};

/// Where artifacts are that name no group.
const DEFAULT_GROUP: &str = "default";

/// The API's names of errors that say that something is not there. A path that it does not know is `NotFoundException`.
const ABSENT: [&str; 4] = [
    "ArtifactNotFoundException",
    "ContentNotFoundException",
    "GroupNotFoundException",
    "VersionNotFoundException",
];

/// See the module.
#[derive(Debug)]
pub struct Apicurio {
    http: Http,
    version: ApicurioVersion,
}

impl Apicurio {
    /// # Errors
    /// Settings that no registry can be reached with, or URLs that do not say the API's version.
    pub fn new(settings: &RegistrySettings) -> Result<Self, SettingsError> {
        Ok(Self {
            http: Http::new(settings)?,
            version: settings.apicurio_version()?,
        })
    }

    async fn text(&self, path: &[&str]) -> Result<Option<String>, Outage> {
        let read = |body: &[u8]| String::from_utf8(body.to_vec()).ok();
        self.http.get(path, None, read, is_absent).await
    }

    async fn json<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, Outage> {
        self.http.get(path, None, from_json, is_absent).await
    }

    /// A schema with everything that it refers to; `references` are its own.
    async fn whole(&self, text: String, references: Vec<Reference>) -> Result<Answer, Outage> {
        let mut gathering = match Gathering::of(&text, references) {
            Ok(gathering) => gathering,
            Err(problem) => return Ok(Answer::Unusable(problem)),
        };
        while let Some(reference) = gathering.next() {
            let Some((text, references)) = self.referenced(&reference).await? else {
                let Reference {
                    artifact_id, version, ..
                } = &reference;
                let group = reference.group();
                let problem = format!(
                    "it refers to version {version} of artifact {artifact_id} in group {group}, which the registry \
                     does not have"
                );
                return Ok(Answer::Unusable(problem));
            };
            let name = reference.name;
            if let Err(problem) = gathering.take(ReferencedSchema { name, text }, references) {
                return Ok(Answer::Unusable(problem));
            }
        }
        Ok(Answer::Schema(RegisteredSchema {
            kind: kind(&text).to_owned(),
            text,
            references: gathering.into_found(),
        }))
    }

    async fn referenced(&self, reference: &Reference) -> Result<Option<(String, Vec<Reference>)>, Outage> {
        let Reference {
            artifact_id, version, ..
        } = reference;
        let path = [
            "groups",
            reference.group(),
            "artifacts",
            artifact_id,
            "versions",
            version,
        ];
        self.content(&path).await
    }

    /// What stands under the path of an artifact's version, and what that refers to.
    async fn content(&self, path: &[&str]) -> Result<Option<(String, Vec<Reference>)>, Outage> {
        let content = match self.version {
            ApicurioVersion::V2 => path.to_vec(),
            ApicurioVersion::V3 => [path, &["content"]].concat(),
        };
        let Some(text) = self.text(&content).await? else {
            return Ok(None);
        };
        let references = self.json(&[path, &["references"]].concat()).await?;
        Ok(references.map(|references| (text, references)))
    }
}

#[async_trait]
impl Registry for Apicurio {
    async fn schema(&self, id: SchemaId) -> Result<Answer, Outage> {
        let (kind, number) = match id {
            SchemaId::Global(number) => ("globalIds", number.to_string()),
            SchemaId::Content(number) => ("contentIds", number.to_string()),
            // Where Apicurio serves Confluent's API, that one's ids are these.
            SchemaId::Number(number) => ("contentIds", number.to_string()),
            SchemaId::Guid(_) => {
                let problem = "Apicurio's API knows no GUIDs of Confluent's; set `api = \"confluent\"` in [registry], \
                               with the URLs of such a registry";
                return Ok(Answer::Unusable(problem.to_owned()));
            }
        };
        let path = ["ids", kind, &number];
        let Some(text) = self.text(&path).await? else {
            return Ok(Answer::NoSuchId);
        };
        match self.json(&[&path[..], &["references"]].concat()).await? {
            Some(references) => self.whole(text, references).await,
            None => Ok(Answer::NoSuchId),
        }
    }

    /// A subject is an artifact of the group `default`.
    async fn version(&self, subject: &str, version: Option<u32>) -> Result<Versioned, Outage> {
        let artifact = ["groups", DEFAULT_GROUP, "artifacts", subject];
        let version = match (version, self.version) {
            (Some(version), _) => Some(version.to_string()),
            (None, ApicurioVersion::V2) => {
                let newest = self.json::<Newest>(&[&artifact[..], &["meta"]].concat()).await?;
                newest.map(|newest| newest.version)
            }
            (None, ApicurioVersion::V3) => {
                let newest = [&artifact[..], &["versions", "branch=latest"]].concat();
                self.json::<Newest>(&newest).await?.map(|newest| newest.version)
            }
        };
        let Some(version) = version else {
            return Ok(Versioned::NoSuchVersion);
        };
        let path = [&artifact[..], &["versions", &version]].concat();
        Ok(match self.content(&path).await? {
            Some((text, references)) => {
                let answer = self.whole(text, references).await?;
                Versioned::Version(version, answer)
            }
            None => Versioned::NoSuchVersion,
        })
    }
}

/// What kind of schema this is, which the API does not say of all ids: text that is not JSON is Protobuf's, and JSON
/// Schema's types are never a record.
fn kind(text: &str) -> &'static str {
    match serde_json::from_str::<Value>(text) {
        Err(_) => "PROTOBUF",
        Ok(Value::Object(schema)) => match schema.get("type") {
            _ if schema.contains_key("$schema") => "JSON",
            None => "JSON",
            Some(ty) if ty == "object" => "JSON",
            Some(_) => "AVRO",
        },
        Ok(Value::Bool(_)) => "JSON",
        Ok(_) => "AVRO",
    }
}

fn is_absent(body: &[u8]) -> bool {
    from_json::<ApiError>(body).is_some_and(|error| ABSENT.contains(&error.name.as_str()))
}

#[derive(Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Reference {
    name: String,
    group_id: Option<String>,
    artifact_id: String,
    version: String,
}

impl Reference {
    fn group(&self) -> &str {
        self.group_id.as_deref().unwrap_or(DEFAULT_GROUP)
    }
}

#[derive(Deserialize)]
struct Newest {
    version: String,
}

#[derive(Deserialize)]
struct ApiError {
    name: String,
}
