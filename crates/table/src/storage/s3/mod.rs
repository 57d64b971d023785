//! Amazon S3, and what speaks its protocol.

mod abandoned;
mod credentials;
mod profile;
mod remote_signing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::client::HttpConnector;

use super::client::{self, Connector};
use super::counting::RequestCounts;
use super::object_storage::WriteOptions;
use super::properties::{Properties, S3_TAGS, SettingsError};
use super::settings::{Environment, OpenError, Place};
use super::vended::Vended;
pub use abandoned::AbandonedUploads;
use abandoned::Bucket;
use credentials::{Login, log_in, vended_keys};
pub use credentials::{aws_credentials, aws_region};
use remote_signing::SigningConnector;

/// Those whose objects can be read at once: a table in an archive could not be committed to.
const CLASSES: [&str; 6] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "REDUCED_REDUNDANCY",
];

/// As the warehouse's URI and the properties say; the environment says the rest when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    place: Place,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: bool,
    login: Option<Login>,
    /// As the header `x-amz-server-side-encryption` has it, and the id of a key of KMS.
    encryption: Option<(&'static str, Option<String>)>,
    abort_after: Duration,
    pub(super) write: WriteOptions,
}

impl S3Settings {
    pub(super) fn new(place: Place, properties: &Properties<'_>) -> Result<Self, SettingsError> {
        let endpoint = properties.url("s3.endpoint")?.map(str::to_owned);
        let path_style = properties.flag("s3.path-style-access")?;
        if let Some(endpoint) = endpoint.as_deref().filter(|_| !path_style) {
            host_named(endpoint).map_err(|message| SettingsError::of("s3.endpoint", message))?;
        }
        let class = properties.one_of("s3.write.storage-class", &CLASSES)?;
        Ok(Self {
            endpoint,
            region: properties.text("s3.region")?.map(str::to_owned),
            path_style,
            login: Login::new(properties)?,
            encryption: encryption(properties)?,
            abort_after: properties
                .duration("s3.multipart.abort-after")?
                .unwrap_or(Duration::from_secs(24 * 60 * 60)),
            write: WriteOptions::new(class, &properties.tags(S3_TAGS)?),
            place,
        })
    }

    pub(super) fn root(&self) -> String {
        format!("s3://{}", self.place.authority)
    }

    /// With credentials that are `vended`, or else those of the settings, or else signatures of the catalog where it wants
    /// to sign, or else credentials that the environment leads to.
    pub(super) fn open(
        &self,
        vended: Option<&Vended>,
        environment: &Environment<'_>,
        counts: Arc<RequestCounts>,
    ) -> Result<(Arc<dyn ObjectStore>, AbandonedUploads), OpenError> {
        let endpoint = self.endpoint.clone().or_else(|| {
            let said = environment("AWS_ENDPOINT_URL_S3").or_else(|| environment("AWS_ENDPOINT_URL"));
            said.map(|url| url.trim_end_matches('/').to_owned())
        });
        let region = match self.region.clone().or_else(|| aws_region(environment)) {
            Some(region) => region,
            // Where it only is a part of signatures.
            None if endpoint.is_some() => "us-east-1".to_owned(),
            None => {
                let message =
                    "the region of the bucket is not known; write s3.region in [storage], or set AWS_REGION";
                return Err(OpenError(message.to_owned()));
            }
        };
        let url = self.bucket_url(endpoint.as_deref(), &region)?;
        let options = client::options(Some(&url));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.place.authority)
            .with_region(&region)
            // The URL has the bucket in it already, in either style.
            .with_virtual_hosted_style_request(true)
            .with_endpoint(&url)
            .with_client_options(options.clone())
            .with_http_connector(Connector(counts.clone()))
            .with_retry(client::retries());
        if let Some((kind, key)) = &self.encryption {
            builder = builder.with_config("aws_server_side_encryption".parse()?, *kind);
            if let Some(key) = key {
                builder = builder.with_config("aws_sse_kms_key_id".parse()?, key);
            }
        }
        let credentials = vended.and_then(|vended| vended.credentials(vended_keys));
        let signer = vended.filter(|vended| remote_signing::is_asked_for(vended));
        let s3 = match (credentials, &self.login, signer) {
            (Some(credentials), _, _) => builder.with_credentials(credentials),
            (None, None, Some(signer)) => {
                let connector = SigningConnector {
                    connector: Connector(counts.clone()),
                    vended: signer.clone(),
                    region: region.clone(),
                };
                builder.with_skip_signature(true).with_http_connector(connector)
            }
            (None, login, _) => log_in(builder, login.as_ref(), environment)?,
        };
        let s3 = s3.build()?;
        let bucket = Bucket {
            http: Connector(counts.clone()).connect(&options)?,
            store: s3.clone(),
            url,
            region,
            prefix: self.place.prefix.clone(),
        };
        Ok((
            Arc::new(s3),
            AbandonedUploads::new(bucket, self.abort_after, counts),
        ))
    }

    /// Where the bucket's objects are, without a slash at the end.
    fn bucket_url(&self, endpoint: Option<&str>, region: &str) -> Result<String, OpenError> {
        let bucket = &self.place.authority;
        // A certificate is good for one name in front of the service's own.
        let path_style = self.path_style || (endpoint.is_none() && bucket.contains('.'));
        let service = match endpoint {
            Some(endpoint) => endpoint.to_owned(),
            None if region.starts_with("cn-") => format!("https://s3.{region}.amazonaws.com.cn"),
            None => format!("https://s3.{region}.amazonaws.com"),
        };
        if path_style {
            return Ok(format!("{service}/{bucket}"));
        }
        let (scheme, host) =
            host_named(&service).map_err(|problem| OpenError(format!("{service} {problem}")))?;
        Ok(format!("{scheme}://{bucket}.{host}"))
    }
}

/// An endpoint's scheme and host, in front of which the bucket's name can stand.
fn host_named(endpoint: &str) -> Result<(&str, &str), &'static str> {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let name = host.split(':').next().unwrap_or(host);
    if host.starts_with('[') || name.parse::<IpAddr>().is_ok() || name == "localhost" || host.contains('/') {
        return Err("has no room for a bucket in front of its name; write s3.path-style-access = true");
    }
    Ok((scheme, host))
}

fn encryption(properties: &Properties<'_>) -> Result<Option<(&'static str, Option<String>)>, SettingsError> {
    let key = properties.text("s3.sse.key")?.map(str::to_owned);
    let header = match properties.one_of("s3.sse.type", &["none", "s3", "kms", "dsse-kms"])? {
        Some("s3") => "AES256",
        Some("kms") => return Ok(Some(("aws:kms", key))),
        Some("dsse-kms") => return Ok(Some(("aws:kms:dsse", key))),
        _ => "",
    };
    match key {
        Some(_) => Err(SettingsError::of(
            "s3.sse.key",
            "is a key of KMS; write s3.sse.type = \"kms\", or remove it",
        )),
        None => Ok((!header.is_empty()).then_some((header, None))),
    }
}

#[cfg(test)]
mod tests;
