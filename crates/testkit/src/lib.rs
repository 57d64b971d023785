//! What the tests are made with: the service as a process that can be stopped in every way, real brokers, and the
//! outside readers; for the simulation, catalogs and stores that fail by a seed. Never shipped.
//!
//! Everything here panics when it fails: a test that can't be set up has failed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test support: a failure is a panic with its reason"
)]

mod azurite;
mod broker;
mod faulty_catalog;
mod faulty_store;
mod fixture;
mod gateway;
mod gcs;
mod lake;
mod lost_answers;
mod nessie;
mod part;
mod postgres;
mod postgres_way;
mod pyiceberg;
mod readers;
mod realm;
mod registry;
mod s3;
mod secured;
mod service;
mod toxiproxy;
mod wait;
mod weather;

pub use azurite::{AZURITE_KEY, Azurite};
pub use broker::{Broker, WithoutTopicIds};
pub use faulty_catalog::FaultyCatalog;
pub use faulty_store::FaultyStore;
pub use fixture::Fixture;
pub use gateway::Gateway;
pub use gcs::Gcs;
pub use lake::Lake;
pub use lost_answers::{Lost, LostAnswers};
pub use nessie::Nessie;
pub use postgres::{OverTls, POSTGRES_PASSWORD, Postgres};
pub use postgres_way::PostgresWay;
pub use pyiceberg::PyIceberg;
pub use readers::{Topic, admin, must, produce, python, reader, unique};
pub use realm::Realm;
pub use registry::{BehindTls, Registry};
pub use s3::{S3, S3_KEYS};
pub use secured::{PASSWORD, SECRET, Secured, USER, certificates};
pub use service::Service;
pub use toxiproxy::Toxiproxy;
pub use wait::{eventually, eventually_within};
pub use weather::{Luck, Weather};
