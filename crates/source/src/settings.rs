//! Kafka settings: which librdkafka properties a configuration may set, and what we set ourselves.
//!
//! It is an allow-list, because librdkafka can load plugins and run commands by property, and
//! because several properties would silently break the commit protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::{PropertyFiles, Tokens, gzip, kerberos, msk_iam};

/// How members of a group agree on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// Cooperative rebalancing, computed by a member; every broker since Kafka 2.4 has it.
    #[default]
    Classic,
    /// KIP-848, computed by the broker; Kafka 4.0 and later.
    Consumer,
}

/// What a client needs to know. [`KafkaSettings::validate`] says whether it is allowed.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    pub group: String,
    pub group_protocol: GroupProtocol,
    /// Static membership: a member that comes back under the same id within `session.timeout.ms`
    /// gets its partitions back without a rebalance. Unique per client, so per worker.
    pub instance_id: Option<String>,
    /// Bytes of records that a client may have fetched and not handed out, in all its partitions together.
    pub prefetch: usize,
    /// How long a broker may keep an answer back that has less than 64 KiB.
    pub fetch_wait: Duration,
    /// Further librdkafka properties, by librdkafka's names.
    pub properties: BTreeMap<String, String>,
    /// Where values of them stand in files: they are read again while clients run.
    pub files: Option<Arc<dyn PropertyFiles>>,
    /// With the mechanism `AWS_MSK_IAM`: what clients log in with.
    pub tokens: Option<Arc<dyn Tokens>>,
}

/// As much as a client gains from. Buffers that outgrow the processor's caches make reading slower: it is far below
/// librdkafka's default.
pub const MOST_PREFETCH: usize = 32 << 20;

/// A longer one would hold up what is asked of the broker on the same connection.
pub const LONGEST_FETCH_WAIT: Duration = Duration::from_millis(250);

/// What librdkafka takes from a broker at once, and from a batch of zstd. Ours for a batch of gzip.
const LARGEST_ANSWER: &str = "receive.message.max.bytes";
const LARGEST_ANSWER_DEFAULT: usize = 100_000_000;

/// What librdkafka allocates for each record beside its bytes.
const RECORD_OVERHEAD: usize = 320;

impl KafkaSettings {
    pub fn new(bootstrap: impl Into<String>, group: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            group: group.into(),
            group_protocol: GroupProtocol::default(),
            instance_id: None,
            prefetch: MOST_PREFETCH,
            fetch_wait: LONGEST_FETCH_WAIT,
            properties: BTreeMap::new(),
            files: None,
            tokens: None,
        }
    }

    /// # Errors
    /// The first property that may not be set, or whose value librdkafka does not take: why, and what to write
    /// instead.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let taken = self.consumer()?.create_native_config();
        taken
            .map(drop)
            .or_else(|error| match SettingsError::refused(error) {
                Ok(refused) => Err(refused),
                // Of the client as a whole: it says so when it is made.
                Err(_) => Ok(()),
            })
    }

    /// Whether the properties, taken together, say how to log in, and this build can.
    ///
    /// # Errors
    /// What is missing, and what to write.
    pub fn can_log_in(&self) -> Result<(), SettingsError> {
        let property = |name: &str| self.properties.get(name).map(String::as_str);
        let protocol = property("security.protocol").unwrap_or_default();
        if !protocol.to_ascii_lowercase().starts_with("sasl") {
            return Ok(());
        }
        match self.mechanism() {
            None => Err(SettingsError::NoMechanism),
            Some(kerberos::MECHANISM) => kerberos::can_log_in(&self.properties),
            Some(_) => Ok(()),
        }
    }

    /// Whether clients log in by AWS's IAM, with [`Self::tokens`].
    pub fn is_aws_iam(&self) -> bool {
        self.mechanism() == Some(msk_iam::MECHANISM)
    }

    fn mechanism(&self) -> Option<&str> {
        let property = |name: &str| self.properties.get(name).map(String::as_str);
        property("sasl.mechanism").or(property("sasl.mechanisms"))
    }

    /// Whether everything may be set that is.
    fn allowed(&self) -> Result<(), SettingsError> {
        if self.bootstrap.trim().is_empty() {
            return Err(SettingsError::Empty { key: "bootstrap" });
        }
        if self.group.trim().is_empty() {
            return Err(SettingsError::Empty { key: "group" });
        }
        self.properties.keys().try_for_each(|property| judge(property))?;
        kerberos::can_be_quoted(&self.properties)
    }

    /// The configuration of a consuming client.
    pub(crate) fn consumer(&self) -> Result<ClientConfig, SettingsError> {
        let mut config = self.client()?;
        config.set("group.id", &self.group);
        let fetching = self.fetching();
        let fetching = fetching
            .iter()
            .map(|(property, value)| (*property, value.as_str()));
        for (property, value) in DEFAULTS.iter().copied().chain(fetching) {
            if !self.properties.contains_key(property) {
                config.set(property, value);
            }
        }
        match self.group_protocol {
            GroupProtocol::Classic => {
                config.set("group.protocol", "classic");
                config.set("partition.assignment.strategy", "cooperative-sticky");
            }
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer");
            }
        }
        if let Some(id) = &self.instance_id {
            config.set("group.instance.id", id);
        }
        Ok(config)
    }

    /// How long a client waits for records, and what bounds its memory. All its partitions share one queue. It goes on fetching while the
    /// queue holds fewer records *and* fewer bytes than these; what it has asked for then still comes, a response for
    /// each broker, which takes several times its bytes once it is decompressed. A message larger than any of these
    /// still passes.
    fn fetching(&self) -> [(&'static str, String); 4] {
        [
            ("fetch.wait.max.ms", self.fetch_wait.as_millis().to_string()),
            (
                "queued.max.messages.kbytes",
                (self.prefetch >> 10).max(1).to_string(),
            ),
            (
                "queued.min.messages",
                (self.prefetch / RECORD_OVERHEAD).max(1).to_string(),
            ),
            ("fetch.max.bytes", (self.prefetch / 4).max(1 << 20).to_string()),
        ]
    }

    /// The configuration of a client that reads single records and joins no group (it needs the name of one all the
    /// same, before it can be assigned anything).
    pub(crate) fn peeking(&self) -> Result<ClientConfig, SettingsError> {
        let mut config = self.client()?;
        config.set("group.id", &self.group);
        for (property, value) in PEEKING {
            config.set(*property, *value);
        }
        Ok(config)
    }

    /// The configuration of a client that reads partitions to their ends and tells when it is there. It takes no part
    /// in the group.
    pub(crate) fn reader(&self) -> Result<ClientConfig, SettingsError> {
        let mut config = self.client()?;
        // The client assigns nothing without one.
        config.set("group.id", &self.group);
        config.set("enable.partition.eof", "true");
        Ok(config)
    }

    /// The configuration of a client that writes in transactions: in order, once, and to all replicas. A client of the same
    /// `transactional_id` that began before writes no more.
    pub(crate) fn writer(&self, transactional_id: &str) -> Result<ClientConfig, SettingsError> {
        let mut config = self.client()?;
        for property in CONSUMERS_ONLY {
            config.remove(property);
        }
        for (property, value) in WRITING {
            config.set(*property, *value);
        }
        if !self.properties.contains_key(LARGEST_REQUEST) {
            // What is too large for the topic, the broker says.
            config.set(LARGEST_REQUEST, "1000000000");
        }
        config.set("transactional.id", transactional_id);
        Ok(config)
    }

    /// Has TLS accept certificates from the authorities that the system trusts, where none are named. OpenSSL would look
    /// for them where it was built.
    fn trust_the_system(&self, config: &mut ClientConfig) {
        let system = openssl_probe::probe();
        let place = system.cert_file.or(system.cert_dir.into_iter().next());
        let Some(place) = place.as_deref().and_then(Path::to_str) else {
            return;
        };
        for of in ["ssl.ca", "https.ca"] {
            let (location, pem) = (format!("{of}.location"), format!("{of}.pem"));
            if !self.properties.contains_key(&location) && !self.properties.contains_key(&pem) {
                config.set(location, place);
            }
        }
    }

    /// The configuration of a client that joins no group.
    pub(crate) fn client(&self) -> Result<ClientConfig, SettingsError> {
        self.allowed()?;
        let mut config = ClientConfig::new();
        // That a broker hangs up on a client is no error to librdkafka, only a line of its log at this level.
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("client.id", "tabletopic");
        for (property, value) in &self.properties {
            config.set(property, value);
        }
        for (property, value, _) in FIXED {
            if let Some(value) = value {
                config.set(*property, *value);
            }
        }
        if self.is_aws_iam() {
            config.remove("sasl.mechanism");
            config.set("sasl.mechanisms", "OAUTHBEARER");
        }
        if self.mechanism() == Some(kerberos::MECHANISM) {
            let (property, command) = kerberos::COMMAND;
            config.set(property, command);
        }
        self.trust_the_system(&mut config);
        let largest = self
            .properties
            .get(LARGEST_ANSWER)
            .and_then(|bytes| bytes.parse().ok());
        gzip::allow(largest.unwrap_or(LARGEST_ANSWER_DEFAULT));
        Ok(config)
    }
}

/// Property values may be credentials, under names that nobody can list for certain: none prints.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .field("group_protocol", &self.group_protocol)
            .field("instance_id", &self.instance_id)
            .field("prefetch", &self.prefetch)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

/// Why a setting is refused. No variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("kafka.{key} is empty")]
    Empty { key: &'static str },
    #[error("kafka property \"{property}\" cannot be set: it runs code or loads code from files")]
    RunsCode { property: String },
    #[error("kafka property \"{property}\" cannot be set: {because}")]
    Fixed { property: String, because: &'static str },
    #[error(
        "kafka property \"{property}\" is not among those that can be set; the nearest one is \"{nearest}\""
    )]
    NotAllowed { property: String, nearest: &'static str },
    #[error(
        "security.protocol asks for a login, and none is said: write sasl.mechanism = \"SCRAM-SHA-512\", or which one \
         the brokers want"
    )]
    NoMechanism,
    #[error(
        "this build cannot log in by GSSAPI (Kerberos): build it with `cargo build --release --features gssapi`, or use \
         another sasl.mechanism"
    )]
    NoGssapi,
    #[error(
        "sasl.mechanism = \"GSSAPI\" wants {property} as well, with which `kinit` gets tickets; if something else keeps \
         the credential cache, write sasl.kerberos.min.time.before.relogin = \"0\""
    )]
    NoTickets { property: &'static str },
    #[error("kafka property \"{property}\" cannot have a ' in it, because it goes into a command of a shell")]
    Quote { property: &'static str },
    #[error("kafka property \"{property}\": librdkafka refuses its value: {reason}")]
    Refused { property: String, reason: String },
}

impl SettingsError {
    /// librdkafka's words about a property, with the value taken out of them.
    ///
    /// # Errors
    /// Hands back what is not about one property.
    pub(crate) fn refused(error: KafkaError) -> Result<Self, KafkaError> {
        match error {
            KafkaError::ClientConfig(_, reason, property, value) => {
                let reason = match value.as_str() {
                    "" => reason,
                    value => reason.replace(value, "***"),
                };
                Ok(Self::Refused { property, reason })
            }
            other => Err(other),
        }
    }
}

fn judge(property: &str) -> Result<(), SettingsError> {
    if ALLOWED.contains(&property) {
        return Ok(());
    }
    let property = property.to_owned();
    if RUNS_CODE.contains(&property.as_str()) {
        return Err(SettingsError::RunsCode { property });
    }
    if let Some((_, _, because)) = FIXED.iter().find(|(name, ..)| *name == property) {
        return Err(SettingsError::Fixed { property, because });
    }
    let nearest = ALLOWED
        .iter()
        .copied()
        .max_by(|a, b| strsim::jaro_winkler(a, &property).total_cmp(&strsim::jaro_winkler(b, &property)))
        .unwrap_or_default();
    Err(SettingsError::NotAllowed { property, nearest })
}

/// What we set unless the user does, beside what bounds the memory of a client.
const DEFAULTS: &[(&str, &str)] = &[
    ("max.partition.fetch.bytes", "1048576"),
    // A response for many records: where they come one by one, librdkafka's 1 byte is a request for nearly each, and
    // most of what the process does. For what is less nobody waits longer than `fetch_wait`.
    ("fetch.min.bytes", "65536"),
    // How long a partition rests once the queue is full. librdkafka's 1 s is long enough for the
    // worker to empty the queue and idle.
    ("fetch.queue.backoff.ms", "20"),
    // A new partition or topic is read this soon.
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// One record of each partition is wanted, and nothing is fetched ahead. A batch that is larger than a limit comes all
/// the same, one in each answer.
const PEEKING: &[(&str, &str)] = &[
    ("queued.min.messages", "1"),
    ("queued.max.messages.kbytes", "1024"),
    ("max.partition.fetch.bytes", "65536"),
    ("fetch.max.bytes", "1048576"),
];

/// How records are written. Those of a request are compressed together; 64 MiB wait at most.
const WRITING: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    // More of them would not stay in order.
    ("max.in.flight.requests.per.connection", "5"),
    ("compression.type", "lz4"),
    ("linger.ms", "20"),
    ("queue.buffering.max.kbytes", "65536"),
    // A broker may not allow more; our transactions take seconds.
    ("transaction.timeout.ms", "60000"),
];

/// What a client sends at once, which for one that writes is the largest record.
const LARGEST_REQUEST: &str = "message.max.bytes";

/// Properties that mean nothing to a client that writes, by librdkafka's `CONFIGURATION.md`, and one that has two names.
const CONSUMERS_ONLY: &[&str] = &[
    "auto.offset.reset",
    "check.crcs",
    "coordinator.query.interval.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.in.flight",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// What the protocol (or a key of our own) decides: property, the value that we set, why.
const FIXED: &[(&str, Option<&str>, &str)] = &[
    (
        "isolation.level",
        Some("read_committed"),
        "records of aborted transactions must not reach a table",
    ),
    (
        "enable.auto.commit",
        Some("false"),
        "the table holds the progress, group offsets are only mirrored",
    ),
    (
        "enable.auto.offset.store",
        Some("false"),
        "the table holds the progress, group offsets are only mirrored",
    ),
    (
        "auto.offset.reset",
        Some("error"),
        "a lost position must halt, not skip or repeat records",
    ),
    (
        "enable.partition.eof",
        Some("false"),
        "end-of-partition events move the position one too far",
    ),
    (
        "allow.auto.create.topics",
        Some("false"),
        "reading must not create topics",
    ),
    ("offset.store.method", None, "the table holds the progress"),
    (
        "auto.commit.interval.ms",
        None,
        "the table holds the progress, nothing is committed automatically",
    ),
    ("partition.assignment.strategy", None, "it is cooperative-sticky"),
    ("group.remote.assignor", None, "the broker's default is used"),
    ("bootstrap.servers", None, "write it as `bootstrap`"),
    ("metadata.broker.list", None, "write it as `bootstrap`"),
    ("group.id", None, "write it as `group`"),
    ("group.protocol", None, "write it as `group_protocol`"),
    ("group.instance.id", None, "write it as `instance_id`"),
    ("enabled_events", None, "the client's own events are needed"),
    ("log_level", None, "logging is configured for the whole process"),
    (
        "debug",
        None,
        "its output may show credentials and record contents in the log",
    ),
    ("statistics.interval.ms", None, "nothing reads the statistics"),
];

const RUNS_CODE: &[&str] = &[
    "plugin.library.paths",
    "interceptors",
    "sasl.kerberos.kinit.cmd",
    "ssl.engine.location",
    "ssl.engine.id",
    "ssl_engine_callback_data",
    "ssl.providers",
];

const ALLOWED: &[&str] = &[
    "api.version.fallback.ms",
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "check.crcs",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "coordinator.query.interval.ms",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "https.ca.location",
    "https.ca.pem",
    "log.connection.close",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with(property: &str, value: &str) -> KafkaSettings {
        let mut settings = KafkaSettings::new("localhost:9092", "tabletopic");
        settings.properties.insert(property.to_owned(), value.to_owned());
        settings
    }

    #[test]
    fn what_runs_code_is_refused() {
        for property in [
            "plugin.library.paths",
            "sasl.kerberos.kinit.cmd",
            "ssl.engine.location",
            "ssl.providers",
        ] {
            let refused = with(property, "x").validate();
            assert_eq!(
                refused,
                Err(SettingsError::RunsCode {
                    property: property.to_owned()
                })
            );
        }
    }

    #[test]
    fn what_the_protocol_needs_is_refused_with_the_reason() {
        let refused = with("isolation.level", "read_uncommitted")
            .consumer()
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "kafka property \"isolation.level\" cannot be set: \
             records of aborted transactions must not reach a table"
        );
        let refused = with("group.id", "g").validate().unwrap_err();
        assert!(refused.to_string().ends_with("write it as `group`"), "{refused}");
    }

    #[test]
    fn a_login_without_a_mechanism_is_incomplete() {
        let mut settings = with("security.protocol", "SASL_SSL");
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!(settings.can_log_in(), Err(SettingsError::NoMechanism));
        settings
            .properties
            .insert("sasl.mechanisms".to_owned(), "PLAIN".to_owned());
        assert_eq!(settings.can_log_in(), Ok(()));
        assert_eq!(with("security.protocol", "ssl").can_log_in(), Ok(()));
    }

    #[test]
    fn a_slip_is_answered_with_the_nearest_name() {
        let refused = with("fetch.max.byte", "1").validate();
        assert_eq!(
            refused,
            Err(SettingsError::NotAllowed {
                property: "fetch.max.byte".to_owned(),
                nearest: "fetch.max.bytes"
            })
        );
    }

    /// The crate's error quotes the value.
    #[test]
    fn a_value_that_librdkafka_refuses_is_not_shown() {
        for property in [
            "socket.timeout.ms",
            "security.protocol",
            "sasl.oauthbearer.method",
        ] {
            let refused = with(property, "hunter2secret")
                .validate()
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains(property) && !refused.contains("hunter2"),
                "{refused}"
            );
        }
    }

    #[test]
    fn no_property_is_in_two_lists() {
        for property in ALLOWED {
            assert!(!RUNS_CODE.contains(property), "{property}");
            assert!(!FIXED.iter().any(|(name, ..)| name == property), "{property}");
        }
    }

    /// The client itself knows each name that we allow or set, so none is misspelt.
    #[test]
    fn the_client_knows_every_name() {
        let names = ALLOWED.iter().chain(DEFAULTS.iter().map(|(name, _)| name));
        let ours = FIXED
            .iter()
            .filter(|(_, value, _)| value.is_some())
            .map(|(name, ..)| name);
        for name in names.chain(ours) {
            let mut config = ClientConfig::new();
            config.set(*name, "no such value");
            let answer = config.create_native_config().map(|_| ());
            assert!(
                !format!("{answer:?}").contains("No such configuration property"),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn defaults_give_way_and_fixed_ones_do_not() {
        let config = with("queued.max.messages.kbytes", "1024").consumer().unwrap();
        assert_eq!(config.get("queued.max.messages.kbytes"), Some("1024"));
        assert_eq!(config.get("fetch.max.bytes"), Some("8388608"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
        assert_eq!(
            config.get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
        assert!(config.create_native_config().is_ok());
    }

    #[test]
    fn a_client_that_writes_gets_what_it_knows() {
        let mut settings = with("fetch.max.bytes", "2000000");
        settings
            .properties
            .insert("max.in.flight".to_owned(), "100".to_owned());
        settings
            .properties
            .insert("socket.timeout.ms".to_owned(), "7000".to_owned());
        let config = settings.writer("restore-1").unwrap();
        let of = |property| config.get(property);
        assert_eq!(
            (of("fetch.max.bytes"), of("isolation.level"), of("max.in.flight")),
            (None, None, None)
        );
        assert_eq!(of("socket.timeout.ms"), Some("7000"));
        assert_eq!(of("transactional.id"), Some("restore-1"));
        assert_eq!(of("bootstrap.servers"), Some("localhost:9092"));
        assert!(config.create_native_config().is_ok());
        for (property, value) in WRITING {
            assert_eq!(of(property), Some(*value));
        }
    }

    #[test]
    fn kip_848_sets_no_assignor_of_the_old_protocol() {
        let mut settings = KafkaSettings::new("localhost:9092", "g");
        settings.group_protocol = GroupProtocol::Consumer;
        settings.instance_id = Some("worker-0".to_owned());
        let config = settings.consumer().unwrap();
        assert_eq!(config.get("group.protocol"), Some("consumer"));
        assert_eq!(config.get("partition.assignment.strategy"), None);
        assert_eq!(config.get("group.instance.id"), Some("worker-0"));
        assert!(config.create_native_config().is_ok());
    }

    #[test]
    fn values_never_print() {
        let printed = format!("{:?}", with("sasl.password", "hunter2"));
        assert!(
            printed.contains("sasl.password") && !printed.contains("hunter2"),
            "{printed}"
        );
        let refused = with("sasl.pasword", "hunter2").validate().unwrap_err();
        assert!(!format!("{refused:?} {refused}").contains("hunter2"));
    }
}
