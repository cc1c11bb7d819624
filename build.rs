//! Tells the program which commit it is built from, for `pipewright --version`, lets it run with an
//! older glibc than that of the machine that builds it, and sets the allocator of glibc.
//!
//! Cargo also gives the variable to programs that `cargo run` and `cargo test` start, so it has no
//! `PIPEWRIGHT_` before it: the program would take it for a setting.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PIPEWRIGHT_COMMIT");
    let build = describe_build();
    println!("cargo::rustc-env=BUILD_DESCRIPTION={build}");
    link_glibc_sources();
}

/// Links functions that would need glibc 2.35, and the settings of its allocator, into the
/// programs.
fn link_glibc_sources() {
    const SOURCES: [&str; 2] = ["src/glibc/hypot.c", "src/glibc/malloc.c"];
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let is_target = |name, value| env::var(name).is_ok_and(|target| target == value);
    if is_target("CARGO_CFG_TARGET_OS", "linux") && is_target("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().files(SOURCES).compile_intermediates() {
            println!("cargo::rustc-link-arg-bins={}", object.display());
        }
    }
}

/// Returns the commit and its date, as `1a2b3c4 2026-01-31`.
///
/// An image is built without `.git` and gives it as `PIPEWRIGHT_COMMIT`. Only release builds ask
/// git: a development build would be compiled again after each commit.
fn describe_build() -> String {
    if let Some(commit) = env::var("PIPEWRIGHT_COMMIT").ok().filter(|text| !text.is_empty()) {
        return commit;
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        if let Some(head) = ask_git(&["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo::rerun-if-changed={head}");
        }
        let show = ["show", "--no-patch", "--abbrev=12", "--format=%h %cs", "HEAD"];
        return ask_git(&show).unwrap_or_else(|| "unknown commit".into());
    }
    "development build".into()
}

fn ask_git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
