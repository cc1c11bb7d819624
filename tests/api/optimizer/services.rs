//! Approaches that use more than models, through the whole host: web searches, programs, what is
//! learnt.

use super::{ScriptedReply, content, rig, says, search_server::SearchServer};
use crate::support::{Builder, chat};
use ::optimizer::Optimizer;
use pipewright::slot::Registration;
use serde_json::{Value, json};

fn page(name: &str, passage: &str) -> [String; 3] {
    [name.to_owned(), format!("https://{name}.example/"), passage.to_owned()]
}

#[actix_web::test]
async fn what_a_search_finds_stands_before_the_question() {
    let search = SearchServer::start(|_| vec![page("tower", "It is 330 m high."), page("b", "x")]);
    let script = |prompt: &str, _: usize| {
        says(if prompt.contains("330 m high") { "330 m [1]" } else { "I do not know." })
    };
    let rig = rig(search.valves(), script).await;
    let question = json!({"messages": [{"role": "user", "content": "How high is the tower?"}]});
    let (answered, calls) = rig.count_calls("web_search-m", question).await;
    assert_eq!((content(&answered), calls), ("330 m [1]", 1));
    assert_eq!(search.queries(), ["How high is the tower?"]);
    let sent = rig.upstream.chat_bodies().remove(0)["messages"].to_string();
    assert!(sent.contains("https://tower.example/") && sent.contains("How high is the tower?"));
    let frames = rig.host.stream("web_search-m", "Look up: the tower").await;
    let source = frames.iter().position(|frame| frame.contains("\"type\":\"source\"")).unwrap();
    let text = frames.iter().position(|frame| frame.contains("330 m [1]")).unwrap();
    assert!(source < text, "{frames:?}");
    assert_eq!(search.queries()[1], "the tower");
}

#[actix_web::test]
async fn privacy_holds_for_searches_too() {
    let search = SearchServer::start(|_| vec![page("a", "x")]);
    let rig = rig(search.valves(), |_, _| says("no")).await;
    let question =
        json!({"messages": [{"role": "user", "content": "search for jane@example.com and cats"}]});
    for model in ["privacy&web_search-m", "web_search&privacy&bon-m"] {
        let answered = rig.ask(model, question.clone()).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    assert_eq!(search.queries().len(), 2);
    for query in search.queries() {
        assert!(query.contains("cats") && !query.contains("jane"), "{query}");
    }
    assert!(rig.upstream.chat_bodies().iter().all(|asked| !asked.to_string().contains("jane@")));
}

#[actix_web::test]
async fn a_report_is_revised_with_what_searches_find_and_lists_what_it_cites() {
    let search = SearchServer::start(|query| match query {
        "height" => vec![page("height", "It is 330 m high."), page("both", "both")],
        "year" => vec![page("both", "both"), page("year", "It was built in 1889.")],
        _ => vec![],
    });
    let script = |prompt: &str, _: usize| {
        let about = |words: &str| prompt.contains(words);
        match () {
            () if about("Write a first draft") => says("The tower is [?] m high."),
            () if about("Somebody writes a report") => says("- height"),
            () if about("Revise the draft") && about("330 m high") => {
                says("It is 330 m [1] high.\nSEARCHES:\n- year")
            }
            () if about("Revise the draft") => {
                assert!(about("source 3: https://year.example/") && !about("source 4"), "{prompt}");
                says("It is 330 m [1] high, of 1889 [3].\nSEARCHES:\nNONE")
            }
            () => {
                assert!(about("of 1889 [3]") && about("[2] both"), "{prompt}");
                says("330 m [1], 1889 [3].")
            }
        }
    };
    let rig = rig(search.valves(), script).await;
    let (answered, calls) = rig.count_calls("deep_research-m", json!({"x_optimizer": true})).await;
    let report = "330 m [1], 1889 [3].\n\nSources:\n\n[1] height: https://height.example/\n\n[3] year: https://year.example/";
    assert_eq!((content(&answered), calls), (report, 5));
    assert_eq!(search.queries(), ["height", "year"]);
    assert_eq!(answered.json["x_optimizer"]["depth"], 4);
    // A limit of rounds.
    let (answered, calls) = rig.count_calls("deep_research-m", json!({"max_iterations": 0})).await;
    assert!(answered.error_message(400).contains("max_iterations"), "{}", answered.text);
    assert_eq!(calls, 0);
}

#[actix_web::test]
async fn searches_of_the_web_are_counted_by_the_limits() {
    let search = SearchServer::start(|_| vec![page("a", "x")]);
    let rig = rig(search.valves(), |_, _| says("no")).await;
    let rules = json!({"exceptions": "everybody: 2 searches/day"});
    assert_eq!(rig.host.update_valves("rate_limit", &rules).await.status, 200);
    for _ in 0..2 {
        let answered = rig.ask("web_search-m", json!({})).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    let (answered, calls) = rig.count_calls("web_search-m", json!({})).await;
    assert!(answered.error_message(429).contains("2 searches a day"), "{}", answered.text);
    assert_eq!((calls, search.queries().len()), (0, 2));
}

#[actix_web::test]
async fn the_key_of_one_search_api_is_not_sent_to_another() {
    let rig = rig(json!({"search_api": "brave", "search_key": "key"}), |_, _| says("no")).await;
    let moved = json!({"search_api": "tavily"});
    let refused = rig.host.update_valves("optimizer", &moved).await;
    assert!(
        refused.error_message(422).contains("search_key: must be entered again"),
        "{}",
        refused.text
    );
    let moved = json!({"search_api": "tavily", "search_key": "key"});
    assert_eq!(rig.host.update_valves("optimizer", &moved).await.status, 200);
}

#[actix_web::test]
async fn a_search_that_fails_is_an_error_of_the_search() {
    let valves = json!({"search_api": "searxng", "search_url": "http://127.0.0.1:9"});
    let rig = rig(valves, |_, _| says("no")).await;
    let answered = rig.ask("web_search-m", json!({})).await;
    assert!(answered.error_message(502).contains("search API cannot be reached"));
    for (wrong, part) in [
        (json!({"search_api": "searxng", "search_url": null}), "address of the search server"),
        (json!({"search_api": "brave"}), "must be set for this search API"),
        (json!({"search_api": "searxng", "search_url": "x"}), "must be an address"),
    ] {
        let refused = rig.host.update_valves("optimizer", &wrong).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
        assert!(refused.text.contains(part), "{wrong}: {}", refused.text);
    }
}

#[actix_web::test]
async fn code_is_refused_until_an_admin_switches_it_on() {
    let script = |prompt: &str, _: usize| match prompt {
        prompt if prompt.contains("Decide whether a program") => {
            ScriptedReply::Says("```python\nprint(6 * 7)\n```".into())
        }
        prompt => says(if prompt.contains("\\n42\\n") { "It is 42." } else { "?" }),
    };
    let rig = rig(json!({}), script).await;
    let (answered, calls) = rig.count_calls("coc-m", json!({})).await;
    assert!(answered.error_message(400).contains("`code_execution`"), "{}", answered.text);
    assert_eq!(calls, 0);
    assert_eq!(
        rig.host.update_valves("optimizer", &json!({"code_execution": true})).await.status,
        200
    );
    let answered = rig.ask("coc-m", json!({})).await;
    match answered.status {
        200 => assert_eq!(content(&answered), "It is 42."),
        // A machine without a sandbox says why.
        _ => assert!(answered.error_message(400).contains("not available"), "{}", answered.text),
    }
}

#[actix_web::test]
async fn what_is_learnt_is_kept_for_its_user() {
    let script = |prompt: &str, _: usize| match () {
        () if prompt.contains("You sort requests") => says("writing"),
        () if prompt.contains("Write a strategy") => says("MARK: be short."),
        () if prompt.contains("Helped: <the numbers") => says("Helped: 1"),
        () if prompt.contains("MARK") => says("with"),
        () => says("without"),
    };
    let rig = rig(json!({"spl_learning": true}), script).await;
    let learn = json!({"user": "ann", "spl_learning": true});
    assert_eq!(content(&rig.ask("spl-m", learn).await), "with");
    assert_eq!(content(&rig.ask("spl-m", json!({"user": "ann"})).await), "with");
    assert_eq!(content(&rig.ask("spl-m", json!({"user": "ben"})).await), "without");
    assert_eq!(content(&rig.ask("spl-m", json!({})).await), "without");
}

#[actix_web::test]
async fn the_gateways_variable_switches_approaches() {
    const PIPES: &[Registration] = &[Registration::for_pipe::<Optimizer>()];
    for (value, refusal) in [("false", "switched off"), ("true", "`x` was not found")] {
        let host = Builder::new().variable("ENABLE_OPTILLM", value).pipes(PIPES).start().await;
        let answered = host.post("/chat/completions", &chat("moa-x", "Hi")).await;
        let status = if value == "true" { 404 } else { 400 };
        assert!(answered.error_message(status).contains(refusal), "{value}: {}", answered.text);
        let shown: Value = host.get("/admin/pipes/optimizer").await.json;
        let valve =
            shown["valves"].as_array().unwrap().iter().find(|valve| valve["name"] == "enabled");
        assert_eq!(valve.unwrap()["source"], "default_variable", "{shown}");
    }
}
