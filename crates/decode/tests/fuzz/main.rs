//! The decoders against bytes from anywhere: a short run of what `fuzz/` does for longer, and bytes that somebody
//! chose.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod hostile;
mod memory;
mod mutate;
mod short_run;
mod targets;

use short_run::run;

#[global_allocator]
static MEMORY: memory::Counting = memory::Counting;

#[test]
fn json() {
    run("json", targets::json, 20_000);
}

#[test]
fn json_growth() {
    run("json", targets::json_growth, 20_000);
}

#[test]
fn avro() {
    run("avro", targets::avro, 20_000);
}

#[test]
fn protobuf() {
    run("protobuf", targets::protobuf, 20_000);
}

#[test]
fn frame() {
    run("frame", targets::frame, 20_000);
}

#[test]
fn key() {
    run("avro", targets::key, 20_000);
}

#[test]
fn avro_schema() {
    run("avro_schema", targets::avro_schema, 10_000);
}

#[test]
fn protobuf_schema() {
    run("protobuf_schema", targets::protobuf_schema, 2_000);
}

#[test]
fn json_by_schema() {
    run("json", targets::json_by_schema, 20_000);
}

#[test]
fn json_schema() {
    run("json_schema", targets::json_schema, 10_000);
}
