//! What keeps tables fast, by hand.

pub mod compact;
pub mod due;
mod each;
mod engine;
pub mod expire;
pub mod manifests;
pub mod orphans;
pub mod retain;

use anyhow::Context;
pub use each::each;
use iceberg::TableIdent;
use tabletopic_maintain::Allowance;
use tabletopic_table::Lake;

use crate::config::Config;
use crate::exit::UsageError;
use crate::parts;

/// Of the memory budget, what delete files may take, and likewise rows that are sorted.
const PART: u64 = 4;

/// What becomes of what a command removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Show,
    IfConfirmed,
    Now,
}

impl Removal {
    pub fn asked(dry_run: bool, yes: bool) -> Self {
        match (dry_run, yes) {
            (true, _) => Self::Show,
            (false, false) => Self::IfConfirmed,
            (false, true) => Self::Now,
        }
    }
}

/// The catalog and the tables that are named.
pub async fn tables(config: &Config, names: &[String]) -> anyhow::Result<(Lake, Vec<TableIdent>)> {
    let lake = parts::lake_to_ask(config).await?;
    Ok((lake, named(names)?))
}

pub fn named(names: &[String]) -> anyhow::Result<Vec<TableIdent>> {
    let tables = names.iter().map(|name| {
        let parts: Vec<&str> = name.split('.').collect();
        TableIdent::from_strs(&parts)
            .ok()
            .filter(|_| parts.len() > 1)
            .with_context(|| {
                UsageError(format!(
                    "`{name}` is no table: write its namespace as well, as in shop.orders"
                ))
            })
    });
    tables.collect()
}

/// For what delete files say.
pub fn memory(config: &Config) -> Allowance {
    Allowance::new(part(config))
}

/// For rows that are sorted.
pub fn sort_memory(config: &Config) -> usize {
    part(config)
}

pub fn part(config: &Config) -> usize {
    usize::try_from(config.memory_budget / PART).unwrap_or(usize::MAX)
}
