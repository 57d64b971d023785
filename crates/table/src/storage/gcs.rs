//! Google Cloud Storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{ObjectStore, StaticCredentialProvider};

use super::client::{self, Connector};
use super::counting::RequestCounts;
use super::hidden::Hidden;
use super::object_storage::WriteOptions;
use super::properties::{Properties, SettingsError};
use super::settings::{Environment, OpenError, Place};
use super::vended::Vended;

/// Those whose objects can be read at once; a table's files have to be.
const CLASSES: [&str; 4] = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];

const TOKEN: &str = "gcs.oauth2.token";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcsSettings {
    bucket: String,
    host: Option<String>,
    token: Option<Hidden>,
    no_auth: bool,
    pub(super) write: WriteOptions,
}

impl GcsSettings {
    pub(super) fn new(place: Place, properties: &Properties<'_>) -> Result<Self, SettingsError> {
        let class = properties.one_of("gcs.write.storage-class", &CLASSES)?;
        Ok(Self {
            bucket: place.authority,
            host: properties.url("gcs.service.host")?.map(str::to_owned),
            token: properties.text(TOKEN)?.map(Hidden::new),
            no_auth: properties.flag("gcs.no-auth")?,
            write: WriteOptions::new(class, &[]),
        })
    }

    pub(super) fn root(&self) -> String {
        format!("gs://{}", self.bucket)
    }

    /// With tokens that are `vended`, or else as the settings and the environment say.
    pub(super) fn open(
        &self,
        vended: Option<&Vended>,
        environment: &Environment<'_>,
        counts: Arc<RequestCounts>,
    ) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_client_options(client::options(self.host.as_deref()))
            .with_http_connector(Connector(counts))
            .with_retry(client::retries());
        if let Some(host) = &self.host {
            builder = builder.with_base_url(host);
        }
        if let Some(tokens) = vended.and_then(|vended| vended.credentials(vended_token)) {
            return Ok(Arc::new(builder.with_credentials(tokens).build()?));
        }
        let token = match (&self.token, self.no_auth) {
            (Some(token), _) => Some(token.reveal()),
            // Never sent; it keeps the client from looking for credentials.
            (None, true) => Some(""),
            (None, false) => None,
        };
        if let Some(token) = token {
            builder = builder
                .with_skip_signature(self.no_auth)
                .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                    bearer: token.to_owned(),
                })));
        } else if let Some(file) = environment("GOOGLE_APPLICATION_CREDENTIALS") {
            builder = builder.with_application_credentials(file);
        }
        Ok(Arc::new(builder.build()?))
    }
}

fn vended_token(properties: &BTreeMap<String, String>) -> Option<GcpCredential> {
    let bearer = properties.get(TOKEN)?.clone();
    Some(GcpCredential { bearer })
}
