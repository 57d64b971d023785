//! Tables that stay fast: small files become large ones, and what nothing leads to any more is removed
//! (`docs/maintenance.md`).
//!
//! ```text
//! Survey ─ choose ─▶ Piece ─ rewrite ─▶ new files ─ replace ─▶ snapshot     [what is live; pure; I/O; one commit]
//! ```
//!
//! Everything here works on any Iceberg table of the catalog: the main tables, their followers, and those of others.

pub mod background;
pub mod compact;
pub mod engine;
mod error;
pub mod expire;
pub mod health;
pub mod manifests;
mod memory;
pub mod orphans;
mod owner;
pub mod pace;
pub mod retain;
pub mod survey;

pub use error::MaintainError;
pub use memory::Allowance;
pub use owner::Owner;
