//! Where credentials for S3 come from: the first of these that has some.
//!
//! 1. the properties: keys, or the name of a profile;
//! 2. keys in the environment;
//! 3. web identity, whose token file is read again for each session;
//! 4. a profile in the files that AWS's tools share, read again for each request ([`profile`](super::profile));
//! 5. the credentials of a container or a pod;
//! 6. the instance's metadata.
//!
//! The order is that of AWS's own clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};

use super::super::hidden::Hidden;
use super::super::properties::{Properties, SettingsError};
use super::super::settings::{Environment, OpenError};
use super::profile::{ProfileCredentials, SharedFiles};

const KEY_ID: &str = "s3.access-key-id";
const SECRET: &str = "s3.secret-access-key";
const TOKEN: &str = "s3.session-token";

/// What the properties say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    Keys {
        key_id: String,
        secret: Hidden,
        token: Option<Hidden>,
    },
    Profile(String),
}

impl Login {
    pub(super) fn new(properties: &Properties<'_>) -> Result<Option<Self>, SettingsError> {
        let [key_id, secret, token] = [KEY_ID, SECRET, TOKEN].map(|name| properties.text(name));
        let profile = properties.text("s3.profile-name")?;
        match (key_id?, secret?, token?, profile) {
            (None, None, None, profile) => Ok(profile.map(|profile| Self::Profile(profile.to_owned()))),
            (Some(key_id), Some(secret), token, None) => Ok(Some(Self::Keys {
                key_id: key_id.to_owned(),
                secret: Hidden::new(secret),
                token: token.map(Hidden::new),
            })),
            (_, _, _, Some(_)) => Err(SettingsError::of(
                "s3.profile-name",
                "stands beside keys; write keys or the name of a profile",
            )),
            (given, _, _, None) => Err(SettingsError::of(
                if given.is_some() { KEY_ID } else { SECRET },
                "is one of two; write s3.access-key-id and s3.secret-access-key, or neither",
            )),
        }
    }
}

/// What a catalog gives out.
pub(super) fn vended_keys(properties: &BTreeMap<String, String>) -> Option<AwsCredential> {
    Some(AwsCredential {
        key_id: properties.get(KEY_ID)?.clone(),
        secret_key: properties.get(SECRET)?.clone(),
        token: properties.get(TOKEN).cloned(),
    })
}

/// What the client itself knows to use, in its own order, which is the one above.
const PASSED_ON: [(&str, AmazonS3ConfigKey); 11] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
    (
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        AmazonS3ConfigKey::MetadataEndpoint,
    ),
];

/// Credentials for another service of AWS than its store: the keys of one who has some, or those that the environment
/// leads to. They are renewed as a store's are.
///
/// # Errors
/// There are none, so far as can be told without asking.
pub fn aws_credentials(
    keys: Option<AwsCredential>,
    environment: &Environment<'_>,
) -> Result<AwsCredentialProvider, OpenError> {
    if let Some(keys) = keys {
        return Ok(Arc::new(StaticCredentialProvider::new(keys)));
    }
    // Their client is a part of the store's, which nobody asks here.
    let builder = AmazonS3Builder::new()
        .with_bucket_name("none")
        .with_region("us-east-1");
    let store = log_in(builder, None, environment)?.build()?;
    Ok(store.credentials().clone())
}

/// The region that the environment or the profile says.
pub fn aws_region(environment: &Environment<'_>) -> Option<String> {
    environment("AWS_REGION")
        .or_else(|| environment("AWS_DEFAULT_REGION"))
        .or_else(|| SharedFiles::of(environment).region(&profile_of(environment)))
}

pub(super) fn log_in(
    builder: AmazonS3Builder,
    login: Option<&Login>,
    environment: &Environment<'_>,
) -> Result<AmazonS3Builder, OpenError> {
    match login {
        Some(Login::Keys {
            key_id,
            secret,
            token,
        }) => {
            let builder = builder
                .with_access_key_id(key_id)
                .with_secret_access_key(secret.reveal());
            Ok(match token {
                Some(token) => builder.with_token(token.reveal()),
                None => builder,
            })
        }
        Some(Login::Profile(profile)) => with_profile(builder, profile, environment),
        None => by_environment(builder, environment),
    }
}

fn by_environment(
    mut builder: AmazonS3Builder,
    environment: &Environment<'_>,
) -> Result<AmazonS3Builder, OpenError> {
    let said = |name: &str| environment(name).filter(|value| !value.is_empty());
    for (name, key) in PASSED_ON {
        if let Some(value) = said(name) {
            builder = builder.with_config(key, value);
        }
    }
    let keys = said("AWS_ACCESS_KEY_ID").is_some() || said("AWS_SECRET_ACCESS_KEY").is_some();
    let web_identity = said("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && said("AWS_ROLE_ARN").is_some();
    if keys || web_identity {
        return Ok(builder);
    }
    let profile = profile_of(environment);
    if said("AWS_PROFILE").is_some() || SharedFiles::of(environment).has(&profile) {
        return with_profile(builder, &profile, environment);
    }
    let container = said("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
        || said("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some();
    if !container && said("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        let message = "there are no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write \
                       s3.profile-name in [storage]";
        return Err(OpenError(message.to_owned()));
    }
    Ok(builder)
}

fn with_profile(
    builder: AmazonS3Builder,
    profile: &str,
    environment: &Environment<'_>,
) -> Result<AmazonS3Builder, OpenError> {
    let credentials = ProfileCredentials::open(SharedFiles::of(environment), profile)?;
    Ok(builder.with_credentials(Arc::new(credentials)))
}

fn profile_of(environment: &Environment<'_>) -> String {
    environment("AWS_PROFILE")
        .filter(|profile| !profile.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}
