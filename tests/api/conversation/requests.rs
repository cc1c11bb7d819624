//! The requests that the model gets: the persona, the window, and every turn once.

use super::{Rig, SUMMARIZE, content, message, rig};
use crate::{
    optimizer::upstream::{ScriptedReply, Upstream, says},
    support::{Builder, TestResponse},
};
use reqwest::Method;
use serde_json::{Value, json};

const PERSONA: &str = "system: You are a helpful assistant.";

#[actix_web::test]
async fn ten_turns_of_a_plain_client_are_one_conversation() {
    let rig = rig(json!({"memory_window": 3})).await;
    for turn in 0..10 {
        assert_eq!(
            rig.say("anna", "c", &format!("question {turn}")).await,
            format!("answer {turn}")
        );
        let mut expected = vec![PERSONA.to_owned()];
        for earlier in turn.max(3) - 3..turn {
            expected.push(format!("user: question {earlier}"));
            expected.push(format!("assistant: answer {earlier}"));
        }
        expected.push(format!("user: question {turn}"));
        assert_eq!(rig.message_lines(), expected);
    }
    let sent = rig.upstream.chat_bodies().last().unwrap().to_string();
    assert!(!sent.contains("conversation_id"), "{sent}");
}

#[actix_web::test]
async fn the_id_stands_in_the_body_the_metadata_or_a_header() {
    let rig = rig(json!({})).await;
    let hello = || json!([message("user", "hello")]);
    rig.ask(hello(), json!({"conversation_id": "c"})).await;
    rig.ask(hello(), json!({"metadata": {"conversation_id": "c"}})).await;
    let body = json!({"model": super::MODEL, "messages": hello()});
    let request = rig.host.request(Method::POST, "/chat/completions");
    let request = request.header("x-pipewright-conversation-id", "c").json(&body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(
        rig.message_lines().len(),
        6,
        "the persona and three turns: {:?}",
        rig.message_lines()
    );
    rig.ask(hello(), json!({})).await;
    assert_eq!(
        rig.message_lines(),
        [PERSONA, "user: hello"],
        "without an id nothing is remembered"
    );
    for (id, field) in [(json!(7), "conversation_id"), (json!(""), "conversation_id")] {
        let refused = rig.ask(hello(), json!({"conversation_id": id})).await;
        assert!(refused.error_message(400).starts_with(field), "{}", refused.text);
    }
}

#[actix_web::test]
async fn the_history_that_a_client_sends_wins() {
    let rig = rig(json!({"persona": null})).await;
    // As Open WebUI does it: the id of the chat, and all messages of the branch that is shown.
    let webui = async |texts: &[&str]| {
        let role = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
        let messages = texts.iter().enumerate().map(|(at, text)| message(role(at), text));
        let more = json!({"user": {"id": "anna"}, "chat_id": "chat"});
        rig.ask(messages.collect(), more).await;
        let lines = texts.iter().enumerate().map(|(at, text)| format!("{}: {text}", role(at)));
        assert_eq!(rig.message_lines(), lines.collect::<Vec<_>>());
    };
    webui(&["a"]).await;
    webui(&["a", "answer 0", "b"]).await;
    // The second question regenerated, then edited, then the first one edited.
    webui(&["a", "answer 0", "b"]).await;
    webui(&["a", "answer 0", "B"]).await;
    webui(&["A"]).await;
    // Another branch, and another tab.
    webui(&["a", "answer 0", "b", "answer 1", "c"]).await;
    webui(&["A", "answer 4", "d"]).await;
    // A plain client that sends a history replaces the stored one, too.
    let more = json!({"user": {"id": "anna"}, "conversation_id": "chat"});
    let history = json!([message("user", "x"), message("assistant", "y"), message("user", "z")]);
    rig.ask(history, more).await;
    assert_eq!(rig.message_lines(), ["user: x", "assistant: y", "user: z"]);
    rig.say("anna", "chat", "next").await;
    assert_eq!(
        rig.message_lines(),
        ["user: x", "assistant: y", "user: z", "assistant: answer 7", "user: next"]
    );
}

#[actix_web::test]
async fn temporary_chats_and_background_tasks_leave_nothing() {
    let rig = rig(json!({})).await;
    let user = json!({"id": "anna"});
    rig.ask(json!([message("user", "hi")]), json!({"user": user, "chat_id": "local:1"})).await;
    let task = json!([message("user", "### Task:\nWrite a title")]);
    rig.ask(task, json!({"user": user, "chat_id": "chat"})).await;
    assert_eq!(rig.message_lines(), ["user: ### Task:\nWrite a title"], "no persona");
    let listed = rig.host.get("/conversations").await;
    assert_eq!(listed.json["data"], json!([]), "{}", listed.text);
}

#[actix_web::test]
async fn turns_before_the_window_are_summarized_and_paid_for() {
    let valves = json!({"memory_window": 1, "persona": null, "summary_model": "openai_proxy.m"});
    let rig = rig(valves).await;
    for turn in 0..2 {
        rig.say("anna", "c", &format!("question {turn}")).await;
    }
    let more = json!({"user": {"id": "anna"}, "conversation_id": "c"});
    let third = rig.ask(json!([message("user", "question 2")]), more.clone()).await;
    assert_eq!(content(&third), "answer 3");
    assert_eq!(third.json["usage"]["prompt_tokens"], 20, "of both calls: {}", third.text);
    let asked = rig.upstream.chat_bodies();
    let summarized = asked[2].to_string();
    assert!(summarized.contains(SUMMARIZE) && summarized.contains("Assistant: answer 0"));
    assert!(!summarized.contains("question 1"), "{summarized}");
    let summary = "system: Summary of the conversation before the following messages:\nsummary 2";
    let window = ["user: question 1", "assistant: answer 1", "user: question 2"];
    assert_eq!(rig.message_lines(), [&[summary], &window[..]].concat());
    rig.say("anna", "c", "question 3").await;
    let asked = rig.upstream.chat_bodies();
    assert!(asked[4].to_string().contains("Summary of everything before:\\nsummary 2"));
    // Open WebUI's history of the same conversation needs no new summary of the same turns.
    let shown = rig.host.get("/conversations/c?user=anna").await;
    assert_eq!(shown.json["summary"], "summary 4", "{}", shown.text);
}

#[actix_web::test]
async fn a_summary_holds_for_the_history_that_it_was_made_of() {
    let valves = json!({"memory_window": 1, "persona": null, "summary_model": "openai_proxy.m"});
    let rig = rig(valves).await;
    let history = |first: &str| {
        json!([
            message("user", first),
            message("assistant", "one"),
            message("user", "b"),
            message("assistant", "two"),
            message("user", "c"),
        ])
    };
    let summaries = |rig: &Rig| {
        let asked = rig.upstream.chat_bodies();
        asked.iter().filter(|body| body.to_string().contains(SUMMARIZE)).count()
    };
    let more = json!({"user": {"id": "anna"}, "chat_id": "chat"});
    for (first, count) in [("a", 1), ("a", 1), ("edited", 2)] {
        rig.ask(history(first), more.clone()).await;
        assert_eq!(summaries(&rig), count, "{first}");
    }
    let seen = rig.message_lines();
    assert!(seen[0].starts_with("system: Summary") && seen.len() == 4, "{seen:?}");
}

#[actix_web::test]
async fn a_summary_that_fails_loses_no_turn() {
    let upstream = Upstream::start(&["m"], |prompt, number| {
        if prompt.contains(SUMMARIZE) {
            ScriptedReply::Fails(400)
        } else {
            says(&format!("answer {number}"))
        }
    });
    let valves = json!({"memory_window": 1, "persona": null, "summary_model": "openai_proxy.m"});
    let host = super::host(Builder::new(), &upstream, valves).await;
    let rig = Rig { upstream, host };
    for turn in 0..4 {
        rig.say("anna", "c", &format!("question {turn}")).await;
    }
    let seen = rig.message_lines();
    assert_eq!((seen.len(), &*seen[0]), (3, "user: question 2"), "{seen:?}");
    let shown = rig.host.get("/conversations/c?user=anna").await;
    assert_eq!(shown.json["turns"], 4, "they wait for a summary: {}", shown.text);
}

#[actix_web::test]
async fn results_of_tools_stay_with_their_calls() {
    let rig = rig(json!({"memory_window": 1, "persona": null})).await;
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let history = json!([
        message("user", "old"), message("assistant", "older"),
        message("user", "use the tool"), {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"}, message("assistant", "It is 42."),
        message("user", "again"), {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "43"},
    ]);
    rig.ask(history, json!({"conversation_id": "c"})).await;
    let seen = rig.message_lines();
    assert_eq!(seen.first().unwrap(), "user: use the tool", "{seen:?}");
    assert_eq!(seen.len(), 7, "{seen:?}");
    let sent = rig.upstream.chat_bodies().pop().unwrap();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], "call_1", "{sent}");
}

#[actix_web::test]
async fn images_of_earlier_turns_are_counted() {
    let rig = rig(json!({"max_images": 1, "persona": null})).await;
    let picture = |text: &str| {
        json!([{"role": "user", "content": [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ]}])
    };
    for text in ["one ", "two ", "three "] {
        rig.ask(picture(text), json!({"conversation_id": "c"})).await;
    }
    let seen = rig.message_lines();
    let questions: Vec<_> = seen.iter().filter(|line| line.starts_with("user")).collect();
    assert_eq!(questions, ["user: one [Image]", "user: two <image>", "user: three <image>"]);
}

#[actix_web::test]
async fn personas_are_named_in_a_table() {
    let rig =
        rig(json!({"persona": "pirate", "personas": "{\"pirate\": \"You are a pirate.\"}"})).await;
    rig.ask(json!([message("system", "Be brief."), message("user", "hi")]), json!({})).await;
    assert_eq!(rig.message_lines(), ["system: You are a pirate.\n\nBe brief.", "user: hi"]);
    let unknown = rig.host.update_valves("conversation", &json!({"persona": "pirat"})).await;
    assert!(unknown.error_message(422).contains("helpful_assistant, pirate"), "{}", unknown.text);
}

#[actix_web::test]
async fn a_streamed_answer_is_remembered_and_so_are_several_choices_once() {
    let rig = rig(json!({"persona": null})).await;
    let more = |extra: Value| {
        let mut more = json!({"conversation_id": "c"});
        for (name, value) in extra.as_object().unwrap() {
            more[name] = value.clone();
        }
        more
    };
    let streamed = rig.ask(json!([message("user", "a")]), more(json!({"stream": true}))).await;
    assert!(streamed.text.contains("answer 0") && streamed.text.ends_with("data: [DONE]\n\n"));
    let several: TestResponse = rig.ask(json!([message("user", "b")]), more(json!({"n": 3}))).await;
    assert_eq!(several.json["choices"].as_array().unwrap().len(), 3, "{}", several.text);
    rig.ask(json!([message("user", "c")]), more(json!({}))).await;
    let seen = rig.message_lines();
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert_eq!((&*seen[0], &*seen[1], &*seen[2]), ("user: a", "assistant: answer 0", "user: b"));
}
