//! Who asks a model, and of which host: what every way to a model begins with.

use super::{Error, State, answer, auth::KeyName, identity, models, record::RequestLog};
use crate::drain::DrainStage;
use actix_web::{
    FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderMap, web,
};
use pipe_sdk::{Body, CallContext, ChatRef, Demand, Hints, Host, PipeError, User};
use std::{
    future::{Ready, ready},
    sync::Arc,
};

/// Who asks, and of which host.
pub struct RequestContext {
    /// The host.
    pub state: web::Data<State>,
    /// What is kept of the request.
    pub record: Arc<RequestLog>,
    request: HttpRequest,
    /// Who asks, where only Open WebUI's signature is believed.
    signed: Option<Option<User>>,
}

impl FromRequest for RequestContext {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = web::Data::from_request(request, payload).into_inner();
        let record = web::ReqData::<Arc<RequestLog>>::from_request(request, payload).into_inner();
        let request = request.clone();
        ready(state.and_then(|state: web::Data<State>| {
            let signed = state.seal.as_ref().map(|seal| seal.user(request.headers()));
            Ok(Self { signed: signed.transpose()?, record: record?.into_inner(), request, state })
        }))
    }
}

impl RequestContext {
    /// What came before the body.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The name of the key that came with the request; `None` for the host's own.
    pub fn key(&self) -> Option<Arc<str>> {
        self.request.extensions().get::<KeyName>().map(|KeyName(name)| Arc::clone(name))
    }

    /// The way to models for this chat, if the host takes new requests and no filter refuses this one. What its body says of who asks is
    /// taken out of it.
    pub async fn admit_chat(&self, body: &mut Body, demand: Demand) -> Result<Host, Error> {
        let (user, mut chat) = identity::take(body, self.headers());
        chat.task = chat.task.filter(|task| self.is_believed(task));
        let hints = self.hints(long_context(&mut body.model));
        let trail = self.trail(user, chat.task.as_deref());
        self.admitted(trail, chat, hints, &body.model, demand).await
    }

    /// The same for what is no chat. There is no other way to models for a handler.
    pub async fn admit(
        &self,
        user: Option<User>,
        model: &str,
        demand: Demand,
    ) -> Result<Host, Error> {
        let (trail, hints) = (self.trail(user, None), self.hints(false));
        self.admitted(trail, ChatRef::default(), hints, model, demand).await
    }

    /// Refuses while the host is stopping, and what filters refuse; in the reason phrase too.
    async fn admitted(
        &self,
        trail: CallContext,
        chat: ChatRef,
        hints: Hints,
        model: &str,
        demand: Demand,
    ) -> Result<Host, Error> {
        if self.state.drain.stage() > DrainStage::Serving {
            return Err(answer::leaving().into());
        }
        self.asks_for(model);
        let host = Host::new(self.state.registry.clone(), trail, chat);
        let host = host.wishing(hints);
        // An id that leads nowhere is told of as such.
        self.answered(self.state.registry.route(model)).await?;
        self.answered(host.admit(model, demand)).await.map_err(Error::in_reason)?;
        Ok(host)
    }

    /// What the headers wish, and the long context if the model's name asks for it.
    fn hints(&self, long_context: bool) -> Hints {
        let hints = identity::hints(self.headers());
        if long_context { hints.with(Hints::CONTEXT, "1m") } else { hints }
    }

    /// Whether a request comes from this background task of Open WebUI's server: whoever has the host's own key may say so, and where users
    /// are signed, only for one who is.
    fn is_believed(&self, task: &str) -> bool {
        let is_signed = self.signed.as_ref().is_none_or(Option::is_some);
        self.key().is_none() && is_signed && identity::is_task(task)
    }

    /// Who asks. Only the host's own key is trusted to say it, and with a secret of Open WebUI's nothing but what was signed; another key is a
    /// person of its own.
    fn trail(&self, user: Option<User>, task: Option<&str>) -> CallContext {
        let user = self.signed.clone().unwrap_or(user);
        let trail = match self.key() {
            None => CallContext::new(user, None, task),
            Some(key) => {
                let name = Some(key.to_string());
                let user = User { id: format!("key:{key}"), name, ..User::default() };
                CallContext::new(Some(user), Some(key), task)
            }
        };
        let peer = self.request.peer_addr().map(|address| address.ip());
        trail.traced(self.record.trace()).from_peer(peer)
    }

    /// Keeps which model is asked for, if there is one of that name.
    fn asks_for(&self, model: &str) {
        if self.state.registry.has_model(model) {
            self.record.outcome().model = Some(model.into());
        }
    }

    /// Waits for the answer, unless the host leaves first.
    pub async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, PipeError>>,
    ) -> Result<T, Error> {
        tokio::select! {
            answer = answer => answer.map_err(|error| self.failed(error)),
            () = self.state.drain.wait_for_abort() => Err(answer::leaving().into()),
        }
    }

    /// The error as it goes out; it is kept for the log. Where a model was not found, it names those that are called alike.
    pub fn failed(&self, error: PipeError) -> Error {
        self.record.fail(error.kind(), &error);
        models::with_nearest(&self.state, error)
    }
}

/// Takes the mark off a model's name by which Claude Code asks for a context of a million tokens; whether it was there.
fn long_context(model: &mut String) -> bool {
    let Some(bare) = model.strip_suffix("[1m]").map(str::to_owned) else { return false };
    *model = bare;
    true
}
