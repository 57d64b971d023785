//! Kafka by librdkafka.

mod broker;
mod context;
mod error;
mod source;

pub use broker::KafkaBroker;
pub use source::KafkaSource;
