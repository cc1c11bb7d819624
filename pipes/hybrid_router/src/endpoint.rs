//! A local server at an address that was typed in.

use crate::{LOCAL_ID, failure::Failure, spoken::Spoken, valves::HybridValves};
use futures_util::TryStreamExt;
use http_client::{HttpClient, HttpVersion};
use openai_client::{Address, Credentials, Server, Trouble};
use pipe_sdk::{Body, ChunkStream, Host, ModelKind};
use resilience::{Limits, Upstream};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// A local server, and the ways in which it may want to be asked.
#[derive(Debug)]
pub(crate) struct Endpoint {
    forms: Vec<Form>,
    /// The place of the form in which it has answered.
    known: OnceLock<usize>,
    /// What it calls its model.
    model: Option<String>,
    /// The same, if it is to be found out.
    listed: Mutex<Option<String>>,
}

#[derive(Debug)]
enum Form {
    /// OpenAI's API.
    Chats(Server),
    /// A bare `/generate`, which answers in one piece.
    Generates(Server),
}

/// How a whole answer's address ends.
const GENERATE: &str = "/generate";

/// How long a whole answer may take at least.
const WHOLE: Duration = Duration::from_secs(120);

/// How long a server may take to list its models when it is tried.
const LONGEST_LIST: Duration = Duration::from_secs(5);

/// What a server is asked for that lists no models: mostly it has but one, whatever it is called.
const ANY_MODEL: &str = "default";

/// Whether this is an address, as against the id of a model of this host.
pub(crate) fn is_address(text: &str) -> bool {
    text.contains("://")
}

/// What is wrong with the local side as the valves have it.
pub(crate) fn fault(valves: &HybridValves) -> Option<&'static str> {
    const RULE: &str = "must be an http:// or https:// URL, or the id of a model of this host";
    let text = valves.local_endpoint.trim();
    if is_address(text) {
        return bases(text).err();
    }
    let (pipe, _) = text.split_once('.').unwrap_or((text, ""));
    let is_pipe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_id = pipe.bytes().all(is_pipe) && !pipe.bytes().all(|byte| byte.is_ascii_digit());
    (!is_id || text.contains(char::is_whitespace)).then_some(RULE)
}

/// The bases of the forms that this address may mean: whether it is that of `/generate`, and where.
fn bases(text: &str) -> Result<Vec<(bool, Address)>, &'static str> {
    let text = text.trim().trim_end_matches('/');
    if let Some(base) = text.strip_suffix(GENERATE) {
        return Ok(vec![(true, base.parse()?)]);
    }
    let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path {
        return Ok(vec![(false, text.parse()?)]);
    }
    Ok(vec![(false, format!("{text}/v1").parse()?), (true, text.parse()?)])
}

impl Endpoint {
    /// The server of these valves. Nothing is asked yet.
    pub fn new(valves: &HybridValves) -> Result<Self, &'static str> {
        let http_client = HttpClient::new(Limits::default().connect, HttpVersion::Http2Preferred);
        let credentials =
            Credentials { key: valves.local_api_key.clone(), ..Credentials::default() };
        let forms = bases(&valves.local_endpoint)?.into_iter().map(|(is_whole, address)| {
            // The side that it is on keeps its health.
            let limits = Limits { failures: 0, ..valves.local_limits() };
            let first_byte =
                if is_whole { limits.first_byte.max(WHOLE) } else { limits.first_byte };
            let calm = Arc::new(Upstream::new(LOCAL_ID, Limits { first_byte, ..limits }));
            let server = Server::new(address, &credentials, http_client.clone(), calm);
            if is_whole { Form::Generates(server) } else { Form::Chats(server) }
        });
        let (known, listed) = Default::default();
        Ok(Self { forms: forms.collect(), known, model: valves.local_model.clone(), listed })
    }

    /// The answer to this chat, when its first token is there.
    pub async fn spoken(&self, host: &Host, body: &Body) -> Result<Spoken, Failure> {
        let known = self.known.get().map_or(0..self.forms.len(), |place| *place..place + 1);
        let mut first = None;
        for place in known.clone() {
            match self.spoken_so(&self.forms[place], host, body).await {
                Ok(spoken) => {
                    // Whoever was quicker has found out the same.
                    _ = self.known.set(place);
                    return Ok(spoken);
                }
                Err((failure, no_such_path)) => {
                    first.get_or_insert(failure);
                    if !no_such_path {
                        break;
                    }
                }
            }
        }
        Err(first.unwrap_or_else(|| Failure::mute(LOCAL_ID)))
    }

    /// The same in this form; an error tells whether there is no such path.
    async fn spoken_so(
        &self,
        form: &Form,
        host: &Host,
        body: &Body,
    ) -> Result<Spoken, (Failure, bool)> {
        let limit = form.server().calm().limits().first_byte;
        let spoken = async {
            let chunks = self.chunks(form, host, body).await.map_err(|trouble| {
                let is_missing = self.is_missing(&trouble);
                (Failure::of_server(trouble, LOCAL_ID), is_missing)
            })?;
            let chunks = host.meter(LOCAL_ID, body, chunks);
            Spoken::of(LOCAL_ID, chunks).await.map_err(|failure| (failure, false))
        };
        let late = |_| (Failure::late(LOCAL_ID, limit.as_secs()), false);
        timeout(limit, spoken).await.map_err(late)?
    }

    async fn chunks(&self, form: &Form, host: &Host, body: &Body) -> Result<ChunkStream, Trouble> {
        let context = host.context();
        match form {
            Form::Chats(server) => {
                let name = self.name(server).await?;
                let chunks = Box::pin(server.chat(&name, body, context)).await?;
                Ok(ChunkStream::new(chunks.map_err(|trouble| trouble.error(LOCAL_ID))))
            }
            Form::Generates(server) => {
                let chunks = server.generate(self.model.as_deref(), body, context).await?;
                Ok(ChunkStream::from_chunks(chunks))
            }
        }
    }

    /// What the server calls its model.
    async fn name(&self, server: &Server) -> Result<String, Trouble> {
        if let Some(name) = self.model.clone().or_else(|| self.listed().clone()) {
            return Ok(name);
        }
        match server.models(server.calm().limits().first_byte).await {
            Ok(list) => {
                let name = list.into_iter().find(|model| model.kind == ModelKind::Chat);
                let name = name.map_or_else(|| ANY_MODEL.into(), |model| model.id);
                *self.listed() = Some(name.clone());
                Ok(name)
            }
            Err(Trouble::Said(_) | Trouble::Garbled(_) | Trouble::Page) => Ok(ANY_MODEL.into()),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whether the server answers at all, by its list of models.
    pub async fn is_there(&self) -> Result<(), Failure> {
        let mut first = None;
        for form in &self.forms {
            match form.server().models(LONGEST_LIST).await {
                // A server that lists nothing says so, and that is an answer too.
                Ok(_) | Err(Trouble::Said(_) | Trouble::Garbled(_) | Trouble::Page) => {
                    return Ok(());
                }
                Err(trouble) => _ = first.get_or_insert(trouble),
            }
        }
        first.map_or(Ok(()), |trouble| Err(Failure::of_server(trouble, LOCAL_ID)))
    }

    /// Whether what was asked for is not there. A model may have been replaced by another one then, so the name is looked up anew.
    fn is_missing(&self, trouble: &Trouble) -> bool {
        let is_missing =
            matches!(trouble, Trouble::Said(said) if matches!(said.status, 404 | 405 | 501));
        if is_missing {
            *self.listed() = None;
        }
        is_missing
    }

    fn listed(&self) -> MutexGuard<'_, Option<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Form {
    fn server(&self) -> &Server {
        match self {
            Self::Chats(server) | Self::Generates(server) => server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_one_form_or_both() {
        for (text, forms) in [
            ("http://localhost:5000", vec![false, true]),
            ("http://localhost:5000/", vec![false, true]),
            ("http://localhost:11434/v1", vec![false]),
            ("https://gpu.example/api/v1/chat/completions", vec![false]),
            ("http://localhost:5000/generate", vec![true]),
            ("http://localhost:5000/api/generate/", vec![true]),
        ] {
            let found: Vec<_> = bases(text).unwrap().into_iter().map(|(whole, _)| whole).collect();
            assert_eq!(found, forms, "{text}");
        }
    }

    #[test]
    fn what_is_neither_an_address_nor_an_id_is_refused() {
        for (text, is_fine) in [
            ("http://localhost:5000", true),
            ("openai_proxy.llama3.2", true),
            ("bedrock_models.amazon.nova-lite-v1:0", true),
            ("relay", true),
            ("localhost:5000", false),
            ("127.0.0.1:5000", false),
            ("ftp://localhost", false),
            ("http://169.254.169.254/v1", false),
            ("a model", false),
            ("", false),
        ] {
            let valves = HybridValves { local_endpoint: text.into(), ..HybridValves::default() };
            assert_eq!(fault(&valves).is_none(), is_fine, "{text}");
        }
    }
}
