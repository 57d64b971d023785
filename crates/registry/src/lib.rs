//! Schema registries: what is registered under the id that a record carries. It knows nothing of what a schema means,
//! and keeps nothing: whoever asks remembers the answer, which never changes.

mod apicurio;
mod confluent;
mod gathering;
mod http;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use async_trait::async_trait;
use tabletopic_records::SchemaId;
use thiserror::Error;

pub use apicurio::Apicurio;
pub use confluent::Confluent;
pub use settings::{Api, ApicurioVersion, Credentials, RegistrySettings, SettingsError};
pub use tabletopic_http::{ClientCertificate, Tls};

/// The client of the registry that the settings describe.
///
/// # Errors
/// Settings that no registry can be reached with.
pub fn client(settings: &RegistrySettings) -> Result<Box<dyn Registry>, SettingsError> {
    Ok(match settings.api {
        Api::Confluent => Box::new(Confluent::new(settings)?),
        Api::Apicurio => Box::new(Apicurio::new(settings)?),
    })
}

/// A schema registry.
#[async_trait]
pub trait Registry: Debug + Send + Sync {
    /// Looks an id up, with everything that its schema refers to. Tries once.
    ///
    /// # Errors
    /// No answer that can be believed: ask again later. It says nothing of the id.
    async fn schema(&self, id: SchemaId) -> Result<Answer, Outage>;

    /// Looks a version of a subject up, with everything that its schema refers to; the newest one if none is named.
    /// Tries once.
    ///
    /// # Errors
    /// As [`schema`](Self::schema).
    async fn version(&self, subject: &str, version: Option<u32>) -> Result<Versioned, Outage>;
}

/// What a registry has under an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Schema(RegisteredSchema),
    NoSuchId,
    /// It has something that cannot be used, for this reason.
    Unusable(String),
}

/// What a registry has as a version of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versioned {
    /// What the version is called, a number nearly always, and what is there.
    Version(String, Answer),
    NoSuchVersion,
}

/// A schema as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSchema {
    /// `AVRO`, `PROTOBUF` or `JSON`.
    pub kind: String,
    pub text: String,
    /// The schemas that it refers to, before those that these refer to; each once under each of its names.
    pub references: Vec<ReferencedSchema>,
}

/// A schema that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedSchema {
    /// What it is called there: an Avro type's full name, or the file that a Protobuf schema imports.
    pub name: String,
    pub text: String,
}

/// Why a registry can't tell now: it is down, slow, refuses the credentials, or answers what no registry answers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Outage(pub String);
