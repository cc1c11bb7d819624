//! The saved valves of Open WebUI's Pipelines server, `<folder>/<pipeline>/valves.json`.
//!
//! Pipelines are known by the names of their valves, because their files have any name.

use super::{
    Imported, env, read,
    upstreams::{Upstreams, complete_address},
};
use anyhow::Context;
use serde_json::{Map, Value};
use std::{fs, path::Path};

const BEDROCK: &str = "bedrock_models";
const LIMITS: &str = "rate_limit";

/// Valves of Bedrock's pipelines, and ours.
const BEDROCK_VALVES: [(&str, &str); 7] = [
    ("AWS_ACCESS_KEY", "aws_access_key_id"),
    ("AWS_ACCESS_KEY_ID", "aws_access_key_id"),
    ("AWS_SECRET_KEY", "aws_secret_access_key"),
    ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    ("AWS_SESSION_TOKEN", "aws_session_token"),
    ("AWS_PROFILE", "aws_profile"),
    ("AWS_ROLE_ARN", "aws_role_arn"),
];

/// The valves of filters that limit requests, and the valves of `rate_limit` that they become.
const LIMIT_VALVES: [(&str, &str); 4] = [
    ("requests_per_minute", "requests_per_minute"),
    ("requests_per_hour", "requests_per_hour"),
    ("requests_per_day", "requests_per_day"),
    ("tokens_per_day", "tokens_per_day"),
];

/// Translates the valves in this folder.
///
/// # Errors
/// Returns an error if the folder cannot be read. A file that cannot be read is noted.
pub fn import(folder: &Path) -> anyhow::Result<Imported> {
    let mut imported = Imported::default();
    let mut upstreams = Upstreams::default();
    let context = || format!("cannot read {}", folder.display());
    let mut names: Vec<_> = fs::read_dir(folder)
        .with_context(context)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    names.sort();
    for path in names {
        let file = path.join("valves.json");
        if !file.is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_valves(&file) {
            Ok(valves) => import_pipeline(&name, &valves, &mut imported, &mut upstreams),
            Err(error) => imported.note(format!("{error:#}: correct it, and import again")),
        }
    }
    upstreams.write(&mut imported);
    if let Some(key) = env("PIPELINES_API_KEY") {
        imported.variables.insert("PIPELINES_API_KEY".into(), key);
    }
    Ok(imported)
}

/// Reads the valves of a pipeline. An error names the line and never its content.
fn read_valves(file: &Path) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(&read(file)?)
        .map_err(|error| anyhow::anyhow!("{}:{} is no JSON object", file.display(), error.line()))
}

fn import_pipeline(
    name: &str,
    valves: &Map<String, Value>,
    imported: &mut Imported,
    upstreams: &mut Upstreams,
) {
    let text = |valve: &str| valves.get(valve)?.as_str().filter(|text| !text.is_empty());
    let mut known = vec!["pipelines", "priority"];
    for (there, here) in BEDROCK_VALVES {
        if let Some(value) = text(there) {
            imported.set(BEDROCK, here, value);
            known.push(there);
        }
    }
    for there in ["AWS_REGION", "AWS_REGION_NAME"] {
        if let Some(region) = text(there) {
            imported.set(BEDROCK, "regions", vec![region]);
            known.push(there);
        }
    }
    for (there, here) in LIMIT_VALVES {
        if let Some(number) = valves.get(there).and_then(Value::as_u64) {
            imported.set(LIMITS, here, number);
            known.push(there);
        }
    }
    let addresses = valves.iter().filter(|(valve, _)| valve.ends_with("BASE_URL"));
    for (valve, value) in addresses {
        let Some(address) = value.as_str().filter(|address| !address.is_empty()) else { continue };
        let vendor = valve.trim_end_matches("BASE_URL").trim_end_matches('_');
        let vendor = vendor.trim_end_matches("_API");
        let key = valves.keys().find(|key| key.starts_with(vendor) && key.ends_with("API_KEY"));
        let secret = key.and_then(|key| text(key)).map(str::to_owned);
        let vendor = vendor.to_lowercase();
        upstreams.add(&vendor, &complete_address(&vendor, "", address), secret);
        known.extend([Some(valve), key].into_iter().flatten().map(String::as_str));
    }
    if known.len() == 2 {
        imported.note(format!(
            "{name}: its file runs as it is with PYTHON_PIPELINES=on, and keeps its valves \
             (docs/python-pipelines.md)"
        ));
        return;
    }
    let rest: Vec<_> = valves.keys().filter(|valve| !known.contains(&valve.as_str())).collect();
    for valve in rest {
        imported.note(format!("{name}.{valve}: has no counterpart"));
    }
}
