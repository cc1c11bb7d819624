//! The context of a request to a model: the host, the user, and the admission of calls.

use super::{
    answer, error::HttpError, identity, json::body_size, memory_budget::Share,
    request_log::RequestLog, sender, similar_models::with_similar_ids, state::HostState,
};
use crate::{blocking, drain::DrainStage, model_call::ModelCall};
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::HeaderMap, web};
use pipe_sdk::{
    Body, CallContext, CallerId, ChatRef, Demand, Hints, Host, PipeError, ResponseRef, User,
};
use std::{
    future::{Ready, ready},
    sync::Arc,
};

/// The context of a request.
pub struct RequestContext {
    /// The host.
    pub state: web::Data<HostState>,
    /// The log of the request.
    pub request_log: Arc<RequestLog>,
    request: HttpRequest,
    /// The signed user, if only Open WebUI's signature is trusted.
    signed: Option<Option<User>>,
    /// The response of the Responses API that is stored.
    response: Option<ResponseRef>,
}

impl FromRequest for RequestContext {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = web::Data::from_request(request, payload).into_inner();
        let request_log =
            web::ReqData::<Arc<RequestLog>>::from_request(request, payload).into_inner();
        let request = request.clone();
        ready(state.and_then(|state: web::Data<HostState>| {
            let signed =
                state.user_jwt_verifier.as_ref().map(|verifier| verifier.user(request.headers()));
            Ok(Self {
                signed: signed.transpose()?,
                request_log: request_log?.into_inner(),
                request,
                response: None,
                state,
            })
        }))
    }
}

impl RequestContext {
    /// Returns the headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the name of the request's API key; `None` for the host's own key.
    pub fn key(&self) -> Option<Arc<str>> {
        sender::key_name(&self.request)
    }

    /// Returns the user of a request without a body: the API key, or the user that the headers
    /// name.
    pub fn user(&self) -> Option<Arc<User>> {
        self.context(identity::parse_user(None, self.headers()), None).user
    }

    /// Returns the same context for a response that is stored, or continues a stored one.
    pub fn with_response(self, response: Option<ResponseRef>) -> Self {
        Self { response, ..self }
    }

    /// Admits a chat and returns its call, unless the host is stopping or a filter refuses it. User
    /// information is removed from the body.
    pub async fn admit_chat(
        &self,
        body: &mut Body,
        demand: Demand,
    ) -> Result<ModelCall<'_>, HttpError> {
        let (user, mut chat) = identity::take_identity(body, self.headers());
        chat.response.clone_from(&self.response);
        chat.task = chat.task.filter(|task| self.is_trusted_task(task));
        let hints = self.hints(take_long_context_suffix(&mut body.model));
        let context = self.context(user, chat.task.as_deref());
        self.check_admission(context, chat, hints, &body.model, demand).await
    }

    /// Admits a request that is no chat. Handlers have no other access to models.
    pub async fn admit(
        &self,
        user: Option<User>,
        model: &str,
        demand: Demand,
    ) -> Result<ModelCall<'_>, HttpError> {
        let (context, hints) = (self.context(user, None), self.hints(false));
        self.check_admission(context, ChatRef::default(), hints, model, demand).await
    }

    /// Refuses the request while the host is stopping, or if a filter refuses it; the reason phrase
    /// says why too.
    async fn check_admission(
        &self,
        context: CallContext,
        chat: ChatRef,
        hints: Hints,
        model: &str,
        demand: Demand,
    ) -> Result<ModelCall<'_>, HttpError> {
        if self.state.drain.stage() > DrainStage::Serving {
            return Err(answer::shutting_down_error().into());
        }
        let registry = &self.state.registry;
        let host = Host::new(Arc::clone(registry) as _, context, chat).with_hints(hints);
        // An unknown model is an error of its own, with similar names.
        let has_long_body = blocking::is_long(body_size(&self.request));
        let call = ModelCall::resolve(registry, model, demand, host, has_long_body);
        let call = self.or_shutdown(call).await?;
        self.request_log.outcome().model = Some(model.into());
        self.or_shutdown(call.check_admission()).await.map_err(HttpError::in_reason)?;
        Ok(call)
    }

    /// Returns the hints of the headers, with the long context if the model's name asks for it.
    fn hints(&self, long_context: bool) -> Hints {
        let hints = identity::hints(self.headers());
        if long_context { hints.with(Hints::CONTEXT, "1m") } else { hints }
    }

    /// Returns whether the request may name a background task of Open WebUI: only with the host's
    /// own key, and if users are signed, only for a signed user.
    fn is_trusted_task(&self, task: &str) -> bool {
        let is_signed = self.signed.as_ref().is_none_or(Option::is_some);
        self.key().is_none() && is_signed && identity::is_task(task)
    }

    /// Returns the context of the call. With a JWT secret only the signed user counts.
    fn context(&self, user: Option<User>, task: Option<&str>) -> CallContext {
        let user = self.signed.clone().unwrap_or(user);
        let context = self.state.call_context(&self.request, user, task);
        context.with_trace(self.request_log.trace())
    }

    /// Returns the caller.
    pub fn caller(&self) -> CallerId {
        self.state.identify_sender(&self.request).caller
    }

    /// Returns an empty share of the memory budget, for the answer.
    pub fn share(&self) -> Share {
        self.state.memory_budget.share(self.state.identify_sender(&self.request))
    }

    /// Does a part of the work on the request: on a blocking thread if its body is long.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PipeError> + Send + 'static,
    ) -> Result<T, HttpError> {
        Ok(blocking::compute(self.caller(), body_size(&self.request), work).await??)
    }

    /// Waits for the response, unless the host stops first.
    pub async fn or_shutdown<T>(
        &self,
        answer: impl Future<Output = Result<T, PipeError>>,
    ) -> Result<T, HttpError> {
        tokio::select! {
            answer = answer => answer.map_err(|error| self.failed(error)),
            () = self.state.drain.wait_for_abort() => Err(answer::shutting_down_error().into()),
        }
    }

    /// Returns the error for the client and records it in the log. If a model was not found, the
    /// error names similar ones.
    pub fn failed(&self, error: PipeError) -> HttpError {
        self.request_log.fail(error.kind(), &error);
        with_similar_ids(&self.state, error)
    }
}

/// Removes the suffix with which Claude Code requests a context of a million tokens from a model's
/// name. Returns whether it was there.
fn take_long_context_suffix(model: &mut String) -> bool {
    let Some(bare) = model.strip_suffix("[1m]").map(str::to_owned) else { return false };
    *model = bare;
    true
}
