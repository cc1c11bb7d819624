//! Documents in, listed, and out.

use super::{LEAVE, ask, host, host_with_documents, list_documents, post_form};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;

#[actix_web::test]
async fn texts_and_files_are_stored_under_their_ids_and_listed() {
    let host = host().await;
    let text = json!({"id": "leave.md", "text": LEAVE, "metadata": {"year": 2026}});
    let put = host.post("/v1/rag/documents/documents", &text).await;
    assert_eq!(
        put.json["documents"],
        json!([{"id": "leave.md", "outcome": "stored", "chunks": 1}])
    );
    let form = Form::new()
        .text("id", "guides/a b.md")
        .text("title", "A guide")
        .text("url", "https://example.com/a")
        .part("file", Part::bytes(b"# Start\nTurn it on.".to_vec()).file_name("a.md"))
        .part("file", Part::bytes(b"Plain.".to_vec()).file_name("notes.txt"));
    let put = post_form(&host, "/rag/documents/documents", form).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let listed = list_documents(&host).await;
    let names: Vec<_> = listed.iter().map(|kept| (&kept["id"], &kept["title"])).collect();
    assert_eq!(
        names,
        [
            (&json!("guides/a b.md"), &json!("A guide")),
            (&json!("leave.md"), &json!("Leave")),
            (&json!("notes.txt"), &json!("notes")),
        ]
    );
    assert_eq!(
        (&listed[1]["metadata"]["year"], &listed[0]["url"]),
        (&json!(2026), &json!("https://example.com/a"))
    );
}

#[actix_web::test]
async fn the_same_text_again_changes_nothing_and_another_takes_its_place() {
    let host = host_with_documents().await;
    let put = async |text: &str| {
        let body = json!({"id": "leave.md", "text": text, "url": "https://example.com/leave"});
        host.post("/rag/documents/documents", &body).await.json["documents"][0]["outcome"].clone()
    };
    assert_eq!(put(LEAVE).await, "unchanged");
    assert_eq!(put("# Leave\nForty weeks.").await, "stored");
    let found = host.post("/rag/documents/search", &json!({"query": "weeks"})).await;
    assert!(found.json["chunks"][0]["text"].as_str().unwrap().contains("Forty"));
    assert_eq!(found.json["chunks"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_document_goes_by_its_id_whatever_stands_in_it() {
    let host = host_with_documents().await;
    host.post("/rag/documents/documents", &json!({"id": "a/b c/search", "text": "x"})).await;
    let gone = ask(&host, Method::DELETE, "/rag/documents/documents/a%2Fb%20c/search", None).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let again = ask(&host, Method::DELETE, "/rag/documents/documents/a/b%20c/search", None).await;
    assert_eq!(again.error_message(404), "There is no document `a/b c/search`");
    assert_eq!(list_documents(&host).await.len(), 2);
}

#[actix_web::test]
async fn a_bad_file_fails_alone_and_is_listed_with_its_reason() {
    let host = host().await;
    let form = Form::new()
        .part("file", Part::bytes(b"# Good\nText.".to_vec()).file_name("good.md"))
        .part("file", Part::bytes(Vec::new()).file_name("empty.md"));
    let put = post_form(&host, "/rag/documents/documents", form).await;
    assert_eq!(put.status, 200);
    assert_eq!(put.json["documents"][1]["outcome"], "failed");
    let listed = list_documents(&host).await;
    assert_eq!(listed[0]["id"], "empty.md");
    assert_eq!(listed[0]["state"], "failed");
    assert!(!listed[0]["reason"].as_str().unwrap().is_empty());
    let form = Form::new().part("file", Part::bytes(Vec::new()).file_name("empty.md"));
    assert_eq!(post_form(&host, "/rag/documents/documents", form).await.status, 422);
}

#[actix_web::test]
async fn collections_are_made_changed_and_forgotten() {
    let host = host().await;
    let wish = json!({"name": "handbuch", "language": "german", "chunk_tokens": 128, "audience": {"only": {"roles": ["staff"]}}});
    let made = host.post("/rag", &wish).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        (&made.json["language"], &made.json["chunk_tokens"]),
        (&json!("german"), &json!(128))
    );
    assert_eq!(
        host.post("/rag", &wish).await.error_message(409),
        "There is a collection `handbuch` already"
    );
    let change = json!({"audience": "everyone"});
    let changed = ask(&host, Method::PATCH, "/rag/handbuch", Some(&change)).await;
    assert_eq!(changed.json["audience"], "everyone", "{}", changed.text);
    let collections = host.get("/rag").await.json["collections"].clone();
    assert_eq!(collections.as_array().unwrap().len(), 1);
    assert_eq!(ask(&host, Method::DELETE, "/rag/handbuch", None).await.status, 204);
    let gone = host.get("/rag/handbuch/documents").await;
    assert_eq!(gone.error_message(404), "There is no collection `handbuch`");
}

#[actix_web::test]
async fn what_cannot_be_so_is_refused_with_its_name() {
    let host = host().await;
    for (path, body, said) in [
        ("/rag", json!({"name": "a b"}), "name: "),
        ("/rag", json!({"name": "valves"}), "name: "),
        ("/rag", json!({"name": "a", "language": "klingon"}), "language: "),
        ("/rag", json!({"name": "a", "chunk_tokens": 3}), "`chunk_tokens` is 3"),
        ("/rag", json!({"name": "a", "audience": "nobody"}), "audience"),
        ("/rag", json!({"name": "a", "colour": "red"}), "colour"),
        ("/rag/documents/documents", json!({"id": "a"}), "text: is missing"),
        ("/rag/documents/documents", json!({"id": "a", "text": 5}), "text: must be a text"),
        ("/rag/documents/documents", json!({"id": "a", "text": "b", "colour": 1}), "colour"),
        ("/rag/documents/documents", json!({"documents": [{"id": 5}]}), "documents[0].id: must"),
        ("/rag/documents/documents", json!([]), "body: must be an object"),
        ("/rag/documents/documents", json!({"documents": []}), "file: send at least one"),
        ("/rag/documents/documents", json!({"id": "", "text": "a"}), "`id`"),
        ("/rag/a%20b/documents", json!({"id": "a", "text": "a"}), "name: "),
        ("/rag/documents/search", json!({"query": "a", "top_k": 0}), "top_k: "),
        ("/rag/documents/search", json!({"top_k": 1}), "query: is missing"),
    ] {
        let refused = host.post(path, &body).await;
        assert!(refused.error_message(400).contains(said), "{path} {body}: {}", refused.text);
    }
    let text = host.request(Method::POST, "/rag/documents/documents").body("plain");
    assert_eq!(text.send().await.unwrap().status(), 415);
}

#[actix_web::test]
async fn a_list_goes_on_where_it_ended() {
    let host = host_with_documents().await;
    let first = host.get("/rag/documents/documents?limit=1").await.json;
    assert_eq!(
        (&first["documents"][0]["id"], &first["next"]),
        (&json!("leave.md"), &json!("leave.md"))
    );
    let second = host.get("/rag/documents/documents?after=leave.md").await.json;
    assert_eq!(second["documents"][0]["id"], "parking.md");
    assert_eq!(second["next"], json!(null));
}

#[actix_web::test]
async fn many_documents_are_removed_at_once() {
    let host = host_with_documents().await;
    let path = "/rag/documents/documents";
    let removed =
        ask(&host, Method::DELETE, path, Some(&json!({"ids": ["leave.md", "nothing.md"]}))).await;
    assert_eq!((removed.status, &removed.json), (200, &json!({"removed": 1})));
    let left = host.get(path).await.json;
    assert_eq!(left["documents"].as_array().unwrap().len(), 1, "{left}");
    let wrong = ask(&host, Method::DELETE, path, Some(&json!({"ids": "leave.md"}))).await;
    assert_eq!(wrong.error_message(400), "ids: must be a list of texts");
}
