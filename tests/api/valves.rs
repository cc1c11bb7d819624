//! Valves: what the admin page reads, sends back, and what comes of it.

use crate::{
    pipes::{PIPES, TypedValves},
    support::{Builder, host},
};
use insta::assert_json_snapshot;
use pipe_sdk::Secret;
use pipewright::valves::{Pins, ValvesSpec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Returns the values as the page sends them back untouched: arrays go through text
/// (`docs/reference/open-webui.md`, "Valves form").
pub fn pages_transform(spec: &Value, values: &Value) -> Value {
    let mut form = values.as_object().unwrap().clone();
    for (name, property) in spec["properties"].as_object().unwrap() {
        if property["type"] == "array" {
            let items: Vec<_> =
                form[name].as_array().expect("the page joins it").iter().map(page_text).collect();
            form[name] = items.join(",").split(',').map(|item| Value::from(item.trim())).collect();
        }
    }
    form.into()
}

fn page_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[actix_web::test]
async fn the_spec_is_plain_enough_for_the_form() {
    let host = host().await;
    let spec = host.get("/typed/valves/spec").await.json;
    for (name, property) in spec["properties"].as_object().unwrap() {
        assert!(property["title"].is_string() && property["type"].is_string(), "{name}");
        assert!(property.get("$ref").is_none() && property.get("anyOf").is_none(), "{name}");
    }
    assert!(spec["properties"]["api_key"].get("default").is_none());
    assert_json_snapshot!(spec);
}

#[actix_web::test]
async fn what_the_page_reads_and_sends_back_untouched_changes_nothing() {
    let host = host().await;
    for pipe in PIPES {
        let spec = host.get(&format!("/{}/valves/spec", pipe.id)).await.json;
        let before = host.valves(pipe.id).await;
        let turned = host.update_valves(pipe.id, &pages_transform(&spec, &before)).await;
        if pipe.id == "unwell" {
            continue;
        }
        assert_eq!((turned.status, &turned.json), (200, &before), "{}", pipe.id);
        assert_eq!(host.valves(pipe.id).await, before);
    }
}

#[actix_web::test]
async fn what_the_page_makes_of_edited_fields_is_understood() {
    let host = host().await;
    for (posted, name, read) in [
        (json!("7"), "timeout", json!(7)),
        (json!(" 8 "), "timeout", json!(8)),
        (json!(9.0), "timeout", json!(9)),
        (json!(null), "timeout", json!(30)),
        (json!(""), "timeout", json!(30)),
        (json!("0.25"), "share", json!(0.25)),
        (json!(1), "share", json!(1.0)),
        (json!(""), "loud", json!(false)),
        (json!(true), "loud", json!(true)),
        (json!("false"), "loud", json!(false)),
        (json!("high"), "level", json!("high")),
        (json!(null), "level", json!("medium")),
        (json!(["p", "q"]), "tags", json!(["p", "q"])),
        (json!("a, b"), "tags", json!(["a", "b"])),
        (json!([""]), "tags", json!([])),
        (json!(["eu-west-1"]), "regions", json!(["eu-west-1"])),
        (json!([""]), "regions", json!(["us-east-1", "us-west-2"])),
        (json!("5"), "most", json!(5)),
        (json!(null), "most", json!(null)),
        (json!("x"), "suffix", json!("x")),
        (json!(""), "suffix", json!(null)),
        (json!(null), "prefix", json!("typed: ")),
        (json!("new"), "prefix", json!("new")),
    ] {
        let turned = host.update_valves("typed", &json!({name: posted})).await;
        assert_eq!(
            (turned.status, &turned.json[name]),
            (200, &read),
            "{name} = {posted}: {}",
            turned.text
        );
        assert_eq!(host.valves("typed").await[name], read);
    }
}

#[actix_web::test]
async fn a_fault_names_the_valve_and_the_rule_and_never_the_value() {
    let host = host().await;
    let before = host.valves("typed").await;
    for (posted, said) in [
        (json!({"timeout": "4711"}), "timeout: must be between 5 and 120"),
        (json!({"timeout": "hunter2"}), "timeout: must be a whole number"),
        (json!({"share": 1.5}), "share: must be between 0 and 1"),
        (json!({"loud": "hunter2"}), "loud: must be true or false"),
        (json!({"level": "hunter2"}), "level: must be one of low, medium, high"),
        (
            json!({"regions": [["hunter2"]]}),
            "regions: must be a list of texts, with commas between",
        ),
        (json!({"prefix": {"hunter2": 1}}), "prefix: must be a text"),
        (json!({"regions": "a,a"}), "regions: must differ from each other"),
        (json!({"prefix": "unbuildable"}), "prefix: must be buildable"),
        (
            json!({"timeout": "1", "share": "2"}),
            "timeout: must be between 5 and 120; share: must be between 0 and 1",
        ),
        (
            json!({"api_key": "**********x"}),
            "api_key: holds a part of the mask: clear the field, then enter the whole secret",
        ),
    ] {
        let refused = host.update_valves("typed", &posted).await;
        assert_eq!(refused.error_message(422), said);
        let valve = said.split_once(": ").unwrap().0;
        assert_eq!(refused.json["error"]["param"], valve, "{said}");
    }
    host.update_valves("typed", &json!([1])).await.error_message(422);
    assert_eq!(host.valves("typed").await, before);
    assert!(
        host.update_valves("nothing", &json!({}))
            .await
            .error_message(404)
            .contains("Pipeline nothing not found")
    );
}

#[actix_web::test]
async fn a_secret_is_masked_kept_replaced_and_cleared() {
    let host = host().await;
    assert_eq!(host.valves("typed").await["api_key"], Value::Null);
    let turned = host.update_valves("typed", &json!({"api_key": "canary-4711"})).await;
    assert_eq!(turned.json["api_key"], Secret::MASK);
    for kept in [json!({"api_key": Secret::MASK, "timeout": 9}), json!({"timeout": 10})] {
        assert_eq!(host.update_valves("typed", &kept).await.json["api_key"], Secret::MASK);
        assert!(host.answer_text("typed", "valves").await.contains("|11|"));
    }
    assert_eq!(host.update_valves("typed", &json!({"api_key": "other"})).await.status, 200);
    assert!(host.answer_text("typed", "valves").await.contains("|5|"));
    assert_eq!(
        host.update_valves("typed", &json!({"api_key": null})).await.json["api_key"],
        Value::Null
    );
    assert!(host.answer_text("typed", "valves").await.contains("|0|"));
}

#[actix_web::test]
async fn a_secret_does_not_follow_its_address_to_another_host() {
    let host = host().await;
    let set = json!({"api_base": "https://good.example/v1", "api_key": "canary-4711"});
    assert_eq!(host.update_valves("typed", &set).await.status, 200);
    for (moved, status) in [
        (json!({"api_base": "https://evil.example/v1"}), 422),
        (json!({"api_base": "https://evil.example/v1", "api_key": Secret::MASK}), 422),
        (json!({"api_base": "http://good.example/v1"}), 422),
        (json!({"api_base": "https://good.example:8443/v1"}), 422),
        (json!({"api_base": null}), 422),
        (json!({"api_base": "https://good.example/v2"}), 200),
        (json!({"api_base": "https://evil.example/v1", "api_key": "entered again"}), 200),
    ] {
        let turned = host.update_valves("typed", &moved).await;
        assert_eq!(turned.status, status, "{moved}: {}", turned.text);
        assert!(!turned.text.contains("canary"));
    }
}

#[actix_web::test]
async fn layers_win_in_order_and_the_environment_pins() {
    let host = Builder::new()
        .valves_file("[typed]\ntimeout = 11\nprefix = 'file'\nlevel = 'low'\n")
        .variable("TYPED_LEVEL", "high")
        .variable("TYPED_API_KEY", "0123")
        .start()
        .await;
    let valves = host.valves("typed").await;
    assert_eq!(
        (&valves["timeout"], &valves["prefix"], &valves["level"]),
        (&json!(11), &json!("file"), &json!("high"))
    );
    assert_eq!(host.update_valves("typed", &json!({"timeout": 12})).await.status, 200);
    assert_eq!(host.valves("typed").await["timeout"], 12);
    assert_eq!(host.update_valves("typed", &json!({"timeout": null})).await.json["timeout"], 11);
    let pinned = host.update_valves("typed", &json!({"level": "low"})).await;
    assert_eq!(pinned.error_message(422), "level: is pinned by TYPED_LEVEL: change it there");
    assert_eq!(host.update_valves("typed", &json!({})).await.status, 200);
    let spec = host.get("/typed/valves/spec").await.json;
    assert_eq!(
        spec["properties"]["level"]["description"],
        "One of three. Set by TYPED_LEVEL: it cannot be changed here."
    );
    assert_eq!(
        host.update_valves("typed", &json!({"level": "high", "api_key": Secret::MASK}))
            .await
            .status,
        200
    );
    host.update_valves("typed", &json!({"api_key": "mine"})).await.error_message(422);
    assert!(
        host.answer_text("typed", "valves").await.ends_with("|4|11"),
        "a key of digits is a text"
    );
}

#[actix_web::test]
async fn a_variable_may_name_a_file_that_holds_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "from a file\n").unwrap();
    let host = Builder::new().variable("TYPED_API_KEY_FILE", path.to_str().unwrap()).start().await;
    assert!(host.answer_text("typed", "valves").await.contains("|11|"));
}

#[actix_web::test]
async fn valves_that_cannot_be_so_keep_their_pipe_from_starting_until_they_are_turned() {
    let host = Builder::new().valves_file("[typed]\ntimeout = 4711\n").start().await;
    let said = host.chat("typed", "hi").await;
    assert!(
        said.error_message(503).contains("timeout: must be between 5 and 120 (valves.toml)"),
        "{}",
        said.text
    );
    assert_eq!(host.valves("typed").await["timeout"], 30);
    assert_eq!(host.update_valves("typed", &json!({"timeout": 31})).await.status, 200);
    assert_eq!(host.answer_text("typed", "valves").await, "typed: |0|31");

    let host = Builder::new().valves_file("not toml").start().await;
    assert_eq!(host.get("/models").await.json["data"].as_array().unwrap().len(), 0);
    assert_eq!(
        host.get("/health/ready").await.json["degraded"].as_array().unwrap().len(),
        PIPES.len()
    );
}

#[actix_web::test]
async fn a_file_that_is_not_understood_costs_no_saved_valve_and_shows_no_secret() {
    let host = host().await;
    host.update_valves("typed", &json!({"prefix": "saved "})).await;
    let folder = host.stop().await;
    let broken = "[typed]\napi_key = \"canary-4711\n";
    let host = Builder::with_folder(folder)
        .valves_file(broken)
        .variable("TYPED_LEVEL", "high")
        .start()
        .await;
    let said = host.chat("typed", "hi").await;
    assert!(
        said.error_message(503).contains("valves.toml: line 2 is not understood"),
        "{}",
        said.text
    );
    let refused = host.update_valves("typed", &json!({"timeout": 31})).await;
    assert!(
        refused.error_message(422).contains("line 2") && !refused.text.contains("canary"),
        "{}",
        refused.text
    );
    assert_eq!(host.valves("typed").await["level"], "high");
    std::fs::write(host.folder.path().join("valves.toml"), "").unwrap();
    host.post("/pipelines/reload", &json!({})).await;
    assert_eq!(host.answer_text("typed", "hi").await, "saved hi");
}

#[actix_web::test]
async fn a_cleared_secret_does_not_let_the_files_one_follow_to_another_host() {
    let host = Builder::new().valves_file("[typed]\napi_key = 'of the file'\n").start().await;
    assert_eq!(host.update_valves("typed", &json!({"api_key": "mine"})).await.status, 200);
    let moved = json!({"api_base": "https://evil.example", "api_key": null});
    assert!(host.update_valves("typed", &moved).await.error_message(422).contains("api_key"));
    let entered = json!({"api_base": "https://other.example", "api_key": "mine"});
    assert_eq!(
        host.update_valves("typed", &entered).await.status,
        200,
        "the same secret, entered again"
    );
}

#[actix_web::test]
async fn what_was_saved_is_there_after_a_restart_and_only_that() {
    let host = host().await;
    assert_eq!(
        host.update_valves("typed", &json!({"prefix": "saved: ", "timeout": 30, "api_key": "k"}))
            .await
            .status,
        200
    );
    let saved = std::fs::read_to_string(host.folder.path().join("typed/valves.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&saved).unwrap(),
        json!({"prefix": "saved: ", "api_key": "k"})
    );
    let folder = host.stop().await;
    let host = Builder::with_folder(folder).start().await;
    assert_eq!(host.answer_text("typed", "hi").await, "saved: hi");
}

#[actix_web::test]
async fn a_corrupt_file_does_not_stop_the_host() {
    for corrupt in ["", "{\"prefix\":", "[]", "\u{0}\u{0}"] {
        let builder = Builder::new();
        let host = builder.start().await;
        host.update_valves("typed", &json!({"prefix": "a"})).await;
        host.update_valves("typed", &json!({"prefix": "b"})).await;
        let folder = host.stop().await;
        std::fs::write(folder.path().join("typed/valves.json"), corrupt).unwrap();
        let host = Builder::with_folder(folder).start().await;
        assert_eq!(host.answer_text("typed", "hi").await, "bhi", "the copy serves");
        assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["typed", "unwell"]));
        assert!(host.folder.path().join("typed/valves.json.corrupt").exists());
    }
}

#[actix_web::test]
async fn a_disk_that_cannot_be_written_changes_nothing() {
    let host = host().await;
    // A file where the pipe's folder should be: even root cannot write into it.
    std::fs::write(host.folder.path().join("typed"), "").unwrap();
    let turned = host.update_valves("typed", &json!({"prefix": "lost"})).await;
    assert!(turned.error_message(507).contains("nothing was changed"));
    assert_eq!(host.answer_text("typed", "hi").await, "typed: hi");
    std::fs::remove_file(host.folder.path().join("typed")).unwrap();
    assert_eq!(host.update_valves("typed", &json!({"prefix": "kept "})).await.status, 200);
    assert_eq!(host.answer_text("typed", "hi").await, "kept hi");
}

#[actix_web::test]
async fn an_answer_under_way_keeps_what_it_began_with_and_no_request_is_lost_while_valves_turn() {
    let host = host().await;
    let chats = async {
        for _ in 0..200 {
            let text = host.answer_text("typed", "x").await;
            assert!(text.ends_with('x'), "{text}");
        }
    };
    let turns = async {
        for n in 0..60 {
            assert_eq!(
                host.update_valves("typed", &json!({"prefix": format!("{n} ")})).await.status,
                200
            );
        }
    };
    tokio::join!(chats, turns);
    assert_eq!(host.answer_text("typed", "x").await, "59 x");
}

#[actix_web::test]
async fn reload_reads_the_files_again() {
    let host = Builder::new()
        .valves_file("[typed]\nprefix = 'one '\n[unwell]\nwell = true\n")
        .start()
        .await;
    assert_eq!(host.answer_text("typed", "x").await, "one x");
    std::fs::write(
        host.folder.path().join("valves.toml"),
        "[typed]\nprefix = 'two '\n[unwell]\nwell = true\n",
    )
    .unwrap();
    assert_eq!(host.post("/pipelines/reload", &json!({})).await.status, 200);
    assert_eq!(host.answer_text("typed", "x").await, "two x");
}

#[actix_web::test]
async fn no_secret_is_in_any_answer() {
    let canary = "canary-4711-secret";
    let host = Builder::new().variable("TYPED_API_KEY", canary).start().await;
    for path in [
        "/models",
        "/pipelines",
        "/typed/valves",
        "/typed/valves/spec",
        "/health/ready",
        "/models/typed",
    ] {
        assert!(!host.get(path).await.text.contains(canary), "{path}");
    }
    for posted in [
        json!({"timeout": canary}),
        json!({"api_key": canary}),
        json!({"level": canary}),
        json!([canary]),
        json!(canary),
    ] {
        assert!(!host.update_valves("typed", &posted).await.text.contains(canary), "{posted}");
    }
}

/// Any valves that an admin could have.
fn any_valves() -> impl Strategy<Value = Map<String, Value>> {
    let text = "[a-z][a-z ]{0,8}[a-z]";
    (text, proptest::option::of(text), proptest::option::of("[a-z]{3,9}"), 5..=120u32, proptest::option::of(any::<i32>()), 0.0..=1.0f64, any::<bool>(), proptest::sample::select(vec!["low", "medium", "high"]), proptest::collection::hash_set("[a-z]{2,5}", 0..4))
        .prop_map(|(prefix, suffix, api_key, timeout, most, share, loud, level, tags)| {
            let valves = json!({"prefix": prefix, "suffix": suffix, "api_key": api_key, "timeout": timeout, "most": most, "share": share, "loud": loud, "level": level, "tags": tags});
            valves.as_object().unwrap().clone()
        })
}

proptest! {
    #[test]
    fn whatever_was_saved_the_pages_round_trip_changes_nothing(stored in any_valves()) {
        use pipewright::valves::{ValveLayers, ValvesUpdate};
        let spec = ValvesSpec::for_valves::<TypedValves>();
        let layers = ValveLayers::load("typed", &spec, std::path::Path::new("/nonexistent"), &Pins::default(), Vec::new());
        let (values, sources, faults) = layers.merge(&spec, &stored);
        prop_assert!(faults.is_empty());
        let shown = Value::Object(spec.mask_values(&values));
        let posted = pages_transform(&spec.to_json(), &shown).as_object().unwrap().clone();
        let update = ValvesUpdate { spec: &spec, values: &values, sources: &sources, saved: &stored };
        let saved = update.parse(posted).unwrap().saved;
        let (after, _, _) = layers.merge(&spec, &saved);
        prop_assert_eq!(values, after);
    }
}
