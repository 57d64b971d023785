//! Why a client as a whole is held up: from librdkafka's codes and words, with what to do about it.

use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

/// What librdkafka adds for its own developers, or guesses where more is known here.
const CHATTER: [&str; 2] = [" (after ", ": broker certificate could not be verified"];

/// A token endpoint may answer with a whole page.
const LONGEST_REASON: usize = 400;

/// One that lasts is told again after this time. librdkafka tries, and fails, up to twenty times a second.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) cause: Cause,
    pub(super) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    KeptOut(KeptOut),
    Other(RDKafkaErrorCode),
}

/// Why the client does not get past the door of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptOut {
    /// The token endpoint does not know the client.
    TokenRefused,
    /// The token endpoint gives no token, and it may some day.
    NoToken,
    /// There is no Kerberos ticket that is good; the KDC may give one some day.
    NoTicket,
    /// Kerberos knows no brokers under the names that are asked for.
    UnknownService,
    /// The broker refuses the user with the password, or the token.
    Credentials,
    /// The broker refuses the client's certificate, or misses one.
    OurCertificate,
    /// The client refuses the broker's certificate.
    TheirCertificate,
    /// One side speaks TLS, and the other one does not, or another kind of it.
    Protocol,
}

impl Outage {
    /// `None`: nothing that holds up the client as a whole; it may be one broker of many.
    pub(super) fn of(code: RDKafkaErrorCode, reason: &str) -> Option<Self> {
        let cause = match KeptOut::of(code, reason) {
            Some(kept_out) => Cause::KeptOut(kept_out),
            None if holds_up(code) => Cause::Other(code),
            None => return None,
        };
        Some(Self::new(cause, reason))
    }

    /// From a line of librdkafka's log: a broker that closes the connection instead of answering a client's first
    /// question. One that expects TLS does, and librdkafka's own guess at it comes with no error.
    pub(super) fn of_hanging_up(line: &str) -> Option<Self> {
        (line.contains(": Disconnected") && line.contains("in state APIVERSION_QUERY"))
            .then(|| Self::new(Cause::KeptOut(KeptOut::Protocol), line))
    }

    fn new(cause: Cause, reason: &str) -> Self {
        let end = CHATTER.iter().filter_map(|words| reason.find(words)).min();
        let reason = &reason[..end.unwrap_or(reason.len())];
        Self {
            cause,
            reason: reason.chars().take(LONGEST_REASON).collect(),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match self.cause {
            Cause::KeptOut(kept_out) => write!(f, "; {}", kept_out.advice()),
            Cause::Other(_) => Ok(()),
        }
    }
}

impl KeptOut {
    fn of(code: RDKafkaErrorCode, reason: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        let says = |words: &[&str]| words.iter().any(|words| reason.contains(words));
        match code {
            Code::Authentication if says(&["acquire SASL OAUTHBEARER token"]) => {
                // As RFC 6749 has it, section 5.2.
                let refused = says(&[
                    "\"invalid_",
                    "\"unauthorized_client\"",
                    "\"unsupported_grant_type\"",
                ]);
                Some(if refused {
                    Self::TokenRefused
                } else {
                    Self::NoToken
                })
            }
            Code::Authentication if says(&["GSSAPI Error"]) => {
                Some(if says(&["not found in Kerberos database"]) {
                    Self::UnknownService
                } else {
                    Self::NoTicket
                })
            }
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState => Some(Self::Credentials),
            Code::SSL | Code::BrokerTransportFailure if says(&["certificate verify failed"]) => {
                Some(Self::TheirCertificate)
            }
            Code::SSL | Code::BrokerTransportFailure
                if says(&["SSL alert number"]) && says(&["certificate", "unknown ca"]) =>
            {
                Some(Self::OurCertificate)
            }
            Code::SSL => Some(Self::Protocol),
            Code::BrokerTransportFailure
                if says(&[
                    "connecting to a PLAINTEXT broker listener?",
                    "connecting to a SSL listener?",
                ]) =>
            {
                Some(Self::Protocol)
            }
            _ => None,
        }
    }

    /// What to look at, for somebody who has the configuration.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::TokenRefused => {
                "check sasl.oauthbearer.client.id, sasl.oauthbearer.client.secret and sasl.oauthbearer.scope"
            }
            Self::NoToken => {
                "check that sasl.oauthbearer.token.endpoint.url answers, and https.ca.location if its certificate is \
                 from an authority of your own"
            }
            Self::NoTicket => {
                "check sasl.kerberos.principal and sasl.kerberos.keytab, and that the KDC answers: `kinit`, which has to be \
                 installed, says beside this what it lacks"
            }
            Self::UnknownService => {
                "check sasl.kerberos.service.name, and write the brokers' hosts in `bootstrap` as their principals have \
                 them"
            }
            Self::Credentials => {
                "check sasl.mechanism, sasl.username and sasl.password, or with OAUTHBEARER what the brokers expect \
                 of a token"
            }
            Self::OurCertificate => {
                "check ssl.certificate.location and ssl.key.location: the brokers want a certificate that has not \
                 expired, from an authority that they trust"
            }
            Self::TheirCertificate => {
                "it has expired, is in another host's name, or from an authority that ssl.ca.location does not have: \
                 `tabletopic check` says which"
            }
            Self::Protocol => "check security.protocol, and the ports in `bootstrap`",
        }
    }
}

/// Whether the whole client is held up until somebody mends it, rather than one broker of many.
fn holds_up(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::GroupAuthorizationFailed
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::PollExceeded
    )
}

/// What was told of outages, and when.
#[derive(Default)]
pub(super) struct Told(Vec<(Cause, Instant)>);

impl Told {
    /// Whether it is time to tell of this one, `now`.
    pub(super) fn is_news(&mut self, cause: Cause, now: Instant) -> bool {
        let before = self.0.iter_mut().find(|(other, _)| *other == cause);
        match before {
            Some((_, at)) if now.duration_since(*at) < AGAIN => false,
            Some((_, at)) => {
                *at = now;
                true
            }
            None => {
                self.0.push((cause, now));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts that librdkafka 2.12.1 makes, with OpenSSL 3 and brokers of Kafka 4.3.
    #[test]
    fn what_keeps_a_client_out_is_told_by_librdkafkas_words() {
        use RDKafkaErrorCode as Code;
        let cases = [
            (
                Code::Authentication,
                "Failed to acquire SASL OAUTHBEARER token: {\"error\": \"invalid_client\"}",
                KeptOut::TokenRefused,
            ),
            (
                Code::Authentication,
                "Failed to acquire SASL OAUTHBEARER token: Failed to connect to 127.0.0.1:1 after 0 ms: Could not \
                 connect to server",
                KeptOut::NoToken,
            ),
            (
                Code::Authentication,
                "sasl_ssl://127.0.0.1:9093/bootstrap: SASL authentication error: Authentication failed: Invalid \
                 username or password (after 5ms in state AUTH_REQ)",
                KeptOut::Credentials,
            ),
            (
                Code::SSL,
                "ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate \
                 verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly \
                 configured or root CA certificates are installed (install ca-certificates package) (after 4ms in \
                 state SSL_HANDSHAKE)",
                KeptOut::TheirCertificate,
            ),
            (
                Code::BrokerTransportFailure,
                "ssl://127.0.0.1:9093/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad \
                 certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)",
                KeptOut::OurCertificate,
            ),
            (
                Code::BrokerTransportFailure,
                "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker \
                 listener? (after 1ms in state SSL_HANDSHAKE)",
                KeptOut::Protocol,
            ),
        ];
        for (code, text, kept_out) in cases {
            let outage = Outage::of(code, text).unwrap();
            assert_eq!(outage.cause, Cause::KeptOut(kept_out), "{text}");
            let told = outage.to_string();
            assert!(
                told.ends_with(kept_out.advice()) && !told.contains("(after"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_broker_that_hangs_up_at_the_first_question_speaks_another_protocol() {
        let hangs_up = |state: &str| {
            Outage::of_hanging_up(&format!(
                "[thrd:127.0.0.1:9093/bootstrap]: 127.0.0.1:9093/bootstrap: Disconnected (after 3ms in state {state})"
            ))
        };
        let told = hangs_up("APIVERSION_QUERY").unwrap().to_string();
        assert!(
            told.ends_with(": Disconnected; check security.protocol, and the ports in `bootstrap`"),
            "{told}"
        );
        assert_eq!(hangs_up("UP"), None);
    }

    #[test]
    fn one_broker_of_many_is_no_outage() {
        let text = "ssl://b1:9093/1: Connect to ipv4#10.0.0.1:9093 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(Outage::of(RDKafkaErrorCode::BrokerTransportFailure, text), None);
    }

    #[test]
    fn an_outage_that_lasts_is_told_now_and_then() {
        let (mut told, start) = (Told::default(), Instant::now());
        let cause = Cause::KeptOut(KeptOut::Credentials);
        assert!(told.is_news(cause, start));
        assert!(!told.is_news(cause, start + AGAIN / 2));
        assert!(told.is_news(Cause::KeptOut(KeptOut::NoToken), start + AGAIN / 2));
        assert!(told.is_news(cause, start + AGAIN));
    }
}
