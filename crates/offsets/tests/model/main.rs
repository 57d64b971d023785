//! A model of the whole commit protocol, explored breadth first: every order of the steps that two
//! processes, an operator, other tools and the network can take, within small bounds. The guard in it is
//! the crate's own. `docs/protocol/model.md` says what is modelled, and what is not.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod action;
mod bad;
mod commands;
mod commit;
mod config;
mod errands;
mod explore;
mod followers;
mod foreign;
mod good;
mod guard;
mod invariants;
mod offsets;
mod process;
mod shared;
mod state;
mod table;
mod world;
