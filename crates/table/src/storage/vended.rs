//! Credentials that a catalog gives out for the files of a table, and new ones in time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use tabletopic_catalog::{FileAccess, Granted};

/// What a catalog has granted of a place, and who grants it anew.
#[derive(Debug, Clone)]
pub(super) struct Vended {
    pub(super) access: Arc<dyn FileAccess>,
    pub(super) granted: Arc<Granted>,
}

/// Finds credentials for stores of one kind among properties.
type Read<C> = Box<dyn Fn(&BTreeMap<String, String>) -> Option<C> + Send + Sync>;

impl Vended {
    /// The credentials that `read` finds among what is granted; `None` where it finds none now.
    pub(super) fn credentials<C: Send + Sync + 'static>(
        &self,
        read: impl Fn(&BTreeMap<String, String>) -> Option<C> + Send + Sync + 'static,
    ) -> Option<Arc<dyn CredentialProvider<Credential = C>>> {
        read(&self.granted.properties)?;
        Some(Arc::new(Provider {
            access: self.access.clone(),
            prefix: self.granted.prefix.clone(),
            read: Box::new(read),
        }))
    }
}

/// The credentials of one place. It is asked for each request: who gives them out keeps them until they end.
struct Provider<C> {
    access: Arc<dyn FileAccess>,
    prefix: String,
    read: Read<C>,
}

impl<C> fmt::Debug for Provider<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.prefix).finish()
    }
}

#[async_trait]
impl<C: Send + Sync + 'static> CredentialProvider for Provider<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let failed = |source| object_store::Error::Generic {
            store: "catalog",
            source,
        };
        let granted = self.access.renewed(&self.prefix).await;
        let granted = granted.map_err(|error| failed(error.into()))?;
        let none = || {
            let words = format!(
                "the catalog gives out no credentials for {} any more",
                self.prefix
            );
            failed(words.into())
        };
        (self.read)(&granted.properties).map(Arc::new).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderValue};
    use iceberg::io::FileIO;
    use tabletopic_catalog::{CatalogError, Signature, StoreRequest};

    use super::super::empty_store::{self, Asked};
    use super::super::{RequestCounts, StoresSettings};
    use super::*;

    const ADLS: &str = "abfss://lake@shop.dfs.core.windows.net/t";

    /// A catalog that grants what a test says.
    #[derive(Debug, Clone)]
    struct Grantor(Arc<Mutex<Granted>>);

    impl Grantor {
        fn new(prefix: &str, properties: &[(&str, &str)]) -> Self {
            let grantor = Self(Arc::default());
            grantor.0.lock().unwrap().prefix = prefix.to_owned();
            grantor.grant(properties);
            grantor
        }

        fn grant(&self, properties: &[(&str, &str)]) {
            self.0.lock().unwrap().properties = map(properties);
        }
    }

    #[async_trait]
    impl FileAccess for Grantor {
        fn granted(&self, location: &str) -> Option<Arc<Granted>> {
            let granted = self.0.lock().unwrap().clone();
            location.starts_with(&granted.prefix).then(|| granted.into())
        }

        async fn renewed(&self, _: &str) -> Result<Arc<Granted>, CatalogError> {
            Ok(self.0.lock().unwrap().clone().into())
        }

        async fn sign(&self, prefix: &str, request: &StoreRequest) -> Result<Signature, CatalogError> {
            let by_catalog = HeaderValue::from_str(&format!("signed for {prefix}")).unwrap();
            Ok(Signature {
                uri: request.uri.clone(),
                headers: HeaderMap::from_iter([(AUTHORIZATION, by_catalog)]),
                is_reusable: false,
            })
        }
    }

    fn map(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn open(properties: &[(&str, &str)], grantor: &Grantor) -> FileIO {
        let settings = StoresSettings::new(&map(properties)).unwrap();
        let counts = Arc::new(RequestCounts::default());
        settings.open(|_| None, Arc::new(grantor.clone()), counts).file_io
    }

    #[tokio::test]
    async fn tokens_for_gcs_are_those_of_the_moment() {
        let (url, seen) = empty_store::start();
        let grantor = Grantor::new("gs://lake/t/", &[("gcs.oauth2.token", "first")]);
        // What is configured does not count where the catalog gives something out.
        let configured = [
            ("gcs.service.host", url.as_str()),
            ("gcs.oauth2.token", "configured"),
        ];
        let files = open(&configured, &grantor);
        let bearer = || seen.recv().unwrap().headers["authorization"].clone();
        assert!(!files.exists("gs://lake/t/a").await.unwrap());
        assert_eq!(bearer(), "Bearer first");
        grantor.grant(&[("gcs.oauth2.token", "second")]);
        assert!(!files.exists("gs://lake/t/a").await.unwrap());
        assert_eq!(bearer(), "Bearer second");
        assert!(!files.exists("gs://lake/elsewhere").await.unwrap());
        assert_eq!(bearer(), "Bearer configured");
        grantor.grant(&[]);
        let error = files.exists("gs://lake/t/a").await.unwrap_err().to_string();
        assert!(
            error.contains("gives out no credentials for gs://lake/t/ any more"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn where_a_catalog_wants_to_sign_it_does_unless_there_are_keys() {
        let (url, seen) = empty_store::start();
        let signs = [("s3.remote-signing-enabled", "true")];
        let grantor = Grantor::new("s3://lake/t/", &signs);
        let place = [
            ("s3.endpoint", url.as_str()),
            ("s3.path-style-access", "true"),
            ("s3.region", "us-east-1"),
        ];
        assert!(!open(&place, &grantor).exists("s3://lake/t/a").await.unwrap());
        let signed = seen.recv().unwrap();
        assert_eq!(signed.headers["authorization"], "signed for s3://lake/t/");
        // With keys of one's own there is nothing to be signed by others.
        let keys = [("s3.access-key-id", "own"), ("s3.secret-access-key", "secret")];
        let files = open(&[&place[..], &keys].concat(), &grantor);
        assert!(!files.exists("s3://lake/t/a").await.unwrap());
        assert!(seen.recv().unwrap().headers["authorization"].contains("Credential=own/"));
        let keys = [("s3.access-key-id", "given"), ("s3.secret-access-key", "secret")];
        grantor.grant(&[&signs[..], &keys].concat());
        assert!(!open(&place, &grantor).exists("s3://lake/t/a").await.unwrap());
        assert!(seen.recv().unwrap().headers["authorization"].contains("Credential=given/"));
    }

    #[tokio::test]
    async fn signatures_for_adls_are_those_of_the_account_at_the_moment() {
        let (url, seen) = empty_store::start();
        let grantor = Grantor::new(
            ADLS,
            &[
                ("adls.sas-token.other", "sig=other"),
                ("adls.sas-token.shop", "?sv=2025&sig=a%2Bb%3D"),
            ],
        );
        let configured = [("adls.endpoint", url.as_str()), ("adls.account-key", "a2V5")];
        let files = open(&configured, &grantor);
        let asked = || {
            let Asked { line, headers } = seen.recv().unwrap();
            assert!(!headers.contains_key("authorization"), "{headers:?}");
            line
        };
        assert!(!files.exists(format!("{ADLS}/a")).await.unwrap());
        let first = asked();
        assert!(
            first.contains("/t/a?") && first.contains("sig=a%2Bb%3D"),
            "{first}"
        );
        assert!(first.contains("sv=2025") && !first.contains("other"), "{first}");
        // As servers say it that write the account's whole host.
        grantor.grant(&[("adls.sas-token.shop.dfs.core.windows.net", "sig=second")]);
        assert!(!files.exists(format!("{ADLS}/a")).await.unwrap());
        assert!(asked().contains("sig=second"));
    }
}
