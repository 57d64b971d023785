//! This very executable, under callgrind.

use std::ffi::OsString;
use std::hint::black_box;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TEST;
use crate::stage::Stage;

/// The name of the stage that this process is to run.
const STAGE: &str = "TABLETOPIC_INSTRUCTIONS_STAGE";

/// jemalloc gives memory back after some time has passed, and how many arenas it has depends on the processors: both off.
const ALLOCATOR: &str = "narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1";

/// What this process was started for by [`count`], if it was.
pub fn stage_to_run() -> Option<Stage> {
    let name = std::env::var(STAGE).ok()?;
    let mut stages = Stage::ALL.into_iter();
    Some(stages.find(|stage| stage.name() == name).expect("a stage's name"))
}

/// Runs a stage twice. The first time memory is fetched and processors are asked what they can do; the second time counts.
pub fn run(stage: Stage) {
    let mut work = stage.work();
    work();
    counted_work(&mut *work);
}

/// Callgrind counts from its beginning to its end. No other function may have this name within its own.
#[inline(never)]
fn counted_work(work: &mut dyn FnMut()) {
    work();
    // Or else the call might become a jump, and this never end.
    black_box(());
}

/// Instructions that a stage takes on all records. The callgrind file stays, for a closer look.
pub fn count(stage: Stage) -> u64 {
    let file = file(stage.name());
    std::fs::create_dir_all(file.parent().expect("it is in a folder")).unwrap();
    // An old one is not mistaken for what is counted now.
    let _ = std::fs::remove_file(&file);
    let mut to = OsString::from("--callgrind-out-file=");
    to.push(&file);
    let started = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*counted_work*",
        ])
        .arg(to)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--test-threads=1", "--nocapture"])
        // The environment lies on the stack, and has options of valgrind's and of the allocator's.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("MALLOC_CONF", ALLOCATOR)
        .env(STAGE, stage.name())
        .output();
    let output = match started {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("valgrind is not on this machine: run `make parts` as root, or install it")
        }
        Err(error) => panic!("valgrind does not start: {error}"),
    };
    assert!(
        output.status.success(),
        "{} under valgrind: {}\n{}{}",
        stage.name(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let written = std::fs::read_to_string(&file).expect("callgrind writes what it has counted");
    let total = written.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok()).unwrap_or(0);
    assert!(
        total > 0,
        "{}: callgrind has counted nothing: is `{TEST}` still the test, and `counted_work` what it counts?",
        file.display()
    );
    total
}

/// Where callgrind writes what it has counted of a stage.
pub fn file(stage: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("instructions/{stage}.callgrind"))
}
