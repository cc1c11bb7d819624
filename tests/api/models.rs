//! The lists: models, pipelines, health.

use crate::{
    openai_proxy,
    pipes::PIPES,
    support::{Builder, TestResponse, host},
};
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

#[actix_web::test]
async fn models_are_listed_as_open_webui_reads_them() {
    let host = host().await;
    let asks =
        host.request(Method::GET, "/models").header("user-agent", "Python/3.11 aiohttp/3.12");
    let mut list = TestResponse::read(asks.send().await.unwrap()).await.json;
    for entry in list["data"].as_array_mut().unwrap() {
        assert!(entry["created"].as_u64().unwrap() > 1_700_000_000);
        entry["created"] = json!(0);
    }
    assert_json_snapshot!(list);
}

#[actix_web::test]
async fn each_model_is_found_by_its_id_with_dots_colons_and_slashes() {
    let host = host().await;
    for prefix in ["", "/v1", "/api/v1"] {
        for path in
            ["/models/typed", "/models/script.org/model-v1:0", "/models/script.org%2Fmodel-v1%3A0"]
        {
            assert_eq!(host.get(&format!("{prefix}{path}")).await.status, 200, "{prefix}{path}");
        }
    }
    let unknown = host.get("/models/script.nothing").await;
    assert!(unknown.error_message(404).starts_with("Model `script.nothing` was not found: "));
    assert_eq!(unknown.json["error"]["code"], "model_not_found");
}

#[actix_web::test]
async fn every_path_may_carry_v1_a_doubled_slash_or_one_at_its_end() {
    let host = host().await;
    for path in [
        "/models",
        "/v1/models",
        "/v1/models/",
        "/api/v1/models",
        "//models",
        "/pipelines",
        "/v1/pipelines/",
        "/v1/",
    ] {
        assert_eq!(host.get(path).await.status, 200, "{path}");
    }
    let chat = json!({"model": "typed", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(host.post("/v1/chat/completions/?a=b", &chat).await.status, 200);
}

#[actix_web::test]
async fn a_head_is_answered_like_a_get_and_a_wrong_method_is_told_the_right_ones() {
    let host = host().await;
    for path in ["/v1/models", "/models/typed", "/health", "/pipelines"] {
        let get = host.get(path).await;
        let head = host.request(Method::HEAD, path).send().await.unwrap();
        let length = head.headers()["content-length"].to_str().unwrap().to_owned();
        assert_eq!((head.status().as_u16(), length), (200, get.text.len().to_string()), "{path}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/models", "GET, HEAD"),
        (Method::POST, "/models/typed", "GET, HEAD"),
        (Method::HEAD, "/chat/completions", "POST"),
        (Method::GET, "/v1/messages", "POST"),
        (Method::GET, "/typed/valves/update", "POST"),
        (Method::POST, "/pipelines/delete", "DELETE"),
    ] {
        let refused = TestResponse::read(host.request(method, path).send().await.unwrap()).await;
        assert_eq!((refused.status, refused.header("allow")), (405, allowed), "{path}");
    }
}

#[actix_web::test]
async fn filters_are_listed_for_open_webui_alone() {
    let host = host().await;
    for path in ["/models", "/models?type=all", "/models?type=chat"] {
        assert!(!host.get(path).await.text.contains("polite"), "{path}");
    }
    host.get("/models/polite").await.error_message(404);
}

#[actix_web::test]
async fn anthropics_clients_read_the_list_in_their_own_shape() {
    let host = host().await;
    let get = async |path: &str| {
        let request = host.request(Method::GET, path).header("anthropic-version", "2023-06-01");
        TestResponse::read(request.send().await.unwrap()).await
    };
    let ids = |list: &Value| -> Vec<Value> {
        list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect()
    };
    let all = get("/v1/models").await.json;
    let (first, count) = (&all["data"][0], ids(&all).len());
    assert_eq!((&first["type"], &first["id"]), (&json!("model"), &json!("typed")));
    assert!(first["display_name"].is_string());
    assert!(first["created_at"].as_str().unwrap().ends_with('Z'), "{first}");
    assert_eq!((&all["has_more"], &all["first_id"]), (&json!(false), &first["id"]));
    assert_eq!(all["last_id"], ids(&all)[count - 1]);

    let page = get("/v1/models?limit=2&after_id=typed").await.json;
    assert_eq!((ids(&page), &page["has_more"]), (ids(&all)[1..3].to_vec(), &json!(true)));
    let before = get("/v1/models?before_id=typed").await.json;
    assert_eq!((&before["data"], &before["first_id"]), (&json!([]), &Value::Null));
    assert_eq!(get("/v1/models/typed").await.json, *first);
    for (path, status, words) in [
        ("/v1/models?limit=0", 400, "limit: must be a whole number from 1 to 1000"),
        ("/v1/models?after_id=x", 400, "after_id: there is no such model"),
        ("/v1/models/script.nothing", 404, "Model `script.nothing` was not found"),
    ] {
        let refused = get(path).await;
        assert_eq!(refused.status, status, "{path}");
        let message = refused.json["error"]["message"].as_str().unwrap();
        assert_eq!(message.split(": `GET").next().unwrap(), words, "{path}");
        assert_eq!(refused.json["request_id"], refused.header("request-id"), "{path}");
    }
}

#[actix_web::test]
async fn every_pipe_is_listed_as_a_pipeline_with_valves() {
    let host = host().await;
    let list = host.get("/pipelines").await.json;
    let kinds: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pipe| (pipe["id"].clone(), pipe["type"].clone()))
        .collect();
    assert_eq!(
        serde_json::to_value(kinds).unwrap(),
        json!([
            ["typed", "pipe"],
            ["script", "manifold"],
            ["polite", "filter"],
            ["relay", "pipe"],
            ["unwell", "pipe"]
        ])
    );
    for pipe in list["data"].as_array().unwrap() {
        assert_eq!(pipe["valves"], true);
        let id = pipe["id"].as_str().unwrap();
        assert_eq!(host.get(&format!("/{id}/valves")).await.status, 200);
        assert!(host.get(&format!("/{id}/valves/spec")).await.json["properties"].is_object());
    }
}

#[actix_web::test]
async fn a_pipe_that_cannot_start_is_explained_and_starts_when_its_valves_are_turned() {
    let host = host().await;
    assert_eq!(
        host.get("/health/ready").await.json,
        json!({"status": true, "degraded": ["unwell"]})
    );
    assert_eq!(host.get("/models/unwell").await.status, 404);
    assert!(host.chat("unwell", "hi").await.error_message(503).contains("it is not well"));
    assert_eq!(host.update_valves("unwell", &json!({"well": true})).await.status, 200);
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!([]));
    assert_eq!(host.get("/models/unwell").await.status, 200);
    assert_eq!(host.answer_text("unwell", "hi").await, "well");
}

#[actix_web::test]
async fn a_pipe_that_a_variable_keeps_from_starting_names_the_variable() {
    let host = Builder::new()
        .variable("OPENAI_PROXY_API_BASE", "foo")
        .pipes(openai_proxy::PIPES)
        .start()
        .await;
    let refused = host.chat("openai_proxy.x", "hi").await;
    let message = refused.error_message(503);
    assert!(message.contains("api_base (OPENAI_PROXY_API_BASE): must be"), "{message}");
}

#[actix_web::test]
async fn the_open_routes_say_that_there_is_a_pipelines_server() {
    let host = host().await;
    for path in ["/", "/v1", "/health", "/healthz", "/health/live"] {
        let answer = host.request_without_key(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(
            answer.json::<serde_json::Value>().await.unwrap(),
            json!({"status": true}),
            "{path}"
        );
    }
}

#[actix_web::test]
async fn python_files_are_refused_in_words_and_nothing_is_fetched() {
    let host = host().await;
    let files = || std::fs::read_dir(host.folder.path()).unwrap().count();
    let before = files();
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x.py", trap.local_addr().unwrap());
    let added = host.post("/pipelines/add", &json!({"url": url})).await;
    assert!(added.error_message(409).contains("Python"));
    assert!(trap.accept().is_err(), "somebody called");

    let part = reqwest::multipart::Part::text("class Pipeline: pass").file_name("../x.py");
    let form = reqwest::multipart::Form::new().part("file", part);
    let upload = host
        .request(reqwest::Method::POST, "/pipelines/upload")
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(upload.status().as_u16(), 409);
    assert_eq!(files(), before);
}

#[actix_web::test]
async fn built_in_pipes_cannot_be_deleted() {
    let host = host().await;
    for (id, status) in [("typed", 409), ("nothing", 404)] {
        let answer =
            host.request(reqwest::Method::DELETE, "/pipelines/delete").json(&json!({"id": id}));
        assert_eq!(answer.send().await.unwrap().status().as_u16(), status, "{id}");
    }
}

#[actix_web::test]
async fn the_reference_servers_variables_do_no_harm() {
    let host = Builder::new()
        .variable("PIPELINES_URLS", "https://example.com/x.py")
        .pipes(PIPES)
        .start()
        .await;
    assert_eq!(host.get("/models").await.status, 200);
}
