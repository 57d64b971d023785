//! Instructions per record of the hot stages, counted by callgrind, are those of `stored.json`: a slow-down is seen
//! without trusting a clock, on a machine with whatever load.
//!
//! Counted is what `cargo test` builds, since nothing else is built where all tests run: our crates with little
//! optimisation, those below with more. A figure says that a stage does more or less work than before; what that costs in
//! a release is for `benches/` to say.
//!
//! `make instructions` stores what is found. CONTRIBUTING.md says when.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

#[path = "../../crates/decode/benches/decode/bids.rs"]
mod bids;
mod callgrind;
mod figures;
mod made_with;
mod sample;
mod stage;
mod worker;

use figures::Figures;
use stage::Stage;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// `store`: the figures that are found become those that are stored. `compare`: they are compared with these whatever they
/// were made with, as CI does, so that it does not stop looking when its tools change. By default only what was made with
/// the same tools is: others count other instructions, and a newcomer's compiler is no defect of the project.
const ASKED: &str = "TABLETOPIC_INSTRUCTIONS";

/// Its own name is what it starts itself by, under callgrind.
const TEST: &str = "the_hot_stages_take_the_instructions_that_are_stored";

#[test]
fn the_hot_stages_take_the_instructions_that_are_stored() {
    if let Some(stage) = callgrind::stage_to_run() {
        return callgrind::run(stage);
    }
    let found = Figures {
        made_with: made_with::all(),
        instructions_per_record: Stage::ALL
            .map(|stage| {
                let per_record = callgrind::count(stage) as f64 / sample::RECORDS as f64;
                (stage.name().to_owned(), (per_record * 100.0).round() / 100.0)
            })
            .into(),
    };
    println!("{found}");
    let asked = std::env::var(ASKED).unwrap_or_default();
    if asked == "store" {
        return found.store();
    }
    let stored = Figures::stored();
    if let (Some(others), false) = (stored.other_tools(&found), asked == "compare") {
        println!("not compared with those that are stored:\n{others}");
        return;
    }
    if let Some(differences) = stored.differences(&found) {
        panic!(
            "{differences}\nTo see where they are spent: callgrind_annotate {}\nAfter a change that is meant, a gain too: \
             `make instructions`, and commit what it stores with the change.\n",
            callgrind::file("<stage>").display()
        );
    }
}
