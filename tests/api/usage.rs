//! The usage and costs of answers, and their records.

use crate::{
    rig::{LITE, MICRO, Rig, chat_body, model_id, rig_without_fallbacks, with_stream},
    support::{Builder, TestHost, TestResponse, chat, host},
};
use bedrock_emulator::{ANY, BedrockException, Script};
use reqwest::Method;
use serde_json::{Value, json};

async fn rows(host: &TestHost, query: &str) -> Vec<Value> {
    let report = host.get(&format!("/usage?{query}")).await;
    assert_eq!(report.status, 200, "{}", report.text);
    report.json["rows"].as_array().unwrap().clone()
}

async fn asked_by(rig: &Rig, user: &str, model: &str) {
    let mut body = with_stream(chat_body(model, &json!({})), true);
    body["user"] = json!({"id": user, "name": user.to_uppercase()});
    assert_eq!(rig.post(&body).await.status, 200);
}

#[actix_web::test]
async fn an_answer_is_booked_for_its_user_and_model_with_its_price() {
    let rig = rig_without_fallbacks(json!({})).await;
    for (user, model) in [("ann", LITE), ("ann", MICRO), ("bob", LITE)] {
        asked_by(&rig, user, model).await;
    }
    let by_user = rows(&rig.host, "by=user").await;
    let of = |name: &str| by_user.iter().find(|row| row["user"] == name).unwrap().clone();
    assert_eq!((&of("ann")["requests"], &of("bob")["requests"]), (&json!(2), &json!(1)));
    assert_eq!(of("ann")["name"], "ANN");
    let by_model = rows(&rig.host, "by=model&user=bob").await;
    assert_eq!(by_model.len(), 1, "{by_model:?}");
    let row = &by_model[0];
    assert_eq!(row["model"], model_id(LITE));
    // Nova Lite: 0.06 and 0.24 dollars for a million tokens.
    let tokens = |name: &str| row[name].as_f64().unwrap();
    let cost = (tokens("prompt") * 0.06 + tokens("completion") * 0.24).round() / 1e6;
    assert!(tokens("completion") > 0.0 && row["cost_usd"] == cost, "{row}");
}

#[actix_web::test]
async fn what_went_through_two_pipes_is_counted_once() {
    let host = host().await;
    assert_eq!(host.chat("relay", "script.whole").await.status, 200);
    let rows = rows(&host, "by=model,pipe").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["model"], &rows[0]["requests"]), (&json!("script.whole"), &json!(1)));
}

#[actix_web::test]
async fn an_answer_that_fails_is_booked_as_failed() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock
        .script(ANY, Script::fault(BedrockException::from_name("ValidationException", "no")));
    rig.post(&chat_body(LITE, &json!({}))).await.error_message(400);
    let rows = rows(&rig.host, "by=model").await;
    assert_eq!((&rows[0]["errors"], &rows[0]["prompt"]), (&json!(1), &json!(0)), "{rows:?}");
}

#[actix_web::test]
async fn vectors_are_booked_apart_from_answers() {
    let rig = rig_without_fallbacks(json!({})).await;
    asked_by(&rig, "ann", LITE).await;
    let body = json!({"model": model_id("amazon.titan-embed-text-v2:0"), "input": "some text"});
    assert_eq!(rig.host.post("/embeddings", &body).await.status, 200);
    let by_kind = rows(&rig.host, "by=kind").await;
    let embedded = by_kind.iter().find(|row| row["kind"] == "embed").unwrap();
    assert!(embedded["embedded"].as_i64().unwrap() > 0, "{by_kind:?}");
    assert_eq!((&embedded["requests"], &embedded["prompt"]), (&json!(0), &json!(0)));
    let all = &rows(&rig.host, "by=day").await[0];
    assert_eq!((&all["requests"], &all["embeddings"]), (&json!(1), &json!(1)), "{all}");
    let table = rig.host.get("/usage?by=day&format=csv").await.text;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("day,requests,embeddings,rerankings,errors,"), "{table}");
    assert!(lines[1].contains(",1,1,0,0,"), "{table}");
}

#[actix_web::test]
async fn usage_survives_the_host() {
    let first = rig_without_fallbacks(json!({})).await;
    asked_by(&first, "ann", LITE).await;
    rows(&first.host, "").await;
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(first.host.folder.path()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let second = Builder::with_folder(folder).start().await;
    assert_eq!(rows(&second, "by=user").await[0]["user"], "ann");
}

#[actix_web::test]
async fn a_report_comes_as_a_table_too() {
    let rig = rig_without_fallbacks(json!({})).await;
    asked_by(&rig, "ann", LITE).await;
    let table = rig.host.get("/usage?by=day,user&format=csv").await;
    assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
    assert!(table.header("content-disposition").contains("usage-"));
    let lines: Vec<_> = table.text.lines().collect();
    assert!(lines[0].starts_with("day,user,user_name,requests,embeddings,"), "{}", table.text);
    assert!(lines[1].contains(",ann,ANN,1,0,0,0,"), "{}", table.text);
    let table = rig.host.get("/usage?by=model&format=csv").await;
    let row = table.text.lines().nth(1).unwrap().to_owned();
    assert!(row.starts_with(&format!("{},", model_id(LITE))) && row.contains("Nova Lite"), "{row}");
    let row = &rows(&rig.host, "by=model").await[0];
    assert!(row["model_name"].as_str().unwrap().contains("Nova Lite"), "{row}");
}

#[actix_web::test]
async fn a_question_that_cannot_be_answered_names_its_field() {
    let host = host().await;
    for (query, field) in [
        ("from=yesterday", "from"),
        ("from=2026-02-02&to=2026-02-01", "from"),
        ("by=day,colour", "by"),
        ("limit=-1", "limit"),
        ("format=xml", "format"),
        ("colour=red", "colour"),
    ] {
        let refused = host.get(&format!("/usage?{query}")).await;
        assert!(refused.error_message(400).starts_with(&format!("{field}: ")), "{query}");
        assert_eq!(refused.json["error"]["param"], field);
    }
}

#[actix_web::test]
async fn a_report_needs_the_key() {
    let host = host().await;
    let report =
        TestResponse::read(host.request_without_key(Method::GET, "/usage").send().await.unwrap())
            .await;
    report.error_message(401);
}

#[actix_web::test]
async fn the_operators_prices_win() {
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    std::fs::write(&prices, "[script]\n\"whole\" = { input = 1000000, output = 0 }\n").unwrap();
    let host = Builder::new().flag("--prices-file", prices.to_str().unwrap()).start().await;
    assert_eq!(host.post("/chat/completions", &chat("script.whole", "hi")).await.status, 200);
    let row = &rows(&host, "by=model").await[0];
    assert_eq!(row["cost_usd"].as_f64(), row["prompt"].as_f64(), "{row}");
}
