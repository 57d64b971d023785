//! What figures depend on beside our code and the versions in `Cargo.lock`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

pub fn all() -> BTreeMap<String, String> {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    BTreeMap::from(
        [
            ("rustc", version("rustc")),
            ("valgrind", version("valgrind")),
            ("processor", processor().to_owned()),
            ("profile", profile.to_owned()),
        ]
        .map(|(what, which)| (what.to_owned(), which)),
    )
}

/// memchr, zstd and the C library choose by what the processor can do. Valgrind shows AVX2 at most, whatever there is beyond,
/// and to all programs the same caches.
#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    match std::arch::is_x86_feature_detected!("avx2") {
        true => "x86_64 with AVX2",
        false => "x86_64 without AVX2",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}

/// Of the compiler: rustup's choice for this folder, which is also cargo's.
fn version(program: &str) -> String {
    let output = Command::new(program)
        .arg("--version")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|error| format!("{program}: {error}"))
}
