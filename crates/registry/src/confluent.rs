//! The Confluent Schema Registry's API, which others (Apicurio, Karapace, Redpanda) serve too.

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tabletopic_records::SchemaId;

use crate::gathering::Gathering;
use crate::http::{Http, from_json};
use crate::settings::{RegistrySettings, SettingsError};
use crate::{Answer, Outage, ReferencedSchema, RegisteredSchema, Registry, Versioned};

/// The API's own codes.
const NO_SUBJECT: u32 = 40_401;
const NO_VERSION: u32 = 40_402;
const NO_SCHEMA: u32 = 40_403;

/// Versions that were deleted since are still what records were written with.
const DELETED: Option<&str> = Some("deleted=true");

/// See the module.
#[derive(Debug)]
pub struct Confluent(Http);

impl Confluent {
    /// # Errors
    /// Settings that no registry can be reached with.
    pub fn new(settings: &RegistrySettings) -> Result<Self, SettingsError> {
        Http::new(settings).map(Self)
    }

    /// `None` if the registry says so by one of the codes `absent`.
    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        absent: &[u32],
        query: Option<&str>,
    ) -> Result<Option<T>, Outage> {
        let is_absent =
            |body: &[u8]| from_json::<ApiError>(body).is_some_and(|error| absent.contains(&error.error_code));
        self.0.get(path, query, from_json, is_absent).await
    }
}

#[async_trait]
impl Registry for Confluent {
    async fn schema(&self, id: SchemaId) -> Result<Answer, Outage> {
        let (kind, number) = match id {
            SchemaId::Number(number) => ("ids", number.to_string()),
            // Where Apicurio serves this API, its ids are these.
            SchemaId::Content(number) => ("ids", number.to_string()),
            SchemaId::Guid(_) => ("guids", id.to_string()),
            SchemaId::Global(_) => {
                let problem = "Confluent's API knows no global ids; set `api = \"apicurio\"` in [registry], with the \
                               URLs of Apicurio's own API";
                return Ok(Answer::Unusable(problem.to_owned()));
            }
        };
        let path = ["schemas", kind, &number];
        match self.get::<Schema>(&path, &[NO_SCHEMA], DELETED).await? {
            Some(root) => self.whole(root).await,
            None => Ok(Answer::NoSuchId),
        }
    }

    async fn version(&self, subject: &str, version: Option<u32>) -> Result<Versioned, Outage> {
        let number = version.map(|version| version.to_string());
        let path = [
            "subjects",
            subject,
            "versions",
            number.as_deref().unwrap_or("latest"),
        ];
        // What was deleted is not what comes next.
        match self
            .get::<SubjectVersion>(&path, &[NO_SUBJECT, NO_VERSION], None)
            .await?
        {
            Some(found) => Ok(Versioned::Version(
                found.version.to_string(),
                self.whole(found.schema).await?,
            )),
            None => Ok(Versioned::NoSuchVersion),
        }
    }
}

impl Confluent {
    /// A schema with everything that it refers to.
    async fn whole(&self, root: Schema) -> Result<Answer, Outage> {
        let mut gathering = match Gathering::of(&root.schema, root.references) {
            Ok(gathering) => gathering,
            Err(problem) => return Ok(Answer::Unusable(problem)),
        };
        while let Some(reference) = gathering.next() {
            let Reference {
                name,
                subject,
                version,
            } = reference;
            let number = version.to_string();
            let path = ["subjects", &subject, "versions", &number];
            let Some(schema) = self
                .get::<Schema>(&path, &[NO_SUBJECT, NO_VERSION], DELETED)
                .await?
            else {
                let problem = format!(
                    "it refers to version {version} of subject {subject}, which the registry does not have"
                );
                return Ok(Answer::Unusable(problem));
            };
            let text = schema.schema;
            if let Err(problem) = gathering.take(ReferencedSchema { name, text }, schema.references) {
                return Ok(Answer::Unusable(problem));
            }
        }
        Ok(Answer::Schema(RegisteredSchema {
            kind: root.kind.unwrap_or_else(|| "AVRO".to_owned()),
            text: root.schema,
            references: gathering.into_found(),
        }))
    }
}

#[derive(Deserialize)]
struct SubjectVersion {
    version: u32,
    #[serde(flatten)]
    schema: Schema,
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

#[derive(Deserialize)]
struct ApiError {
    error_code: u32,
}
