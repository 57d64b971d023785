//! Kafka by librdkafka.

mod broker;
mod context;
mod error;
mod peek;
mod retention;
mod source;
mod validate;

pub use broker::KafkaBroker;
pub use source::KafkaSource;
