//! Azure Data Lake Storage and Blob Storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};

use super::client::{self, Connector};
use super::counting::RequestCounts;
use super::hidden::Hidden;
use super::object_storage::WriteOptions;
use super::properties::{ADLS_TAGS, Properties, SettingsError};
use super::settings::{Environment, OpenError, Place};
use super::vended::Vended;

/// Those whose blobs can be read at once.
const TIERS: [&str; 3] = ["Hot", "Cool", "Cold"];

/// Properties and the client's own settings; each is secret, or does no harm as if it were.
const LOGIN: [(&str, AzureConfigKey); 5] = [
    ("adls.account-key", AzureConfigKey::AccessKey),
    ("adls.sas-token", AzureConfigKey::SasKey),
    ("adls.tenant-id", AzureConfigKey::AuthorityId),
    ("adls.client-id", AzureConfigKey::ClientId),
    ("adls.client-secret", AzureConfigKey::ClientSecret),
];

/// What the environment says where the properties say nothing: account keys, service principals, workload identity
/// (whose token file is read again for each token) and managed identity.
const FROM_ENVIRONMENT: [(&str, AzureConfigKey); 8] = [
    ("AZURE_STORAGE_ACCOUNT_KEY", AzureConfigKey::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", AzureConfigKey::SasKey),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
];

/// Behind it stands the account that the token is for, or the account's whole host.
const VENDED: &str = "adls.sas-token.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdlsSettings {
    /// `container@account.dfs.core.windows.net`.
    authority: String,
    container: String,
    account: String,
    endpoint: Option<String>,
    login: Vec<(AzureConfigKey, Hidden)>,
    pub(super) write: WriteOptions,
}

impl AdlsSettings {
    pub(super) fn new(place: Place, properties: &Properties<'_>) -> Result<Self, SettingsError> {
        let named = place.authority.split_once('@').and_then(|(container, host)| {
            let account = host.strip_suffix(".dfs.core.windows.net")?;
            (!container.is_empty() && !account.is_empty() && !account.contains('.'))
                .then(|| (container.to_owned(), account.to_owned()))
        });
        let Some((container, account)) = named else {
            let message =
                "names no container and account; write abfss://container@account.dfs.core.windows.net/lake";
            return Err(SettingsError::of_warehouse(message));
        };
        let mut login = Vec::new();
        for (name, key) in LOGIN {
            if let Some(value) = properties.text(name)? {
                login.push((key, Hidden::new(value)));
            }
        }
        let tier = properties.one_of("adls.write.access-tier", &TIERS)?;
        Ok(Self {
            authority: place.authority,
            container,
            account,
            endpoint: properties.url("adls.endpoint")?.map(str::to_owned),
            login,
            write: WriteOptions::new(tier, &properties.tags(ADLS_TAGS)?),
        })
    }

    pub(super) fn root(&self) -> String {
        format!("abfss://{}", self.authority)
    }

    /// With tokens that are `vended`, or else as the settings and the environment say.
    pub(super) fn open(
        &self,
        vended: Option<&Vended>,
        environment: &Environment<'_>,
        counts: Arc<RequestCounts>,
    ) -> Result<Arc<dyn ObjectStore>, OpenError> {
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_client_options(client::options(self.endpoint.as_deref()))
            .with_http_connector(Connector(counts))
            .with_retry(client::retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let account = self.account.clone();
        if let Some(tokens) =
            vended.and_then(|vended| vended.credentials(move |properties| vended_token(&account, properties)))
        {
            return Ok(Arc::new(builder.with_credentials(tokens).build()?));
        }
        if self.login.is_empty() {
            for (name, key) in FROM_ENVIRONMENT {
                if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
                    builder = builder.with_config(key, value);
                }
            }
        }
        for (key, value) in &self.login {
            builder = builder.with_config(*key, value.reveal());
        }
        Ok(Arc::new(builder.build()?))
    }
}

/// The shared access signature for an account, as the parameters of a request.
fn vended_token(account: &str, properties: &BTreeMap<String, String>) -> Option<AzureCredential> {
    let mut tokens = properties.iter().filter_map(|(name, token)| {
        let host = name.strip_prefix(VENDED)?;
        let named = host.split('.').next()?;
        (named == account).then_some(token)
    });
    let token = tokens.next()?.trim_start_matches('?');
    // A plus in a signature is a plus.
    let parameters = form_urlencoded::parse(token.replace('+', "%2B").as_bytes())
        .into_owned()
        .collect();
    Some(AzureCredential::SASToken(parameters))
}
