//! Who asks a model, and of which host: what every way to a model begins with.

use super::{Error, State, answer, auth::KeyName, identity, record::RequestLog};
use crate::drain::Stage;
use actix_web::{
    FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderMap, web,
};
use pipe_sdk::{AdmissionRequest, Body, CallContext, ChatRef, Host, ModelKind, PipeError, User};
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

    /// The way in for this chat. What its body says of who asks is taken out of it.
    pub fn host(&self, body: &mut Body) -> Host {
        let (user, chat) = identity::take(body, self.headers());
        self.asks_for(&body.model);
        let trail = self.trail(user, chat.task.as_deref());
        let host = Host::new(self.state.registry.clone(), trail, chat);
        host.wishing(identity::hints(self.headers()))
    }

    /// The way to models for this person, outside of chats.
    pub fn host_of(&self, user: Option<User>) -> Host {
        let trail = self.trail(user, None);
        let host = Host::new(self.state.registry.clone(), trail, ChatRef::default());
        host.wishing(identity::hints(self.headers()))
    }

    /// Who asks. Only the host's own key is trusted to say it, and with a seal nothing but what was signed; another key is a person of its own.
    fn trail(&self, user: Option<User>, task: Option<&str>) -> CallContext {
        let user = self.signed.clone().unwrap_or(user);
        let trail = match self.request.extensions().get().cloned() {
            None => CallContext::new(user, None, task),
            Some(KeyName(key)) => {
                let name = Some(key.to_string());
                let user = User { id: format!("key:{key}"), name, ..User::default() };
                CallContext::new(Some(user), Some(key), task)
            }
        };
        let peer = self.request.peer_addr().map(|address| address.ip());
        trail.traced(self.record.trace()).from_peer(peer)
    }

    /// Lets pass what is asked of this model, or says which filter does not, and why; in the reason phrase too.
    pub async fn is_admitted(
        &self,
        model: &str,
        kind: ModelKind,
        host: &Host,
    ) -> Result<(), Error> {
        let registry = &self.state.registry;
        let model = self.answered(registry.route(model)).await?.full();
        let (trail, chat) = (host.trail().clone(), host.chat().clone());
        let asked = AdmissionRequest { model, kind, chat, trail, host: host.clone() };
        self.answered(registry.admit(&asked)).await.map_err(Error::in_reason)
    }

    /// Keeps which model is asked for, if there is one of that name.
    pub fn asks_for(&self, model: &str) {
        if self.state.registry.has(model) {
            self.record.outcome().model = Some(model.into());
        }
    }

    /// An error if the host takes no new requests any more.
    pub fn is_served(&self) -> Result<(), Error> {
        if self.state.drain.stage() > Stage::Serving {
            return Err(answer::leaving().into());
        }
        Ok(())
    }

    /// Waits for the answer, unless the host leaves first.
    pub async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, PipeError>>,
    ) -> Result<T, Error> {
        tokio::select! {
            answer = answer => answer.map_err(|error| self.failed(error)),
            () = self.state.drain.cut() => Err(answer::leaving().into()),
        }
    }

    /// The error as it goes out; it is kept for the log.
    pub fn failed(&self, error: PipeError) -> Error {
        self.record.fail(error.kind(), &error);
        error.into()
    }
}
