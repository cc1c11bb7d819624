//! The answers of Python files, in all forms that the reference server takes, and more.

use super::{python_host, python_host_with, streamed_text};
use serde_json::json;

const FORMS: &str = r#"
import json


class Pipeline:
    def __init__(self):
        self.type = "manifold"
        self.name = "Forms: "
        names = "text generator iterator bytes lines numbers coroutine agen whole both long event nothing raises late".split()
        self.pipelines = [{"id": name, "name": name.title()} for name in names]

    def pipe(self, user_message, model_id, messages, body):
        return getattr(self, model_id)(user_message)

    def text(self, message):
        return f"text: {message}"

    def generator(self, message):
        yield "generator: "
        yield message

    def iterator(self, message):
        return iter(["iterator: ", message])

    def bytes(self, message):
        data = ("bytes: ü" + message).encode()
        return iter([data[:8], data[8:]])

    def lines(self, message):
        for word in ["lines: ", message]:
            yield "data: " + json.dumps({"choices": [{"delta": {"content": word}}]})
            yield ""
        yield "data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        yield b"data: [DONE]"

    def numbers(self, message):
        yield 1
        yield 2.5

    async def coroutine(self, message):
        return f"coroutine: {message}"

    async def agen(self, message):
        yield "agen: "
        yield message

    def whole(self, message):
        return {
            "choices": [{"message": {"role": "assistant", "content": f"whole: {message}"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        }

    def both(self, message):
        said = {"message": {"role": "assistant", "content": f"both: {message}"}, "finish_reason": "stop"}
        return {"choices": [{**said, "delta": {"role": "assistant", "content": ""}}]}

    def long(self, message):
        return message * 500_000

    def event(self, message):
        yield {"event": {"type": "status", "data": {"description": "Working", "done": False}}}
        yield "event: " + message

    def nothing(self, message):
        return None

    def raises(self, message):
        raise ValueError("Nothing to say")

    def late(self, message):
        yield "late"
        raise ValueError("Nothing more to say")
"#;

#[actix_web::test]
async fn every_form_of_answer_is_read_streamed_or_not() {
    let Some(host) = python_host(&[("forms.py", FORMS)]).await else { return };
    let cases = [
        ("text", "text: hi"),
        ("generator", "generator: hi"),
        ("iterator", "iterator: hi"),
        ("bytes", "bytes: ühi"),
        ("lines", "lines: hi"),
        ("numbers", "12.5"),
        ("coroutine", "coroutine: hi"),
        ("agen", "agen: hi"),
        ("whole", "whole: hi"),
        ("both", "both: hi"),
        ("event", "event: hi"),
        ("nothing", ""),
    ];
    for (form, expected) in cases {
        let model = format!("forms.{form}");
        assert_eq!(streamed_text(&host, &model, "hi").await, expected, "{form}, streamed");
        if form != "nothing" {
            assert_eq!(host.answer_text(&model, "hi").await, expected, "{form}");
        }
    }
}

#[actix_web::test]
async fn a_long_text_comes_in_pieces() {
    let Some(host) = python_host(&[("forms.py", FORMS)]).await else { return };
    let frames = host.stream("forms.long", "ü🦀").await;
    assert!(frames.iter().all(|frame| frame.len() < 100_000));
    let text = streamed_text(&host, "forms.long", "ü🦀").await;
    assert_eq!(text.len(), "ü🦀".len() * 500_000);
    assert!(text.replace("ü🦀", "").is_empty());
}

#[actix_web::test]
async fn a_pipe_may_raise_pydantics_errors_and_have_an_id_of_two_words() {
    let file = r#"
from pydantic import BaseModel


class Pipeline:
    class Valves(BaseModel):
        count: int = 1

    def __init__(self):
        self.id = "two words"
        self.valves = self.Valves()

    def pipe(self, user_message, model_id, messages, body):
        return f"{model_id}: {self.Valves(count=user_message).count}"
"#;
    let Some(host) = python_host_with(&[("strict.py", file)], &["two words"]).await else { return };
    assert_eq!(host.answer_text("two words", "7").await, "two words: 7");
    assert!(host.chat("two words", "seven").await.error_message(500).contains("valid integer"));
    assert_eq!(host.valves("two%20words").await["count"], 1);
    assert_eq!(host.update_valves("two%20words", &json!({"count": "2"})).await.status, 200);
}

#[actix_web::test]
async fn usage_finish_and_events_come_through() {
    let Some(host) = python_host(&[("forms.py", FORMS)]).await else { return };
    let whole = host.chat("forms.whole", "hi").await;
    assert_eq!(whole.json["choices"][0]["finish_reason"], "length");
    for form in ["whole", "lines"] {
        let usage = &host.chat(&format!("forms.{form}"), "hi").await.json["usage"];
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(3), &json!(4)));
    }
    let frames = host.stream("forms.event", "hi").await.join("\n");
    assert!(frames.contains(r#""event":{"type":"status""#), "{frames}");
}

#[actix_web::test]
async fn an_exception_has_a_status_before_the_first_word_and_is_a_frame_after_it() {
    let Some(host) = python_host(&[("forms.py", FORMS)]).await else { return };
    assert_eq!(host.chat("forms.raises", "hi").await.error_message(500), "Nothing to say");
    let frames = host.stream("forms.late", "hi").await.join("\n");
    assert!(frames.contains("late") && frames.contains("Nothing more to say"), "{frames}");
    assert_eq!(host.answer_text("forms.text", "hi").await, "text: hi", "it goes on");
}

#[actix_web::test]
async fn models_are_listed_from_a_list_a_function_or_a_coroutine() {
    let file = |name: &str, body: &str| {
        format!(
            "class Pipeline:\n    def __init__(self):\n        self.type = 'manifold'\n        self.name = '{name}/'\n{body}\n"
        )
    };
    let list = file("list", "        self.pipelines = [{'id': 'a.b', 'name': 'A'}]");
    let function =
        file("function", "    def pipelines(self):\n        return [{'id': 'a.b', 'name': 'A'}]");
    let coroutine = file(
        "coroutine",
        "    async def pipelines(self):\n        return [{'id': 'a.b', 'name': 'A'}]",
    );
    let files = [("list.py", &*list), ("function.py", &function), ("coroutine.py", &coroutine)];
    let Some(host) = python_host(&files).await else { return };
    let models = host.get("/models").await.json;
    for pipe in ["list", "function", "coroutine"] {
        let id = format!("{pipe}.a.b");
        let entry = models["data"].as_array().unwrap().iter().find(|entry| entry["id"] == *id);
        let entry = entry.unwrap_or_else(|| panic!("{pipe}: {models}"));
        assert_eq!(
            (&entry["name"], &entry["pipeline"]["type"]),
            (&json!(format!("{pipe}/A")), &json!("manifold"))
        );
    }
}

const SEES: &str = r#"
import json
from utils.pipelines.main import get_last_user_message


class Pipeline:
    def __init__(self):
        self.id = "sees"
        self.name = "Sees"

    async def inlet(self, body, user=None):
        body["seen_by"] = self.id
        return body

    def pipe(self, user_message, model_id, messages, body):
        messages.clear()
        return json.dumps({"message": user_message, "model_id": model_id, "body": body})
"#;

#[actix_web::test]
async fn a_pipe_gets_what_the_reference_server_gives_it() {
    let files = [("another_name.py", SEES)];
    let Some(host) = python_host_with(&files, &["sees"]).await else { return };
    let body = json!({
        "model": "sees", "stream": false, "temperature": 0.5, "extra": {"a": 1},
        "user": {"id": "u1", "name": "Ü", "email": "u@example.com", "role": "user"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]}],
    });
    let answer = host.post("/chat/completions", &body).await;
    let text = answer.json["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&seen["message"], &seen["model_id"]), (&json!("first"), &json!("sees")));
    let body = &seen["body"];
    assert_eq!((&body["model"], &body["stream"]), (&json!("sees"), &json!(false)));
    assert_eq!((&body["temperature"], &body["extra"]), (&json!(0.5), &json!({"a": 1})));
    assert_eq!((&body["user"]["id"], &body["user"]["name"]), (&json!("u1"), &json!("Ü")));
    assert_eq!(body["messages"][0]["content"][1]["text"], "second", "messages are a copy");
}

#[actix_web::test]
async fn inlets_change_and_refuse_chats_in_their_own_words() {
    let filter = r#"
class Pipeline:
    def __init__(self):
        self.type = "filter"
        self.name = "Filter"

    async def inlet(self, body, user=None):
        if "bad" in body["messages"][-1]["content"]:
            raise Exception("This word is not allowed here")
        body["messages"][-1]["content"] += " (checked)"
        return body

    def outlet(self, body, user=None):
        body["messages"][-1]["content"] += f" for {user['name']}"
        return body
"#;
    let Some(host) = python_host(&[("word_filter.py", filter)]).await else { return };
    let call = |text: &str| json!({"user": {"id": "1", "name": "Ann"}, "body": {"model": "m", "messages": [{"role": "user", "content": text}]}});
    let inlet = host.post("/word_filter/filter/inlet", &call("good")).await;
    assert_eq!(inlet.json["messages"][0]["content"], "good (checked)");
    let outlet = host.post("/word_filter/filter/outlet", &call("good")).await;
    assert_eq!(outlet.json["messages"][0]["content"], "good for Ann");
    let refused = host.status_line("/word_filter/filter/inlet", &call("bad")).await;
    assert_eq!(refused, "HTTP/1.1 500 This word is not allowed here");
}

#[actix_web::test]
async fn a_file_asks_other_models_of_the_host() {
    let asks = r#"
import pipewright


class Pipeline:
    def pipe(self, user_message, model_id, messages, body):
        model = "forms.text" if user_message != "circle" else "asks"
        answer = pipewright.chat({"model": model, "messages": [{"role": "user", "content": user_message}]})
        return f"{answer}, of {'forms.text' in pipewright.models()}"
"#;
    let files = [("forms.py", FORMS), ("asks.py", asks)];
    let Some(host) = python_host(&files).await else { return };
    assert_eq!(host.answer_text("asks", "hi").await, "text: hi, of True");
    let circle = host.chat("asks", "circle").await;
    assert!(circle.text.contains("more than 4 pipes"), "{}", circle.text);
}

#[actix_web::test]
async fn a_file_may_be_named_like_the_package_that_it_uses() {
    let file = r#"
import json
from dataclasses import dataclass


@dataclass
class Answer:
    text: "str"


class Pipeline:
    def pipe(self, user_message, model_id, messages, body):
        return json.dumps([Answer(user_message).text])
"#;
    let files = [("json.py", file), ("asyncio.py", file), ("schemas.py", file)];
    let Some(host) = python_host(&files).await else { return };
    for model in ["json", "asyncio", "schemas"] {
        assert_eq!(host.answer_text(model, "hi").await, r#"["hi"]"#, "{model}");
    }
}

/// By a name of their own, clients would pass by the limits of the model.
#[actix_web::test]
async fn models_that_a_file_does_not_list_are_unknown() {
    let one = "class Pipeline:\n    def pipe(self, user_message, model_id, messages, body):\n        return 'one'\n";
    let files = [("forms.py", FORMS), ("one.py", one)];
    let Some(host) = python_host(&files).await else { return };
    assert_eq!(host.answer_text("one", "hi").await, "one");
    for model in ["one.other", "connection.one.other", "forms.other"] {
        host.chat(model, "hi").await.error_message(404);
    }
}
