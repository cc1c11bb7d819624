//! `pipewright import`, as a person runs it in a shell.

use pipewright::regular_file;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Runs the command in this folder with these variables alone.
fn import(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .arg("import")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

const GATEWAY: [(&str, &str); 8] = [
    ("API_KEY", "canary-key"),
    ("AWS_REGION", "eu-central-1"),
    ("DEFAULT_MODEL", "eu.amazon.nova-lite-v1:0"),
    ("ENABLE_CROSS_REGION_INFERENCE", "false"),
    ("ENABLE_APPLICATION_INFERENCE_PROFILES", "false"),
    ("ENABLE_OPTILLM", "false"),
    ("API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:x"),
    ("DEBUG", "true"),
];

#[test]
fn the_environment_of_the_access_gateway_is_printed_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (is_done, told) = import(folder.path(), &["access-gateway"], &GATEWAY);
    assert!(is_done, "{told}");
    for line in [
        "[bedrock_models]",
        "regions = [\"eu-central-1\"]",
        "default_model = \"eu.amazon.nova-lite-v1:0\"",
        "inference_profiles = false",
        "[optimizer]",
        "enabled = false",
        "PIPELINES_API_KEY=********",
        "GLOBAL_LOG_LEVEL=DEBUG",
        "API_KEY_SECRET_ARN: put the key of that secret into PIPELINES_API_KEY",
        "`--write FOLDER` writes the files with them",
    ] {
        assert!(told.contains(line), "{line} is missing from\n{told}");
    }
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn files_are_written_for_their_owner_alone_and_never_over_others() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["access-gateway", "--write", "."];
    let (is_done, told) = import(folder.path(), &arguments, &GATEWAY);
    assert!(is_done && !told.contains("canary"), "{told}");
    let variables = folder.path().join(".env");
    assert!(regular_file::read_to_string(&variables).unwrap().contains("=canary-key\n"));
    assert_eq!(fs::metadata(&variables).unwrap().permissions().mode() & 0o777, 0o600);
    let valves: toml::Table =
        fs::read_to_string(folder.path().join("valves.toml")).unwrap().parse().unwrap();
    assert_eq!(valves["bedrock_models"]["regions"][0].as_str(), Some("eu-central-1"));
    let (is_done, told) = import(folder.path(), &arguments, &GATEWAY);
    assert!(!is_done && told.contains("valves.toml is there already"), "{told}");
}

#[test]
fn valves_of_the_reference_server_are_known_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for (pipeline, valves) in [
        (
            "claude",
            r#"{"AWS_ACCESS_KEY": "AKIA", "AWS_SECRET_KEY": "canary", "AWS_REGION_NAME": "us-west-2"}"#,
        ),
        (
            "openai_manifold",
            r#"{"OPENAI_API_BASE_URL": "https://api.openai.com/v1", "OPENAI_API_KEY": "canary"}"#,
        ),
        (
            "limits",
            r#"{"pipelines": ["*"], "priority": 0, "requests_per_minute": 10, "sliding_window_limit": 20}"#,
        ),
        ("mine", r#"{"WEATHER": "x"}"#),
    ] {
        fs::create_dir(folder.path().join(pipeline)).unwrap();
        fs::write(folder.path().join(pipeline).join("valves.json"), valves).unwrap();
    }
    let (is_done, told) = import(folder.path(), &["pipelines", "."], &[]);
    assert!(is_done && !told.contains("canary"), "{told}");
    for line in [
        "regions = [\"us-west-2\"]",
        "aws_secret_access_key = \"********\"",
        "more_upstreams = \"openai https://api.openai.com/v1\"",
        "requests_per_minute = 10",
        "limits.sliding_window_limit: has no counterpart",
        "mine: its file runs as it is with PYTHON_PIPELINES=on",
    ] {
        assert!(told.contains(line), "{line} is missing from\n{told}");
    }
    fs::write(folder.path().join("mine/valves.json"), "{\"canary\": ").unwrap();
    let (is_done, told) = import(folder.path(), &["pipelines", "."], &[]);
    assert!(is_done && told.contains("mine/valves.json:1 is no JSON object: correct"), "{told}");
    assert!(told.contains("requests_per_minute = 10"), "{told}");
    assert!(!told.contains("canary\""), "{told}");
}

#[test]
fn a_file_that_is_missing_or_no_yaml_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (is_done, told) = import(folder.path(), &["litellm", "config.yaml"], &[]);
    assert!(!is_done && told.contains("cannot read config.yaml"), "{told}");
    fs::write(folder.path().join("config.yaml"), "model_list: [canary\n").unwrap();
    let (is_done, told) = import(folder.path(), &["litellm", "config.yaml"], &[]);
    assert!(!is_done && told.contains("is no YAML") && !told.contains("canary"), "{told}");
}
