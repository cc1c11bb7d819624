//! What the steps of an answer say, as chunks: fields that are named here, and nothing else that a server may send.

use crate::{
    Complaint, Trouble,
    calls::{Calls, TooMany},
    sse::Event,
    thoughts::Thoughts,
    wire::{Said, Step},
};
use pipe_sdk::{Chunk, Citation, FinishReason, Picture, Usage, without_lone_surrogates};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::VecDeque;

/// One answer, as far as it has been told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    chunks: VecDeque<Chunk>,
    begun: bool,
    calls: Calls,
    thoughts: Thoughts,
    /// Whether what it thinks is told in words of its own.
    thinks_aloud: bool,
    finish: Option<FinishReason>,
    /// The last one that was told; some servers tell a growing one with every chunk.
    usage: Option<Usage>,
    tier: Option<String>,
    sources: Vec<Citation>,
    ended: bool,
}

/// What a service tier may be called.
const LONGEST_WORD: usize = 64;

/// More sources than these are not kept.
const MOST_SOURCES: usize = 100;

impl Told {
    /// How many chunks wait to be taken.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The next chunk.
    pub fn take(&mut self) -> Option<Chunk> {
        self.chunks.pop_front()
    }

    /// Whether the server has said why the answer ends.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether nothing more will be told.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in an event of a stream.
    pub fn event(&mut self, Event { name, data }: &Event) -> Result<(), Trouble> {
        match data.trim() {
            // Some servers keep a connection alive so.
            "" | "null" => Ok(()),
            "[DONE]" => self.end(),
            data if name == "error" => Err(Trouble::Said(said(data))),
            data => self.step(data.as_bytes()),
        }
    }

    /// Takes in an answer that is whole.
    pub fn whole(&mut self, json: &[u8]) -> Result<(), Trouble> {
        self.step(json)?;
        self.end()
    }

    fn step(&mut self, json: &[u8]) -> Result<(), Trouble> {
        // A list is no chunk, but serde would take one for it. Gemini's errors come in one.
        let step = read(json).filter(|_: &Step| !json.starts_with(b"["));
        let is_error = |step: &Step| !matches!(step.error, Value::Null | Value::Bool(false));
        if step.as_ref().is_none_or(|step| is_error(step) || step.choices.is_empty())
            && let Some(complaint) = read(json).and_then(|value| Complaint::of(&value))
        {
            return Err(Trouble::Said(complaint));
        }
        self.take_in(step.ok_or(Trouble::Garbled("a piece of it is no chunk of a chat"))?)
    }

    fn take_in(&mut self, step: Step) -> Result<(), Trouble> {
        if let Some(usage) = usage(&step.usage) {
            self.usage = Some(usage);
        }
        if let Some(tier) = step.service_tier.as_str().filter(|tier| tier.len() <= LONGEST_WORD) {
            self.tier = Some(tier.into());
        }
        self.add_pages(&step.citations, &step.search_results);
        let first = |index: &Value| index.as_u64().is_none_or(|index| index == 0);
        let Some(choice) = step.choices.into_iter().find(|choice| first(&choice.index)) else {
            return Ok(());
        };
        // What comes after the end of an answer is no part of it.
        if self.finish.is_some() {
            return Ok(());
        }
        if let Some(said) = choice.delta.or(choice.message) {
            self.say(said)?;
        }
        if let Some(word) = choice.finish_reason.as_str().filter(|word| !word.is_empty()) {
            self.finish = Some(finish(word)?);
        }
        Ok(())
    }

    fn say(&mut self, said: Said) -> Result<(), Trouble> {
        if !self.begun {
            self.begun = true;
            self.chunks.push_back(Chunk::Role);
        }
        let words = self.thoughts.add(&said.reasoning_details);
        let reasoning = [said.reasoning_content, said.reasoning].into_iter().find_map(text);
        self.thinks_aloud |= reasoning.is_some();
        // The details say the same once more, unless nothing else says it.
        let words = if self.thinks_aloud { String::new() } else { words };
        self.tell(reasoning.unwrap_or(words), Chunk::Reasoning);
        let goes_on = !matches!(&said.content, Value::Null) && said.content != "";
        if goes_on || !said.tool_calls.is_null() {
            self.thoughts.settle(&mut |chunk| self.chunks.push_back(chunk));
        }
        self.say_content(said.content);
        self.tell(text(said.refusal).unwrap_or_default(), Chunk::Content);
        for image in said.images.as_array().into_iter().flatten() {
            self.show(image);
        }
        for annotation in said.annotations.as_array().into_iter().flatten() {
            self.cite(&annotation["url_citation"]);
        }
        let mut tell = |chunk| self.chunks.push_back(chunk);
        self.calls.add(&said.tool_calls, &mut tell)?;
        self.calls.add_function(&said.function_call, &mut tell)?;
        Ok(())
    }

    fn say_content(&mut self, content: Value) {
        match content {
            Value::String(text) => self.tell(text, Chunk::Content),
            Value::Array(parts) => parts.iter().for_each(|part| self.say_part(part)),
            _ => {}
        }
    }

    fn say_part(&mut self, part: &Value) {
        match part["type"].as_str().unwrap_or_default() {
            "thinking" => self.tell(all_text(&part["thinking"]), Chunk::Reasoning),
            "image_url" => self.show(part),
            _ => self.tell(all_text(part), Chunk::Content),
        }
    }

    fn tell(&mut self, text: String, chunk: impl FnOnce(String) -> Chunk) {
        if !text.is_empty() {
            self.chunks.push_back(chunk(text));
        }
    }

    fn show(&mut self, image: &Value) {
        let url = image["image_url"]["url"].as_str().or_else(|| image["image_url"].as_str());
        if let Some(url) = url.filter(|url| is_picture(url)) {
            self.chunks.push_back(Chunk::Picture(Picture::from_url(url)));
        }
    }

    fn cite(&mut self, source: &Value) {
        if let Some(citation) = citation(source) {
            self.chunks.push_back(Chunk::Citation(citation));
        }
    }

    /// Keeps the pages that stand beside an answer, each once; they come with every chunk.
    fn add_pages(&mut self, urls: &Value, results: &Value) {
        let urls = urls.as_array().into_iter().flatten().filter_map(|url| page(url.as_str()?, ""));
        let results = results.as_array().into_iter().flatten().filter_map(citation);
        for source in results.chain(urls) {
            let is_new = self.sources.iter().all(|known| known.url != source.url);
            if is_new && self.sources.len() < MOST_SOURCES {
                self.sources.push(source);
            }
        }
    }

    /// The answer ends here. That is an error unless the server has said why.
    pub fn end(&mut self) -> Result<(), Trouble> {
        let finish = self.finish.ok_or(Trouble::Early)?;
        self.ended = true;
        let mut tell = |chunk| self.chunks.push_back(chunk);
        self.thoughts.settle(&mut tell);
        // Some servers end with `stop` although they call tools.
        let is_calling = self.calls.any() && finish == FinishReason::Stop;
        self.calls.end(&mut tell);
        self.sources.drain(..).map(Chunk::Citation).for_each(&mut tell);
        tell(Chunk::Finish(if is_calling { FinishReason::ToolCalls } else { finish }));
        if let Some(tier) = self.tier.take() {
            tell(Chunk::Fact("service_tier", tier.into()));
        }
        self.usage.map(Chunk::Usage).into_iter().for_each(tell);
        Ok(())
    }
}

impl From<TooMany> for Trouble {
    fn from(_: TooMany) -> Self {
        Self::Garbled("it calls more tools than make sense")
    }
}

/// JSON, with half characters replaced: some servers cut a character in two.
fn read<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json)
        .ok()
        .or_else(|| serde_json::from_slice(&without_lone_surrogates(json)?).ok())
}

/// What an event says that is called an error.
fn said(data: &str) -> Complaint {
    let value: Value = read(data.as_bytes()).unwrap_or_default();
    Complaint::of(&value).unwrap_or_default()
}

/// Why an answer ends, in OpenAI's words or in others that are known. A word that is not known still says that it has ended.
fn finish(word: &str) -> Result<FinishReason, Trouble> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" | "max_length" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "recitation" | "blocklist" | "prohibited_content" => {
            FinishReason::ContentFilter
        }
        "error" | "abort" | "aborted" | "cancelled" | "network_error" => {
            return Err(Trouble::Early);
        }
        _ => FinishReason::Stop,
    })
}

fn usage(usage: &Value) -> Option<Usage> {
    // A sum of what a server claims must not overflow.
    let count = |value: &Value| value.as_u64().map(|count| count.min(1 << 40));
    let either = |one: &str, other: &str| count(&usage[one]).or_else(|| count(&usage[other]));
    let prompt = either("prompt_tokens", "input_tokens");
    let completion = either("completion_tokens", "output_tokens");
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let read = &usage["prompt_tokens_details"];
    let written = &usage["completion_tokens_details"];
    Some(Usage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
        cached_tokens: count(&read["cached_tokens"])
            .or_else(|| count(&usage["prompt_cache_hit_tokens"])),
        cache_creation_tokens: count(&read["cache_creation_tokens"])
            .or_else(|| count(&read["cache_write_tokens"])),
        reasoning_tokens: count(&written["reasoning_tokens"]),
    })
}

/// A text that is there.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The text of a part, however deep.
fn all_text(part: &Value) -> String {
    match part {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(all_text).collect(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().into(),
        _ => String::new(),
    }
}

fn is_picture(url: &str) -> bool {
    let kinds = ["png", "jpeg", "jpg", "webp", "gif"];
    let data = url.strip_prefix("data:image/");
    url.starts_with("https://")
        || data.is_some_and(|data| {
            kinds.iter().any(|kind| {
                data.strip_prefix(kind).is_some_and(|rest| rest.starts_with(";base64,"))
            })
        })
}

fn citation(source: &Value) -> Option<Citation> {
    page(source["url"].as_str()?, source["title"].as_str().unwrap_or_default())
}

/// A source that leads to a page, and to nothing else that a browser would do.
fn page(url: &str, title: &str) -> Option<Citation> {
    let is_page = url.starts_with("https://") || url.starts_with("http://");
    let title = if title.is_empty() { url } else { title };
    is_page.then(|| Citation { url: url.into(), title: title.into(), ..Citation::default() })
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]
mod tests {
    use super::*;
    use pipe_sdk::Answer;
    use serde_json::json;

    /// What these steps say, when `[DONE]` comes after them.
    fn told(steps: &[Value]) -> Answer {
        let mut told = Told::default();
        for step in steps {
            told.event(&event(&step.to_string())).unwrap();
        }
        told.event(&event("[DONE]")).unwrap();
        let mut answer = Answer::default();
        std::iter::from_fn(|| told.take()).for_each(|chunk| answer.add(chunk));
        answer
    }

    fn event(data: &str) -> Event {
        Event { name: String::new(), data: data.into() }
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    fn end(word: &str) -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
    }

    /// What one delta says.
    fn said(said: Value) -> Answer {
        told(&[delta(said), end("stop")])
    }

    #[test]
    fn text_comes_in_all_its_shapes() {
        for content in [
            json!("a<b"),
            json!([{"type": "text", "text": "a<"}, {"type": "output_text", "text": "b"}]),
            json!(["a<", "b"]),
        ] {
            assert_eq!(said(json!({"content": content})).content, "a<b");
        }
        assert_eq!(said(json!({"content": null, "refusal": "no"})).content, "no");
        assert_eq!(said(json!({"content": 7})).content, "");
    }

    #[test]
    fn reasoning_comes_in_all_its_shapes_and_once() {
        let details = json!([{"type": "reasoning.text", "text": "hm", "index": 0}]);
        for thought in [
            json!({"reasoning_content": "hm"}),
            json!({"reasoning": "hm"}),
            json!({"reasoning": "hm", "reasoning_details": details}),
            json!({"reasoning_details": details}),
            json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}),
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        ] {
            let answer = said(thought.clone());
            assert_eq!(
                (answer.reasoning.as_str(), answer.content.as_str()),
                ("hm", ""),
                "{thought}"
            );
        }
    }

    #[test]
    fn signed_and_sealed_reasoning_is_put_together() {
        let piece = |piece: Value| delta(json!({"reasoning_details": [piece]}));
        let answer = told(&[
            piece(json!({"type": "reasoning.text", "index": 0, "format": "f", "text": "a"})),
            piece(json!({"type": "reasoning.text", "index": 0, "text": "b"})),
            piece(json!({"type": "reasoning.text", "index": 0, "signature": "s"})),
            piece(json!({"type": "reasoning.encrypted", "index": 1, "data": "xy"})),
            piece(json!({"type": "reasoning.text", "index": 2, "text": "unsigned"})),
            end("stop"),
        ]);
        let details = serde_json::to_value(&answer.reasoning_details).unwrap();
        assert_eq!(
            details,
            json!([
                {"type": "reasoning.text", "text": "ab", "signature": "s", "format": "f", "index": 0},
                {"type": "reasoning.encrypted", "data": "xy", "index": 1},
            ])
        );
    }

    #[test]
    fn details_that_come_after_the_words_do_not_say_them_again_and_stand_before_the_answer() {
        let mut told = Told::default();
        let detail = json!([{"type": "reasoning.text", "text": "hm", "signature": "s"}]);
        for step in [
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"reasoning_details": detail})),
            delta(json!({"content": "a"})),
        ] {
            told.event(&event(&step.to_string())).unwrap();
        }
        let chunks: Vec<_> = std::iter::from_fn(|| told.take()).collect();
        assert!(matches!(
            &chunks[..],
            [Chunk::Role, Chunk::Reasoning(_), Chunk::ReasoningDetail(_), Chunk::Content(_)]
        ));
    }

    #[test]
    fn usage_is_told_once_and_is_the_last_that_came() {
        let usage = |n: u64| json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 99, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}});
        let answer = told(&[usage(1), delta(json!({"content": "a"})), end("stop"), usage(7)]);
        let expected = Usage {
            prompt_tokens: 10,
            completion_tokens: 7,
            cached_tokens: Some(4),
            cache_creation_tokens: None,
            reasoning_tokens: Some(2),
        };
        assert_eq!(answer.usage, Some(expected));
        for odd in [json!("much"), json!({}), json!([]), json!({"prompt_tokens": -1})] {
            assert_eq!(told(&[end("stop"), json!({"choices": [], "usage": odd})]).usage, None);
        }
        let claimed = json!({"choices": [], "usage": {"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}});
        told(&[end("stop"), claimed]).usage.unwrap().total_tokens();
    }

    #[test]
    fn sources_lead_to_pages_and_nowhere_else() {
        let cite = |url: &str| json!({"annotations": [{"type": "url_citation", "url_citation": {"url": url, "title": "t"}}]});
        assert_eq!(said(cite("https://a.example")).citations.len(), 1);
        assert_eq!(said(cite("javascript:alert(1)")).citations.len(), 0);
        let beside = json!({"choices": [], "citations": ["https://a.example", "data:x"], "search_results": [{"url": "https://a.example", "title": "A"}]});
        let answer = told(&[beside.clone(), beside, end("stop")]);
        let titles: Vec<_> =
            answer.citations.iter().map(|(_, source)| source.title.as_str()).collect();
        assert_eq!(titles, ["A"]);
    }

    #[test]
    fn pictures_are_shown_and_nothing_that_is_none() {
        let image =
            |url: &str| json!({"images": [{"type": "image_url", "image_url": {"url": url}}]});
        for (url, shown) in [
            ("data:image/png;base64,AA", 1),
            ("https://a.example/x.png", 1),
            ("data:image/svg+xml;base64,AA", 0),
            ("data:text/html,x", 0),
            ("javascript:x", 0),
        ] {
            assert_eq!(said(image(url)).pictures.len(), shown, "{url}");
        }
    }

    #[test]
    fn why_an_answer_ends_is_read_in_the_words_of_many_and_never_invented() {
        for (word, reason) in [
            ("stop", FinishReason::Stop),
            ("STOP", FinishReason::Stop),
            ("eos_token", FinishReason::Stop),
            ("length", FinishReason::Length),
            ("MAX_TOKENS", FinishReason::Length),
            ("function_call", FinishReason::ToolCalls),
            ("SAFETY", FinishReason::ContentFilter),
        ] {
            assert_eq!(told(&[end(word)]).finish, Some(reason), "{word}");
        }
        for steps in [vec![], vec![delta(json!({"content": "a"}))], vec![end("")]] {
            let mut told = Told::default();
            steps.iter().for_each(|step| told.event(&event(&step.to_string())).unwrap());
            assert_eq!(told.event(&event("[DONE]")), Err(Trouble::Early), "{steps:?}");
        }
    }

    #[test]
    fn an_answer_that_calls_ends_so_whatever_the_server_says() {
        let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]});
        assert_eq!(said(call).finish, Some(FinishReason::ToolCalls));
        let answer = said(json!({"function_call": {"name": "f", "arguments": "{}"}}));
        assert_eq!(answer.tool_calls[0].function.name, "f");
        assert!(!answer.tool_calls[0].id.is_empty());
    }

    #[test]
    fn what_only_a_server_would_like_to_say_is_not_told() {
        let answer = told(&[
            json!({"event": {"type": "execute", "data": {"code": "alert(1)"}}, "choices": []}),
            json!({"selected_model_id": "x", "sources": [{}], "type": "response.completed", "choices": [{"delta": {"content": "a", "event": {}, "sources": []}}]}),
            json!({"event": {"type": "status"}}),
            end("stop"),
        ]);
        assert_eq!(
            answer,
            Answer { content: "a".into(), finish: Some(FinishReason::Stop), ..Answer::default() }
        );
    }

    #[test]
    fn an_error_among_the_events_ends_the_answer() {
        for (name, data, status) in [
            ("", json!({"error": {"message": "no", "code": 503}}), 503),
            (
                "",
                json!({"error": {"code": "server_error"}, "choices": [{"delta": {"content": "x"}, "finish_reason": "error"}]}),
                0,
            ),
            ("", json!({"error": "no"}), 0),
            ("", json!({"object": "error", "message": "no", "code": 400}), 400),
            ("", json!([{"error": {"message": "no", "code": 404}}]), 404),
            ("error", json!({"message": "no", "code": 429}), 429),
            ("error", json!(7), 0),
        ] {
            let event = Event { name: name.into(), data: data.to_string() };
            match Told::default().event(&event) {
                Err(Trouble::Said(complaint)) => assert_eq!(complaint.status, status, "{data}"),
                other => panic!("{data}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error_and_what_is_nothing_is_nothing() {
        for data in ["{", "text", "[]", "7", r#"{"choices": "x"}"#, r#"{"choices": [7]}"#] {
            assert!(
                matches!(Told::default().event(&event(data)), Err(Trouble::Garbled(_))),
                "{data}"
            );
        }
        for data in ["", "  ", "null", "{}"] {
            assert_eq!(Told::default().event(&event(data)), Ok(()), "{data}");
        }
    }

    #[test]
    fn half_characters_are_replaced() {
        let mut told = Told::default();
        told.event(&event(r#"{"choices":[{"delta":{"content":"a\ud83d"}}]}"#)).unwrap();
        told.take();
        assert_eq!(told.take(), Some(Chunk::Content("a\u{fffd}".into())));
    }

    #[test]
    fn a_whole_answer_says_the_same_as_a_streamed_one() {
        let call =
            json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let message =
            json!({"role": "assistant", "content": "a", "reasoning": "hm", "tool_calls": [call]});
        let whole = json!({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "service_tier": "flex"});
        let mut told = Told::default();
        told.whole(whole.to_string().as_bytes()).unwrap();
        let mut answer = Answer::default();
        std::iter::from_fn(|| told.take()).for_each(|chunk| answer.add(chunk));
        assert_eq!((answer.content.as_str(), answer.reasoning.as_str()), ("a", "hm"));
        assert_eq!((answer.tool_calls.len(), answer.finish), (1, Some(FinishReason::ToolCalls)));
        assert_eq!(answer.facts["service_tier"], "flex");
        assert!(answer.usage.is_some());
    }
}
