//! The state of an emulator, which all its connections share.

use crate::auth::AcceptedCredentials;
use crate::catalogue::{Catalogue, FoundationModel};
use crate::exception::BedrockException;
use crate::operation::Operation;
use crate::prompt_cache::{CachedTokens, PromptCache};
use crate::received_request::ReceivedRequest;
use crate::relay::Relay;
use crate::request_log::RequestLog;
use crate::response::EmulatorResponse;
use crate::script::{self, Script, ScriptQueue};
use crate::signatures::ReasoningSignatures;
use crate::socket::ConnectionCounters;
use serde_json::Value;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The state of an emulator: its settings, scripts, caches and records.
pub(crate) struct EmulatorState {
    pub(crate) catalogue: Catalogue,
    pub(crate) default_region: String,
    pub(crate) serves_every_region: bool,
    pub(crate) pace: Duration,
    pub(crate) relay: Option<Relay>,
    pub(crate) request_log: RequestLog,
    pub(crate) connection_counters: Arc<ConnectionCounters>,
    pub(crate) credentials: Mutex<AcceptedCredentials>,
    pub(crate) models: Mutex<ScriptQueue>,
    pub(crate) regions: Mutex<ScriptQueue>,
    pub(crate) prompts: Mutex<PromptCache>,
    pub(crate) signatures: Mutex<ReasoningSignatures>,
}

impl EmulatorState {
    /// Checks the credentials of a request.
    pub(crate) fn check(
        &self,
        call: &ReceivedRequest,
        now: SystemTime,
    ) -> Result<(), BedrockException> {
        lock(&self.credentials).check(call, now)
    }

    /// Returns the next script for a request to this model, or that of the demo.
    pub(crate) fn script_for_model(
        &self,
        model: &FoundationModel,
        call: &ReceivedRequest,
    ) -> Script {
        let names = [call.target(), &model.id];
        lock(&self.models).next(&call.region, &names).unwrap_or_else(Script::demo)
    }

    /// Looks the prompt up in the prompt cache, and stores it there.
    pub(crate) fn look_up_prompt(
        &self,
        call: &ReceivedRequest,
        model: &FoundationModel,
        body: &Value,
    ) -> Option<CachedTokens> {
        lock(&self.prompts).look_up(&call.region, model, body)
    }

    /// Returns the next script for this control-plane operation in this region, or that of the
    /// demo.
    pub(crate) fn script_for_operation(&self, region: &str, operation: Operation) -> Script {
        let name = format!("{operation:?}");
        lock(&self.regions).next(region, &[&name]).unwrap_or_else(Script::demo)
    }
}

/// Waits for the script's delay, and returns its response unless it lets the request be answered.
pub(crate) async fn apply_script(script: &Script) -> Option<EmulatorResponse> {
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    match &script.reply {
        script::ScriptedReply::Demo | script::ScriptedReply::Answer(_) => None,
        script::ScriptedReply::Exception(fault) => Some(EmulatorResponse::Exception(fault.clone())),
        script::ScriptedReply::Html(status) => Some(EmulatorResponse::Html(*status)),
        script::ScriptedReply::Hang => pending().await,
    }
}

/// Locks a mutex, also after a panic of another holder.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
