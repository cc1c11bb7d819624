//! Approaches against scripted models, on a clock that stands still while nobody waits.

mod approaches;
mod limits;
mod requests;
mod services;

use crate::{Optimizer, OptimizerValves};
use pipe_sdk::{
    Answer, Body, Call, CallContext, Chunk, ChunkStream, FinishReason, Hints, Message, Pipe,
    PipeError, Result, Role, Usage, User, testing::ScriptedHost,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// The time until a scripted model's first token.
const DELAY: Duration = Duration::from_millis(200);

/// The behaviour of a scripted model.
#[derive(Clone, Debug)]
enum Script {
    Reply(String),
    /// Cut off at the limit of tokens.
    Truncated(String),
    Fail,
    Refuse,
    /// Never.
    Hang,
    Late(Duration, String),
}

fn reply(text: impl Into<String>) -> Script {
    Script::Reply(text.into())
}

/// The outcome of a request.
struct Outcome {
    answer: Answer,
    took: Duration,
    calls: Vec<Call>,
    /// The largest number of concurrent calls.
    max_concurrent: usize,
}

impl Outcome {
    /// Returns the calls whose prompt holds this.
    fn calls_with(&self, part: &str) -> Vec<&Call> {
        self.calls.iter().filter(|call| prompt(call).contains(part)).collect()
    }

    /// Returns the length of the longest chain of calls, as each takes the same time.
    fn depth(&self) -> u128 {
        self.took.as_millis() / DELAY.as_millis()
    }
}

/// Returns the texts of all messages to a model.
fn prompt(call: &Call) -> String {
    let texts = call.body.messages.iter().map(Message::text);
    texts.collect::<Vec<_>>().join("\n")
}

/// Returns valves with these values.
fn valves(set: Value) -> OptimizerValves {
    serde_json::from_value(set).unwrap()
}

/// Returns the body of a request with one question.
fn question(text: &str) -> Value {
    json!({"model": "", "messages": [{"role": "user", "content": text}], "x_optimizer": true})
}

struct TestRequest {
    valves: OptimizerValves,
    body: Value,
    hints: Hints,
    user: Option<User>,
    /// The host, for requests that share one.
    host: ScriptedHost,
}

fn request(text: &str) -> TestRequest {
    TestRequest {
        valves: OptimizerValves::default(),
        body: question(text),
        hints: Hints::default(),
        user: None,
        host: ScriptedHost::new(),
    }
}

impl TestRequest {
    fn valves(self, set: Value) -> Self {
        Self { valves: valves(set), ..self }
    }

    fn field(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    fn hint(self, name: &str, value: &str) -> Self {
        Self { hints: Hints::from([(name, value)]), ..self }
    }

    fn user(self, user: User) -> Self {
        Self { user: Some(user), ..self }
    }

    fn on(self, host: &ScriptedHost) -> Self {
        Self { host: host.clone(), ..self }
    }

    async fn begin(
        self,
        model: &str,
        script: impl Fn(&str, usize) -> Script + Send + Sync + 'static,
    ) -> (Result<ChunkStream>, ScriptedHost, Arc<AtomicUsize>) {
        let most = Arc::new(AtomicUsize::default());
        let counted = Arc::clone(&most);
        let (script, number, running) =
            (Arc::new(script), Arc::new(AtomicUsize::default()), Arc::new(Mutex::new(0usize)));
        let behave = move |call: Call| {
            let line = script(&prompt(&call), number.fetch_add(1, Ordering::Relaxed));
            let (running, counted) = (Arc::clone(&running), Arc::clone(&counted));
            async move {
                let now = {
                    let mut running = running.lock().unwrap();
                    *running += 1;
                    *running
                };
                counted.fetch_max(now, Ordering::Relaxed);
                let _guard = RunningGuard(running);
                let (text, finish) = match line {
                    Script::Hang => std::future::pending().await,
                    Script::Late(time, text) => {
                        sleep(time).await;
                        (text, FinishReason::Stop)
                    }
                    line => {
                        sleep(DELAY).await;
                        match line {
                            Script::Reply(text) => (text, FinishReason::Stop),
                            Script::Truncated(text) => (text, FinishReason::Length),
                            Script::Refuse => {
                                return Err(PipeError::bad_request("the model refuses"));
                            }
                            _ => return Err(PipeError::Upstream("the model fails".into())),
                        }
                    }
                };
                let usage = Usage { prompt_tokens: 10, completion_tokens: 3, ..Usage::default() };
                let model = Chunk::Model("cloud.m".into());
                Ok(ChunkStream::from_chunks([
                    model,
                    Chunk::Role,
                    Chunk::Content(text),
                    Chunk::Finish(finish),
                    Chunk::Usage(usage),
                ]))
            }
        };
        let mut host = self.host;
        for id in ["cloud.m", "cloud.judge", "cloud.a", "cloud.b"] {
            host = host.behaves(id, behave.clone());
        }
        let pipe = Arc::new(Optimizer::on_startup(self.valves).await.unwrap());
        let mut body: Body = serde_json::from_str(&self.body.to_string()).unwrap();
        body.model = model.into();
        let mut scripted = host.host_of(CallContext::new(self.user.clone(), None, None));
        scripted = scripted.with_hints(self.hints.clone());
        let call = Call {
            model: model.into(),
            body,
            user: self.user.map(std::sync::Arc::new),
            chat: Default::default(),
            hints: self.hints,
            host: scripted,
        };
        (pipe.pipe(call).await, host, most)
    }

    async fn ask(
        self,
        model: &str,
        script: impl Fn(&str, usize) -> Script + Send + Sync + 'static,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let (chunks, host, most) = self.begin(model, script).await;
        let answer = chunks?.fold().await;
        let took = started.elapsed();
        Ok(Outcome {
            answer: answer?,
            took,
            calls: host.calls(),
            max_concurrent: most.load(Ordering::Relaxed),
        })
    }

    /// Returns the error of a request, and the number of calls that were made all the same.
    async fn refused(self, model: &str) -> (String, usize) {
        let (answer, host, _) = self.begin(model, |_, _| reply("no")).await;
        let error = match answer {
            Err(error) => error,
            Ok(chunks) => chunks.fold().await.unwrap_err(),
        };
        (error.to_string(), host.calls().len())
    }
}

struct RunningGuard(Arc<Mutex<usize>>);

impl Drop for RunningGuard {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

/// Replies to judges in the form that they ask for, and other answers to each of the others.
fn usual_script(prompt: &str, number: usize) -> Script {
    if prompt.contains("Score: <a number") {
        return reply(format!("Fine.\nScore: {}", number % 7));
    }
    if prompt.contains("Best: <the number") {
        return reply("Best: 1");
    }
    if prompt.contains("Verdict: <CORRECT") {
        return reply("Verdict: CORRECT");
    }
    if prompt.contains("Reply with a JSON") {
        return reply(
            r#"[{"question": "2+2?", "answer": "4"}, {"question": "3+3?", "answer": "6"}]"#,
        );
    }
    if prompt.contains("one fenced block") || prompt.contains("rogram") {
        return reply(format!("Here:\n```python\nprint({number})\n```"));
    }
    reply(format!("The answer is {}.", 1000 + number))
}
