//! AWS's IAM at the door of Amazon MSK: a token is a signed URL, which the brokers have AWS look at
//! (<https://github.com/aws/aws-msk-iam-auth>, <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use tabletopic_clock::{Clock, Millis};

use crate::tokens::{Token, Tokens};

/// The name of the mechanism in Java's clients; to the brokers it is OAUTHBEARER.
pub(crate) const MECHANISM: &str = "AWS_MSK_IAM";

const SERVICE: &str = "kafka-cluster";

/// As long as a broker takes a token for.
const SECONDS: Millis = 900;

/// RFC 3986's unreserved characters stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What requests to AWS are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    pub id: String,
    pub secret: String,
    /// Of keys that end.
    pub session_token: Option<String>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where keys come from.
pub trait AwsCredentials: fmt::Debug + Send + Sync {
    /// Those of now.
    ///
    /// # Errors
    /// Why there are none, and what to do.
    fn keys(&self) -> Result<AwsKeys, String>;
}

/// Tokens for the brokers of a region.
#[derive(Debug)]
pub struct MskIam {
    pub region: String,
    pub credentials: Arc<dyn AwsCredentials>,
    pub clock: Arc<dyn Clock>,
}

impl MskIam {
    /// The region that a broker of MSK has in its name: `b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com:9098`.
    pub fn region_of(bootstrap: &str) -> Option<&str> {
        let (_, after) = bootstrap
            .split_once(".kafka.")
            .or_else(|| bootstrap.split_once(".kafka-serverless."))?;
        let (region, domain) = after.split_once('.')?;
        domain.starts_with("amazonaws.com").then_some(region)
    }
}

impl Tokens for MskIam {
    fn token(&self) -> Result<Token, String> {
        let keys = self.credentials.keys()?;
        let made = self.clock.now();
        let url = signed_url(&self.region, &keys, made)?;
        Ok(Token {
            text: URL_SAFE_NO_PAD.encode(url),
            principal: keys.id,
            made,
            ends: made + SECONDS * 1000,
        })
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// The request that the token stands for, signed.
fn signed_url(region: &str, keys: &AwsKeys, at: Millis) -> Result<String, String> {
    let time = DateTime::from_timestamp_millis(at).ok_or_else(|| format!("no date has the time {at}"))?;
    let (date, time) = (
        time.format("%Y%m%d").to_string(),
        time.format("%Y%m%dT%H%M%SZ").to_string(),
    );
    let host = format!("kafka.{region}.amazonaws.com");
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let mut query = vec![
        ("Action", "kafka-cluster:Connect".to_owned()),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", format!("{}/{scope}", keys.id)),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", SECONDS.to_string()),
    ];
    query.extend(
        keys.session_token
            .iter()
            .map(|token| ("X-Amz-Security-Token", token.clone())),
    );
    query.push(("X-Amz-SignedHeaders", "host".to_owned()));
    // In the order of their names, as they stand here.
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)))
        .collect();
    let query = query.join("&");
    let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{}", hex(hash("").as_ref()));
    let signed = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(hash(&request).as_ref())
    );
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [date.as_str(), region, SERVICE, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &signed));
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "https://{host}/?{query}&X-Amz-Signature={signature}&User-Agent=tabletopic%2F{version}"
    ))
}

fn hash(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, text.as_bytes())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By botocore 1.40's `SigV4QueryAuth`, of the same keys at the same time.
    #[test]
    fn a_url_is_signed_as_botocore_signs_it() {
        let at = 1_767_323_045_000;
        let signed = |session_token: Option<&str>| {
            let keys = AwsKeys {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "a-secret".to_owned(),
                session_token: session_token.map(str::to_owned),
            };
            signed_url("eu-west-1", &keys, at).unwrap()
        };
        let url = signed(None);
        assert!(
            url.starts_with(
                "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                 &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
                 &X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
                 &X-Amz-Signature=9c8e1b2e69294e0e9e735a1731df04e0b977375166e20d148027c9a7e04158ec&User-Agent="
            ),
            "{url}"
        );
        let url = signed(Some("a/session+token=="));
        assert!(
            url.contains("&X-Amz-Security-Token=a%2Fsession%2Btoken%3D%3D&")
                && url.contains("=165cb150beb2e66c791411d8fe40c9de03f4d39bd2e9d0cfff5b0807d1bf3acb&"),
            "{url}"
        );
    }

    #[test]
    fn the_region_is_in_a_brokers_name() {
        let region = |name| MskIam::region_of(name);
        assert_eq!(
            region("b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"),
            Some("eu-west-1")
        );
        assert_eq!(
            region("boot-x.c1.kafka-serverless.us-east-1.amazonaws.com:9098"),
            Some("us-east-1")
        );
        assert_eq!(
            region("b-1.demo.kafka.cn-north-1.amazonaws.com.cn:9098"),
            Some("cn-north-1")
        );
        assert_eq!(region("kafka.example.com:9098"), None);
    }
}
