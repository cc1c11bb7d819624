//! Valves of files: pydantic's schema by the rules of the form.

use super::{python_host, wait_for, wait_until_loaded};
use crate::support::TestHost;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;

const VALVES: &str = r#"
import os
from enum import Enum
from typing import Dict, List, Literal, Optional
from pydantic import BaseModel, Field


class Colour(Enum):
    red = "red"
    green = "green"


class Pipeline:
    class Valves(BaseModel):
        OPENAI_API_BASE_URL: str = "https://api.example.com/v1"
        OPENAI_API_KEY: str = ""
        SERVICE_TOKEN: str = ""
        count: int = Field(default=3, ge=1, le=10)
        share: float = 0.5
        loud: bool = False
        level: Literal["low", "high"] = "low"
        colour: Colour = Colour.red
        names: List[str] = ["a"]
        most: Optional[int] = None
        headers: Dict[str, str] = {"a": "b"}

    def __init__(self):
        self.valves = self.Valves(OPENAI_API_KEY=os.getenv("OPENAI_API_KEY", "sk-default"))
        self.updates = 0

    async def on_valves_updated(self):
        if self.valves.names == ["refuse"]:
            raise ValueError("This name is taken")
        self.updates += 1

    def pipe(self, user_message, model_id, messages, body):
        values = self.valves.model_dump(mode="json") if hasattr(self.valves, "model_dump") else self.valves.dict()
        return f"{self.updates} {sorted(values.items())}"
"#;

#[actix_web::test]
async fn the_form_is_plain_and_secrets_are_masked() {
    let Some(host) = python_host(&[("turned.py", VALVES)]).await else { return };
    let spec = host.get("/turned/valves/spec").await.json;
    let property = |name: &str| spec["properties"][name].clone();
    assert_eq!(property("count")["maximum"], 10);
    assert_eq!(property("count")["description"], "From 1 to 10. Default: 3.");
    assert_eq!(property("colour")["enum"], json!(["red", "green"]));
    assert_eq!(property("OPENAI_API_KEY")["format"], "password");
    assert_eq!(property("headers")["type"], "string");
    assert!(property("pipewright_threads")["description"].as_str().unwrap().contains("Calls"));
    let values = host.valves("turned").await;
    assert_eq!(values["OPENAI_API_KEY"], "**********");
    assert_eq!(values["headers"], r#"{"a":"b"}"#);
    assert_eq!((&values["colour"], &values["names"]), (&json!("red"), &json!(["a"])));
}

const CONNECTIONS: &str = r#"
from typing import Dict, List
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        conn: str = "x"
        dsn: str = "x"
        auth_header: str = "x"
        authorization: str = "x"
        CONNECTION_STRING: str = "x"
        auth_type: str = "bearer"
        database_url: str = "postgres://me:hunter2-of-the-file@db.example.com/x"
        queue_url: str = "https://queue.example.com/x"
        extra: str = "nothing"
        headers: Dict[str, str] = {"accept": "*/*"}
        hooks: List[str] = ["plain"]

    def __init__(self):
        self.valves = self.Valves()

    def pipe(self, user_message, model_id, messages, body):
        v = self.valves
        return f"{v.queue_url} {v.headers} {v.extra} {v.hooks}"
"#;

#[actix_web::test]
async fn credentials_in_texts_and_addresses_are_masked() {
    let Some(host) = python_host(&[("connects.py", CONNECTIONS)]).await else { return };
    let mask = json!("**********");
    let values = host.valves("connects").await;
    for name in ["conn", "dsn", "auth_header", "authorization", "CONNECTION_STRING", "database_url"]
    {
        assert_eq!(values[name], mask, "{name}");
    }
    assert_eq!(values["queue_url"], "https://queue.example.com/x");
    assert_eq!((&values["auth_type"], &values["extra"]), (&json!("bearer"), &json!("nothing")));
    assert_eq!(values["headers"], r#"{"accept":"*/*"}"#);

    let entered = json!({
        "queue_url": "https://me:hunter2-of-the-queue@queue.example.com/x",
        "headers": r#"{"Authorization": "Bearer hunter2-of-the-header"}"#,
        "extra": "Server=db;Pwd=hunter2-of-the-server",
        "hooks": ["https://a.example.com/?api_key=hunter2-of-the-hook", "plain"],
    });
    assert_eq!(host.update_valves("connects", &entered).await.status, 200);
    let values = host.valves("connects").await;
    for name in ["queue_url", "headers", "extra"] {
        assert_eq!(values[name], mask, "{name}");
    }
    assert_eq!(values["hooks"], json!([mask]));
    for path in ["/connects/valves", "/connects/valves/spec", "/admin/pipes/connects"] {
        let shown = host.get(path).await.text;
        assert!(!shown.contains("hunter2"), "{path}: {shown}");
    }
    // Values that the form sends back untouched change nothing.
    assert_eq!(host.update_valves("connects", &values).await.status, 200);
    let seen = host.answer_text("connects", "hi").await;
    for part in [
        "hunter2-of-the-queue",
        "hunter2-of-the-header",
        "hunter2-of-the-server",
        "hunter2-of-the-hook",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let plain = json!({"queue_url": "https://queue.example.com/x"});
    assert_eq!(host.update_valves("connects", &plain).await.status, 200);
    assert_eq!(host.valves("connects").await["queue_url"], plain["queue_url"]);
}

#[actix_web::test]
async fn what_the_form_sends_reaches_the_file_and_is_saved_where_the_reference_server_has_it() {
    let Some(host) = python_host(&[("turned.py", VALVES)]).await else { return };
    let mut form = host.valves("turned").await;
    assert_eq!(form["SERVICE_TOKEN"], Value::Null);
    form["count"] = "7".into();
    form["names"] = json!(["x", "y"]);
    form["colour"] = "green".into();
    form["headers"] = r#"{"c": "d"}"#.into();
    form["OPENAI_API_KEY"] = "sk-entered".into();
    assert_eq!(host.update_valves("turned", &form).await.status, 200);
    let seen = host.answer_text("turned", "hi").await;
    for part in [
        "1 [",
        "('count', 7)",
        "['x', 'y']",
        "'green'",
        "{'c': 'd'}",
        "'sk-entered'",
        "('SERVICE_TOKEN', '')",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let saved = fs::read_to_string(host.folder.path().join("turned/valves.json")).unwrap();
    let saved: Value = serde_json::from_str(&saved).unwrap();
    assert_eq!((&saved["count"], &saved["headers"]), (&json!(7), &json!({"c": "d"})));
    assert_eq!(host.valves("turned").await["OPENAI_API_KEY"], "**********");
}

#[actix_web::test]
async fn a_file_of_too_many_valves_is_refused() {
    if !super::has_python(&["pydantic"]) {
        return;
    }
    let file = r#"
from pydantic import create_model

Valves = create_model("Valves", **{f"v{place}": (int, 0) for place in range(2_001)})


class Pipeline:
    def __init__(self):
        self.valves = Valves()
"#;
    let host = super::python_builder("on", &[("many.py", file)]).start().await;
    let entry = wait_until_loaded(&host, "many").await;
    assert!(entry["problem"].as_str().unwrap().contains("2001 valves"), "{entry}");
}

#[actix_web::test]
async fn refused_valves_change_nothing() {
    let Some(host) = python_host(&[("turned.py", VALVES)]).await else { return };
    let before = host.answer_text("turned", "hi").await;
    for (name, bad, words) in [
        ("count", json!("11"), "between 1 and 10"),
        ("colour", json!("blue"), "one of red, green"),
        ("headers", json!("{"), "JSON"),
        ("headers", json!({"a": {"b": 1}}), "headers.a"),
        ("names", json!(["refuse"]), "This name is taken"),
        ("OPENAI_API_BASE_URL", json!("https://elsewhere.example.com"), "must be entered again"),
    ] {
        let refused = host.update_valves("turned", &json!({name: bad})).await;
        assert!(refused.status >= 400, "{name}");
        assert!(refused.text.contains(words), "{name}: {}", refused.text);
    }
    assert_eq!(host.answer_text("turned", "hi").await, before);
    assert!(!host.folder.path().join("turned/valves.json").exists());
}

#[actix_web::test]
async fn saved_valves_of_the_reference_server_are_read() {
    if !super::has_python(&["pydantic"]) {
        return;
    }
    let builder = super::python_builder("on", &[("turned.py", VALVES)]);
    let folder = builder.data_folder().join("turned");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("valves.json"), r#"{"count": 9, "headers": {"e": "f"}, "gone": 1}"#)
        .unwrap();
    let host = builder.variable("TURNED_SHARE", "0.75").start().await;
    wait_until_loaded(&host, "turned").await;
    let seen = host.answer_text("turned", "hi").await;
    for part in ["('count', 9)", "{'e': 'f'}", "('share', 0.75)"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
}

/// Waits until the pipe of a file is gone from the list.
async fn wait_until_gone(host: &TestHost, id: &str) {
    wait_for(host, |pipes| pipes.iter().all(|entry| entry["id"] != id).then_some(Value::Null))
        .await;
}

#[actix_web::test]
async fn a_file_that_is_deleted_in_the_ui_takes_its_saved_valves_along() {
    let Some(host) = python_host(&[("turned.py", VALVES)]).await else { return };
    let saved = host.folder.path().join("turned");
    let form = json!({"OPENAI_API_KEY": "sk-entered", "count": 7});
    assert_eq!(host.update_valves("turned", &form).await.status, 200);
    // What was set aside and what belongs to somebody else.
    fs::write(saved.join("valves.json.corrupt"), r#"{"OPENAI_API_KEY": "sk-ent"#).unwrap();
    fs::write(saved.join("notes.txt"), "of the operator").unwrap();

    let request = host.request(Method::DELETE, "/pipelines/delete").json(&json!({"id": "turned"}));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let left: Vec<_> =
        fs::read_dir(&saved).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);

    fs::write(host.folder.path().join("turned.py"), VALVES).unwrap();
    wait_until_loaded(&host, "turned").await;
    let seen = host.answer_text("turned", "hi").await;
    assert!(seen.contains("'sk-default'") && seen.contains("('count', 3)"), "{seen}");
}

#[actix_web::test]
async fn a_file_that_vanishes_from_the_folder_leaves_its_saved_valves() {
    let Some(host) = python_host(&[("turned.py", VALVES)]).await else { return };
    assert_eq!(host.update_valves("turned", &json!({"count": 7})).await.status, 200);
    let file = host.folder.path().join("turned.py");
    fs::remove_file(&file).unwrap();
    wait_until_gone(&host, "turned").await;
    fs::write(&file, VALVES).unwrap();
    wait_until_loaded(&host, "turned").await;
    assert!(host.answer_text("turned", "hi").await.contains("('count', 7)"));
}

#[actix_web::test]
async fn a_filter_names_its_models_by_its_valves() {
    let filter = r#"
from typing import List
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        pipelines: List[str] = []
        priority: int = 0

    def __init__(self):
        self.type = "filter"
        self.name = "Filter"
        self.valves = self.Valves(pipelines=["*"], priority=3)
"#;
    let Some(host) = python_host(&[("some_filter.py", filter)]).await else { return };
    let filter = async || {
        let models =
            host.request(Method::GET, "/models").header("user-agent", "Python/3.11 aiohttp/3.14.5");
        let models = crate::support::TestResponse::read(models.send().await.unwrap()).await.json;
        let all = models["data"].as_array().unwrap().clone();
        all.into_iter().find(|entry| entry["id"] == "some_filter").unwrap()["pipeline"].clone()
    };
    assert_eq!(filter().await["pipelines"], json!(["*"]));
    let turned =
        host.update_valves("some_filter", &json!({"pipelines": ["m"], "priority": "5"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    assert_eq!(
        (&filter().await["pipelines"], &filter().await["priority"]),
        (&json!(["m"]), &json!(5))
    );
}
