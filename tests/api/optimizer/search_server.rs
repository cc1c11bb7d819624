//! A search server in the form of `SearXNG` that answers by a script.

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// A running server.
pub struct SearchServer {
    pub url: String,
    queries: Arc<Mutex<Vec<String>>>,
}

impl SearchServer {
    /// Starts a server that answers with these results: title, address and passage.
    pub fn start(answer: impl Fn(&str) -> Vec<[String; 3]> + Send + Sync + 'static) -> Self {
        let (answer, queries) = (Arc::new(answer), Arc::new(Mutex::<Vec<String>>::default()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::clone(&queries);
        let app = move || {
            let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
            App::new().default_service(web::to(
                move |request: actix_web::HttpRequest,
                      query: web::Query<BTreeMap<String, String>>| {
                    assert_eq!((request.path(), query["format"].as_str()), ("/search", "json"));
                    seen.lock().unwrap().push(query["q"].clone());
                    let results = answer(&query["q"]).into_iter().map(
                        |[title, url, content]| json!({"title": title, "url": url, "content": content}),
                    );
                    let results: Vec<Value> = results.collect();
                    std::future::ready(HttpResponse::Ok().json(json!({"results": results})))
                },
            ))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
        actix_web::rt::spawn(server.run());
        Self { url, queries }
    }

    /// Returns all queries so far.
    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }

    /// Returns the valves that choose this server.
    pub fn valves(&self) -> Value {
        json!({"search_api": "searxng", "search_url": self.url})
    }
}
