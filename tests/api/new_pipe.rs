//! `pipewright new-pipe`: what it writes is taken by cargo.

use serde_json::Value;
use std::{fs, os::unix::fs::symlink, path::Path, process::Command};
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The manifests of this repository, and the list of pipes, in a folder of their own.
fn checkout() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["crates", "tools", "fuzz", "benches", "tests"] {
        symlink(root().join(folder), copy.path().join(folder)).unwrap();
    }
    fs::create_dir_all(copy.path().join("pipes")).unwrap();
    for pipe in fs::read_dir(root().join("pipes")).unwrap() {
        let pipe = pipe.unwrap();
        symlink(pipe.path(), copy.path().join("pipes").join(pipe.file_name())).unwrap();
    }
    fs::create_dir(copy.path().join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "src/pipes.rs", "src/lib.rs", "src/main.rs"] {
        fs::copy(root().join(file), copy.path().join(file)).unwrap();
    }
    copy
}

fn new_pipe(folder: &Path, id: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["new-pipe", id])
        .current_dir(folder)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn cargo_takes_the_new_crate_and_the_host_depends_on_it() {
    let copy = checkout();
    let (is_done, told) = new_pipe(copy.path(), "my_pipe");
    assert!(is_done && told.contains("cargo test -p my-pipe"), "{told}");
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(copy.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let find = |name: &str| packages.iter().find(|package| package["name"] == name).unwrap();
    assert!(find("my-pipe")["targets"][0]["src_path"].as_str().unwrap().ends_with("lib.rs"));
    let host = find("pipewright")["dependencies"].as_array().unwrap();
    assert!(host.iter().any(|dependency| dependency["name"] == "my-pipe"));
    let list = fs::read_to_string(copy.path().join("src/pipes.rs")).unwrap();
    assert!(list.contains("use my_pipe::MyPipe;\n"), "{list}");
    assert!(list.contains("    Registration::for_pipe::<MyPipe>(),\n"), "{list}");
    let code = fs::read_to_string(copy.path().join("pipes/my_pipe/src/lib.rs")).unwrap();
    assert!(code.contains("const ID: &'static str = \"my_pipe\";") && !code.contains("{type}"));
}

#[test]
fn what_is_no_id_and_what_is_there_is_refused() {
    let copy = checkout();
    for (id, words) in [
        ("My-Pipe", "must be small letters"),
        ("../evil", "must be small letters"),
        ("fn", "cannot be the name of a crate"),
        ("my__pipe", "cannot be the name of a crate"),
        ("rag", "has a package `rag` already"),
    ] {
        let (is_done, told) = new_pipe(copy.path(), id);
        assert!(!is_done && told.contains(words), "{told}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let (is_done, told) = new_pipe(elsewhere.path(), "my_pipe");
    assert!(!is_done && told.contains("run this in a checkout of pipewright"), "{told}");
}
