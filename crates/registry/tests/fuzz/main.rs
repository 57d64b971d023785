//! The clients of registries against answers from anywhere: a short run of what `fuzz/` does for longer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../../../decode/tests/fuzz/memory.rs"]
mod memory;
#[path = "../../../decode/tests/fuzz/mutate.rs"]
mod mutate;
#[path = "../../../decode/tests/fuzz/short_run.rs"]
mod short_run;
mod targets;

use targets::{Outcome, answers};

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

#[test]
fn registry() {
    short_run::run("registry", answers, 5_000);
}

/// The first byte chooses the question; in front of each answer stands its status.
fn asked(question: u8, bodies: &[&str]) -> Outcome {
    let bodies: Vec<String> = bodies.iter().map(|body| format!("2{body}")).collect();
    short_run::within_bounds(answers, &[&[question], bodies.join("\0").as_bytes()].concat())
}

#[test]
fn schemas_that_never_end_are_unusable() {
    let many = |count: u32, name: &dyn Fn(u32) -> String| {
        let references: Vec<String> = (0..count).map(name).collect();
        format!(r#"{{"schema":"A","references":[{}]}}"#, references.join(","))
    };
    let reference = |n: u32| format!(r#"{{"name":"n{n}","subject":"s","version":{n}}}"#);
    assert_eq!(
        asked(0, &[&many(200, &reference), r#"{"schema":"B"}"#]),
        Outcome::Schema(200)
    );
    assert_eq!(asked(0, &[&many(201, &reference)]), Outcome::Unusable);
    // One that refers to itself.
    assert_eq!(asked(0, &[&many(1, &reference)]), Outcome::Schema(1));
    let long = format!(r#"{{"schema":"{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(asked(0, &[&many(15, &reference), &long]), Outcome::Schema(15));
    assert_eq!(asked(0, &[&many(17, &reference), &long]), Outcome::Unusable);
    let endless = format!(r#"{{"schema":"{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(asked(0, &[&endless]), Outcome::Outage);
    assert_eq!(asked(0, &[&"[".repeat(1 << 20)]), Outcome::Outage);
    let up = r#"{"schema":"A","references":[{"name":"n","subject":"..","version":1}]}"#;
    assert_eq!(asked(0, &[up]), Outcome::Unusable);
}
