//! End to end: the shipped binary, a real Kafka broker, and PyIceberg and DuckDB as judges of the contents.
//!
//! Run by `make test`, which starts the broker.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod admin;
mod apicurio;
mod avro;
mod azure;
mod behind;
mod brokers;
mod capture;
mod catalog;
mod ci;
mod compaction;
mod compare;
mod data;
mod dead_letters;
mod demo;
mod environment;
mod evolution;
mod feed;
mod followers;
mod foreign;
mod gcs;
mod halts;
mod json_schema;
#[cfg(feature = "gssapi")]
mod kerberos;
mod keys;
mod login;
mod main_path;
mod maintenance;
mod manifests;
mod many;
mod orphans;
mod partitions;
mod plan;
mod postgres;
mod process_faults;
mod promote;
mod protobuf;
mod recreated;
mod registered;
mod registered_letters;
mod repair;
mod replay;
mod rest;
mod restore;
mod retention;
mod rollback;
mod s3;
mod shape;
mod signed_files;
mod sparse_logs;
mod status;
mod taken_back;
mod thousands;
mod upkeep;
mod verify;
mod verify_rounds;

/// The binary under test.
const TABLETOPIC: &str = env!("CARGO_BIN_EXE_tabletopic");
