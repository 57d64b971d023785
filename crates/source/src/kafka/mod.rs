//! Kafka by librdkafka.

mod broker;
mod certificate;
mod context;
mod embedded;
mod error;
mod outage;
mod peek;
mod retention;
mod source;
mod target;
mod validate;
mod writer;

pub use broker::KafkaBroker;
pub use embedded::{EmbeddedBroker, EmbeddedBrokerError, Outgoing};
pub use source::KafkaSource;
pub use target::{KafkaTarget, Mark};
pub use writer::{KafkaWriter, WriteError};
