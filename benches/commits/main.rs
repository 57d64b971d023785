//! Is a table that was committed to ten thousand times as cheap to commit to as a new one?
//!
//!     cargo bench --bench commits
//!
//! One table is committed to until the last thousand; these alternate with the first thousand of a new table, commit
//! by commit, so that whatever else the machine does falls on both. One JSON object a line and number of topic
//! partitions; `benches/table.py` makes a table of them.
//!
//! On an S3 server:
//!
//!     tests/parts/s3.py with -- cargo bench --bench commits -- --warehouse s3://lake/bench

#[path = "../stages/cpu.rs"]
mod cpu;
mod fed;
mod window;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tabletopic_offsets::TableState;
use tabletopic_table::commit::Base;
use tokio::runtime::Runtime;

use fed::{Fed, Warehouse};
use window::{Window, requests, rounded};

/// The binary's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Parts of the alternating commits, for the spread of the ratio.
const ROUNDS: usize = 5;

#[derive(Debug, Parser)]
struct Arguments {
    /// Topic partitions, each of which has a row in each commit
    #[arg(long, default_values_t = [16, 1_000])]
    partitions: Vec<i32>,
    #[arg(long, default_value_t = 10_000)]
    commits: usize,
    /// Commits at the end, which alternate with as many of a new table
    #[arg(long, default_value_t = 1_000)]
    last: usize,
    /// Where the catalog is made, and the warehouse if no other is named; by default a temporary folder
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A bucket of S3, such as s3://lake/bench; who asks and where it is stand in AWS's variables
    #[arg(long)]
    warehouse: Option<String>,
    /// Cargo passes it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.last <= arguments.commits,
        "--last is more than --commits"
    );
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.as_deref().unwrap_or(temporary.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    for partitions in &arguments.partitions {
        let folder = folder.join(partitions.to_string());
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        println!("{}", measure(&runtime, &arguments, *partitions, &folder)?);
    }
    Ok(())
}

/// What the commits to one table cost, and the drains of its followers.
#[derive(Default)]
struct Measured {
    commits: Window,
    drains: Window,
}

fn measure(runtime: &Runtime, arguments: &Arguments, partitions: i32, folder: &Path) -> Result<Value> {
    let warehouse = Warehouse::open(folder, arguments.warehouse.as_deref());
    let warehouse = runtime.block_on(warehouse)?;
    let mut old = runtime.block_on(Fed::new(&warehouse.lake, "old", partitions))?;
    let mut first = Measured::default();
    let mut between = Measured::default();
    for number in 0..arguments.commits - arguments.last {
        let into = if number < arguments.last {
            &mut first
        } else {
            &mut between
        };
        step(runtime, &warehouse, &mut old, into)?;
    }
    let mut new = runtime.block_on(Fed::new(&warehouse.lake, "new", partitions))?;
    let (mut last, mut fresh) = (Measured::default(), Measured::default());
    for _ in 0..arguments.last {
        step(runtime, &warehouse, &mut old, &mut last)?;
        step(runtime, &warehouse, &mut new, &mut fresh)?;
    }
    Ok(json!({
        "commits": arguments.commits,
        "partitions": partitions,
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
        "store": arguments.warehouse.as_deref().map_or("disk", |_| "s3"),
        "first": first.commits.line(),
        "last": last.commits.line(),
        "new": fresh.commits.line(),
        "drains_first": first.drains.line(),
        "drains_last": last.drains.line(),
        "drains_new": fresh.drains.line(),
        "cpu_ratio": ratios(&last.commits, &fresh.commits, Window::cpu_ms),
        "wall_ratio": ratios(&last.commits, &fresh.commits, |window| window.wall_ms(0.5)),
        "cpu_ratio_drains": ratios(&last.drains, &fresh.drains, Window::cpu_ms),
    }))
}

/// One commit of a unit that is ready, and the drains if they are due.
fn step(runtime: &Runtime, warehouse: &Warehouse, table: &mut Fed<'_>, into: &mut Measured) -> Result<()> {
    let unit = runtime.block_on(table.unit())?;
    let before = requests(&warehouse.requests);
    let (main, cost) = cpu::measure(|| runtime.block_on(table.append(unit)))?;
    let after = requests(&warehouse.requests);
    let size = runtime.block_on(metadata_bytes(warehouse, &main))?;
    into.commits.add(cost, before, after, size);
    if Fed::drain_is_due(&main) {
        let before = requests(&warehouse.requests);
        let ((), cost) = cpu::measure(|| runtime.block_on(table.drain(&main)))?;
        let after = requests(&warehouse.requests);
        into.drains.add(cost, before, after, 0);
    }
    Ok(())
}

async fn metadata_bytes(warehouse: &Warehouse, main: &Base<TableState>) -> Result<u64> {
    let file = warehouse.lake.file_io.new_input(&main.table.metadata_location)?;
    Ok(file.metadata().await?.size)
}

/// The old table's cost by the new one's, round by round.
fn ratios(old: &Window, new: &Window, cost: impl Fn(&Window) -> f64) -> Value {
    let ratio = |old: &Window, new: &Window| rounded(cost(old) / cost(new));
    let length = old.len().min(new.len());
    let rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| (length * round / ROUNDS, length * (round + 1) / ROUNDS))
        .filter(|(from, to)| from < to)
        .map(|(from, to)| ratio(&old.slice(from, to), &new.slice(from, to)))
        .collect();
    let (low, high) = rounds
        .iter()
        .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), ratio| {
            (low.min(*ratio), high.max(*ratio))
        });
    json!({ "all": ratio(old, new), "low": low, "high": high })
}
