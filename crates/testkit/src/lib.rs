//! What the tests are made with: the service as a process that can be stopped in every way, real brokers, and the
//! outside readers; for the simulation, catalogs and stores that fail by a seed. Never shipped.
//!
//! Everything here panics when it fails: a test that can't be set up has failed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "test support: a failure is a panic with its reason"
)]

mod broker;
mod faulty_catalog;
mod faulty_store;
mod lake;
mod lost_answers;
mod readers;
mod registry;
mod service;
mod wait;
mod weather;

pub use broker::Broker;
pub use faulty_catalog::FaultyCatalog;
pub use faulty_store::FaultyStore;
pub use lake::Lake;
pub use lost_answers::{Lost, LostAnswers};
pub use readers::{Topic, admin, must, produce, python, unique};
pub use registry::{BehindTls, Registry};
pub use service::Service;
pub use wait::{eventually, eventually_within};
pub use weather::{Luck, Weather};
