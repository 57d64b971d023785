//! Credentials that a catalog gives out for the files of a table, and new ones in time.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tabletopic_catalog::FileAccess;

const KEY_ID: &str = "s3.access-key-id";
const SECRET: &str = "s3.secret-access-key";
const TOKEN: &str = "s3.session-token";

/// Those of one place. Asked for each request: who gives them out keeps them until they end.
#[derive(Debug)]
pub(in crate::storage) struct VendedCredentials {
    access: Arc<dyn FileAccess>,
    prefix: String,
}

impl VendedCredentials {
    /// `None` where the catalog gives out none for what it has granted.
    pub(in crate::storage) fn of(
        access: Arc<dyn FileAccess>,
        prefix: &str,
        properties: &BTreeMap<String, String>,
    ) -> Option<Self> {
        credential(properties)?;
        Some(Self {
            access,
            prefix: prefix.to_owned(),
        })
    }
}

#[async_trait]
impl CredentialProvider for VendedCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |source| object_store::Error::Generic { store: "S3", source };
        let granted = self.access.renewed(&self.prefix).await;
        let granted = granted.map_err(|error| failed(error.into()))?;
        let credential = credential(&granted.properties);
        let none = || {
            failed(
                format!(
                    "the catalog gives out no credentials for {} any more",
                    self.prefix
                )
                .into(),
            )
        };
        credential.map(Arc::new).ok_or_else(none)
    }
}

fn credential(properties: &BTreeMap<String, String>) -> Option<AwsCredential> {
    Some(AwsCredential {
        key_id: properties.get(KEY_ID)?.clone(),
        secret_key: properties.get(SECRET)?.clone(),
        token: properties.get(TOKEN).cloned(),
    })
}
