//! An OpenAI-compatible server that does what a script says, byte by byte, on a bare socket.

use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    time::sleep,
};

/// One step of an answer.
#[derive(Clone, Debug)]
pub enum ResponseStep {
    /// These bytes in one write.
    Send(Vec<u8>),
    /// These bytes, one in a write.
    Drip(Vec<u8>),
    /// These bytes, again and again, for as long as they are taken.
    Pour(Vec<u8>),
    /// Nothing for so long.
    Wait(Duration),
    /// Nothing, until the test says so.
    Until(Arc<Notify>),
    /// Nothing, until the other side has gone.
    Hold,
    /// The connection is torn off.
    Reset,
    /// The connection is closed.
    Close,
}

/// A request that the server got.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// As in `POST /v1/chat/completions`.
    pub line: String,
    /// By their names in small letters.
    pub headers: HashMap<String, String>,
    pub body: Value,
}

/// A running server. Its scripts are played in the order in which chats come; without one, it says
/// `pong`.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: actix_web::rt::task::JoinHandle<()>,
}

struct Shared {
    models: Mutex<Vec<ResponseStep>>,
    scripts: Mutex<VecDeque<Vec<ResponseStep>>>,
    always: Mutex<Option<Vec<ResponseStep>>>,
    by_model: Mutex<HashMap<String, Vec<ResponseStep>>>,
    asked: watch::Sender<Vec<ReceivedRequest>>,
    /// The number of connections that the other side has closed during an answer.
    left: watch::Sender<usize>,
    /// The number of bytes that have been read by the client.
    taken: watch::Sender<usize>,
    /// The number of connections.
    connections: watch::Sender<usize>,
}

/// A whole answer of JSON.
pub fn json_of(status: &str, headers: &str, body: &Value) -> Vec<ResponseStep> {
    answer(status, &format!("content-type: application/json\r\n{headers}"), &body.to_string())
}

/// A whole answer of anything.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<ResponseStep> {
    let length = body.len();
    let bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}");
    vec![ResponseStep::Send(bytes.into_bytes())]
}

/// The head of a stream whose end is that of its connection.
pub fn head() -> ResponseStep {
    ResponseStep::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec(),
    )
}

/// An event with this data.
pub fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A piece of a text.
pub fn says(text: &str) -> ResponseStep {
    ResponseStep::Send(event(&delta(json!({"content": text}))))
}

/// A chunk with this delta.
pub fn delta(delta: impl Into<Value>) -> Value {
    let delta = delta.into();
    json!({"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

/// The chunk that says why an answer ends.
pub fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// A stream of these chunks, whole.
pub fn stream(chunks: &[Value]) -> Vec<ResponseStep> {
    let mut body: Vec<u8> = chunks.iter().flat_map(event).collect();
    body.extend_from_slice(b"data: [DONE]\n\n");
    vec![head(), ResponseStep::Send(body), ResponseStep::Close]
}

/// A stream that says this and ends well.
pub fn saying(text: &str) -> Vec<ResponseStep> {
    stream(&[
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": text})),
        end("stop"),
    ])
}

/// A list of these models.
pub fn listing(ids: &[&str]) -> Vec<ResponseStep> {
    let models: Vec<_> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    json_of("200 OK", "", &json!({"object": "list", "data": models}))
}

impl Server {
    /// A server that lists these models.
    pub async fn start(models: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            models: Mutex::new(listing(models)),
            scripts: Mutex::default(),
            always: Mutex::default(),
            by_model: Mutex::default(),
            asked: watch::Sender::default(),
            left: watch::Sender::default(),
            taken: watch::Sender::default(),
            connections: watch::Sender::default(),
        });
        let serving = Arc::clone(&shared);
        let task = actix_web::rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.connections.send_modify(|count| *count += 1);
                actix_web::rt::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        Self { address, shared, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Sets the answer to the next chat that has no script yet.
    pub fn script(&self, acts: Vec<ResponseStep>) {
        self.shared.scripts.lock().unwrap().push_back(acts);
    }

    /// Sets the answer to all chats without a script.
    pub fn answer_all_with(&self, acts: Vec<ResponseStep>) {
        *self.shared.always.lock().unwrap() = Some(acts);
    }

    /// Sets the answer of this model to chats without a script.
    pub fn answer_model_with(&self, model: &str, acts: Vec<ResponseStep>) {
        self.shared.by_model.lock().unwrap().insert(model.into(), acts);
    }

    /// The bodies of the chats that this model was asked.
    pub fn asked_of(&self, model: &str) -> Vec<Value> {
        let bodies = self.chat_requests().into_iter().map(|asked| asked.body);
        bodies.filter(|body| body["model"] == model).collect()
    }

    /// Sets the answer to requests for the list of models.
    pub fn script_list(&self, acts: Vec<ResponseStep>) {
        *self.shared.models.lock().unwrap() = acts;
    }

    /// Returns all requests but those for the model list.
    pub fn chat_requests(&self) -> Vec<ReceivedRequest> {
        let asked = self.shared.asked.borrow();
        asked.iter().filter(|asked| !asked.line.ends_with("/models")).cloned().collect()
    }

    /// Returns all requests.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.asked.borrow().clone()
    }

    /// Waits until it was asked so often for chats.
    pub async fn wait_for_chats(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        while self.chat_requests().len() < times {
            asked.changed().await.unwrap();
        }
    }

    /// Waits until it was asked so often for its models.
    pub async fn wait_for_lists(&self, times: usize) {
        let lists = |asked: &Vec<ReceivedRequest>| {
            asked.iter().filter(|a| a.line.ends_with("/models")).count()
        };
        self.shared.asked.subscribe().wait_for(|asked| lists(asked) >= times).await.unwrap();
    }

    /// Waits until the other side has left so many answers under way.
    pub async fn wait_for_disconnects(&self, times: usize) {
        self.shared.left.subscribe().wait_for(|left| *left >= times).await.unwrap();
    }

    /// Watches the number of bytes that the client has read.
    pub fn bytes_read(&self) -> watch::Receiver<usize> {
        self.shared.taken.subscribe()
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Serves a connection until one side closes it.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut bytes = Vec::new();
        while let Some(asked) = request(&mut stream, &mut bytes).await {
            let acts = self.acts(&asked);
            self.asked.send_modify(|all| all.push(asked));
            for act in acts {
                if !self.act(act, &mut stream).await {
                    return;
                }
            }
        }
    }

    fn acts(&self, asked: &ReceivedRequest) -> Vec<ResponseStep> {
        if asked.line.ends_with("/models") {
            return self.models.lock().unwrap().clone();
        }
        let next = self.scripts.lock().unwrap().pop_front();
        let model = asked.body["model"].as_str().unwrap_or_default();
        let by_model = || self.by_model.lock().unwrap().get(model).cloned();
        let always = || self.always.lock().unwrap().clone();
        next.or_else(by_model).or_else(always).unwrap_or_else(|| saying("pong"))
    }

    /// `false` if the connection is over.
    async fn act(&self, act: ResponseStep, stream: &mut TcpStream) -> bool {
        match act {
            ResponseStep::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
            ResponseStep::Drip(bytes) => {
                for byte in bytes {
                    if stream.write_all(&[byte]).await.is_err() {
                        return false;
                    }
                }
                true
            }
            ResponseStep::Pour(bytes) => {
                while let Ok(taken) = stream.write(&bytes).await {
                    self.taken.send_modify(|all| *all += taken);
                }
                self.left.send_modify(|left| *left += 1);
                false
            }
            ResponseStep::Wait(time) => {
                sleep(time).await;
                true
            }
            ResponseStep::Until(told) => {
                told.notified().await;
                true
            }
            ResponseStep::Hold => {
                let mut rest = [0];
                // An end, well or ill, or bytes that nobody expects.
                _ = stream.read(&mut rest).await;
                self.left.send_modify(|left| *left += 1);
                false
            }
            ResponseStep::Reset => {
                stream.set_zero_linger().unwrap();
                false
            }
            ResponseStep::Close => {
                // The other side may have gone before.
                _ = stream.shutdown().await;
                false
            }
        }
    }
}

/// The next request of a connection.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<ReceivedRequest> {
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, bytes).await?;
    };
    let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: HashMap<_, _> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < length {
        more(stream, bytes).await?;
    }
    let body: Vec<u8> = bytes.drain(..length).collect();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(ReceivedRequest { line, headers, body })
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = vec![0; 64 << 10];
    let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&piece[..read]);
    Some(())
}
