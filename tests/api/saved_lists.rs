//! A host that starts while AWS or an upstream is away: it has the models that it had before, and
//! else says why it has none.

use crate::{
    bedrock,
    pipes::PIPES as ALL,
    support::{Builder, TestHost},
};
use bedrock_emulator::{BedrockException, DEMO_KEY, Emulator, EmulatorOptions, Script};
use pipewright::{pipes::PIPES, valves::Pins};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use tempfile::TempDir;

const MODEL: &str = "bedrock_models.amazon.nova-lite-v1:0";
const WEST: &str = "us-west-2";

/// Waits until a list has been saved, and returns what is in the file.
async fn wait_for_saved_list(host: &TestHost, pipe: &str) -> String {
    let file = host.folder.path().join(pipe).join("model-lists.json");
    let written = async {
        while !file.exists() {
            host.get("/health/live").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.expect("no list is saved");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::read_to_string(file).unwrap()
}

/// A host over this folder that asks AWS here, as whoever has this key, with this valve beside.
async fn start_in(folder: TempDir, endpoint: &str, key: &str, more: (&str, &str)) -> TestHost {
    let pins = [
        ("endpoint_url", endpoint),
        ("aws_access_key_id", key),
        ("aws_secret_access_key", DEMO_KEY.1),
        more,
    ];
    let pins = pins.iter().fold(Pins::default(), |pins, (valve, value)| {
        pins.with_pin("bedrock_models", valve, "test", *value)
    });
    Builder::with_folder(folder).pipes(PIPES).pins(pins).start().await
}

const NOTHING_MORE: (&str, &str) = ("max_attempts", "1");

async fn ids(host: &TestHost) -> Vec<String> {
    let list = host.get("/models").await.json;
    let ids = list["data"].as_array().unwrap().iter().map(|model| &model["id"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Returns the lists that were saved by a host which had AWS, the ids of its models, and the
/// address of AWS.
async fn save_lists() -> (TempDir, Vec<String>, String) {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let host = bedrock::host(&emulator).await;
    let listed = ids(&host).await;
    assert!(listed.contains(&MODEL.to_owned()), "{listed:?}");
    let text = wait_for_saved_list(&host, "bedrock_models").await;
    for secret in [DEMO_KEY.0, DEMO_KEY.1, &emulator.endpoint()] {
        assert!(!text.contains(secret), "the file is no place for {secret}");
    }
    (host.stop().await, listed, emulator.endpoint())
}

#[actix_web::test]
async fn a_host_that_starts_without_aws_has_the_models_that_it_had() {
    let (folder, listed, endpoint) = save_lists().await;
    let host = start_in(folder, &endpoint, DEMO_KEY.0, NOTHING_MORE).await;
    assert_eq!(ids(&host).await, listed);
    let chat = host.chat(MODEL, "hi").await;
    assert!([502, 503].contains(&chat.status), "{}", chat.text);
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["bedrock_models"]));
    // A model that is not in an old list may exist by now.
    let unknown = host.chat("bedrock_models.amazon.nova-of-today-v1:0", "hi").await;
    assert!(unknown.error_message(503).contains("AWS cannot be reached"), "{}", unknown.text);
}

#[actix_web::test]
async fn a_saved_list_gives_way_to_a_new_one() {
    let (folder, listed, _) = save_lists().await;
    let file = folder.path().join("bedrock_models/model-lists.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("nova-lite", "nova-late")).unwrap();
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let host = start_in(folder, &emulator.endpoint(), DEMO_KEY.0, NOTHING_MORE).await;
    assert_eq!(ids(&host).await, listed);
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!([]));
}

/// This host has no list, and says why in place of saying that there is no such model.
async fn assert_has_no_list(host: &TestHost) {
    let ids = ids(host).await;
    assert!(ids.iter().all(|id| !id.contains("nova")), "{ids:?}");
    for id in [MODEL, "amazon.nova-lite-v1:0", "imported/house-llama", "gpt-4o"] {
        let refused = host.chat(id, "hi").await;
        assert!(
            refused.error_message(503).contains("AWS cannot be reached"),
            "{id}: {}",
            refused.text
        );
    }
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["bedrock_models"]));
}

const CAUGHT: (&str, &str) = ("aliases", "gpt-*=amazon.nova-lite-v1:0");

#[actix_web::test]
async fn saved_lists_of_another_account_or_in_another_form_are_not_used() {
    let (folder, _, endpoint) = save_lists().await;
    let host = start_in(folder, &endpoint, "AKIAIOSFODNN7ANOTHER", CAUGHT).await;
    assert_has_no_list(&host).await;
    let mut folder = host.stop().await;
    let file = folder.path().join("bedrock_models/model-lists.json");
    let good = fs::read_to_string(&file).unwrap();
    for bad in [good.get(..good.len() / 2).unwrap(), "", &good.replace("\"form\":1", "\"form\":2")]
    {
        fs::write(&file, bad).unwrap();
        let host = start_in(folder, &endpoint, DEMO_KEY.0, CAUGHT).await;
        assert_has_no_list(&host).await;
        folder = host.stop().await;
    }
}

#[actix_web::test]
async fn a_first_start_without_aws_says_why_there_is_no_model() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let endpoint = emulator.endpoint();
    drop(emulator);
    let folder = tempfile::tempdir().unwrap();
    let host = start_in(folder, &endpoint, DEMO_KEY.0, CAUGHT).await;
    assert_has_no_list(&host).await;
    let other = host.chat("llama3", "hi").await;
    assert_eq!(other.status, 404, "nothing says that it is Bedrock's: {}", other.text);
    assert!(!host.folder.path().join("bedrock_models/model-lists.json").exists());
}

#[actix_web::test]
async fn a_model_may_be_where_no_list_came_from() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let fails =
        Script::fault(BedrockException::from_name("InternalServerException", "no")).always();
    emulator.script_region(WEST, fails);
    let host = bedrock::host(&emulator).await;
    let chat = host.chat("bedrock_models.amazon.only-in-the-west-v1:0", "hi").await;
    assert!(chat.error_message(503).contains("us-west-2"), "{}", chat.text);
    assert_eq!(host.chat(MODEL, "hi").await.status, 200);
}

#[actix_web::test]
async fn pipes_that_keep_nothing_make_no_files() {
    let host = Builder::new().pipes(ALL).start().await;
    ids(&host).await;
    let is_left = |path: &Path| fs::read_dir(path).unwrap().count();
    let kept: Vec<_> = ALL.iter().map(|pipe| host.folder.path().join(pipe.id)).collect();
    assert!(kept.iter().all(|path| !path.exists() || is_left(path) == 0));
}
