//! Requests to AWS's catalogs (Glue, S3 Tables) are signed, each for itself: Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use reqwest::Url;

use super::failure::Failure;

/// Signs with the credentials of the moment, for one service in one region.
#[derive(Clone)]
pub struct AwsSigner {
    credentials: AwsCredentialProvider,
    service: String,
    region: String,
}

impl std::fmt::Debug for AwsSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AwsSigner({} in {})", self.service, self.region)
    }
}

impl AwsSigner {
    /// `service` is the name that signatures have it by: `glue`, `s3tables`.
    pub fn new(credentials: AwsCredentialProvider, service: &str, region: &str) -> Self {
        Self {
            credentials,
            service: service.to_owned(),
            region: region.to_owned(),
        }
    }

    /// `headers` with those that sign the request.
    pub(super) async fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Option<&Bytes>,
    ) -> Result<HeaderMap, Failure> {
        let unsigned = |words: String| Failure::NoToken {
            words,
            refused: false,
        };
        let credential = self.credentials.get_credential().await;
        let credential =
            credential.map_err(|error| unsigned(format!("there are no credentials of AWS: {error}")))?;
        // What the signer would stumble over.
        if credential
            .token
            .as_deref()
            .is_some_and(|token| HeaderValue::from_str(token).is_err())
            || HeaderValue::from_str(&credential.key_id).is_err()
        {
            return Err(unsigned(
                "the credentials of AWS are not one line of text each".to_owned(),
            ));
        }
        let mut request = HttpRequest::new(body.cloned().unwrap_or_default().into());
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|error| unsigned(format!("{url} cannot be signed: {error}")))?;
        AwsAuthorizer::new(&credential, &self.service, &self.region).authorize(&mut request, None);
        Ok(request.into_parts().0.headers)
    }
}
