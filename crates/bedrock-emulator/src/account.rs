//! All that one emulator knows and remembers, shared by its connections.

use crate::auth::Keyring;
use crate::call::Call;
use crate::catalogue::{Catalogue, Model};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::prompt_cache::{Cached, PromptCache};
use crate::record::Journal;
use crate::relay::Relay;
use crate::reply::Reply;
use crate::script::{self, Playbook, Script};
use crate::signatures::Signatures;
use crate::socket::Census;
use serde_json::Value;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

pub(crate) struct Account {
    pub(crate) catalogue: Catalogue,
    pub(crate) default_region: String,
    pub(crate) pace: Duration,
    pub(crate) relay: Option<Relay>,
    pub(crate) journal: Journal,
    pub(crate) census: Arc<Census>,
    pub(crate) keyring: Mutex<Keyring>,
    pub(crate) models: Mutex<Playbook>,
    pub(crate) regions: Mutex<Playbook>,
    pub(crate) prompts: Mutex<PromptCache>,
    pub(crate) signatures: Mutex<Signatures>,
}

impl Account {
    pub(crate) fn check(&self, call: &Call, now: SystemTime) -> Result<(), Fault> {
        locked(&self.keyring).check(call, now)
    }

    /// What is to be done with a call to this model, by the name it was called: the next script, or the demo.
    pub(crate) fn script_for_model(&self, model: &Model, call: &Call) -> Script {
        let names = [call.target(), &model.id];
        locked(&self.models).next(&call.region, &names).unwrap_or_else(Script::demo)
    }

    /// What the prompt cache makes of a call's prompt.
    pub(crate) fn cached(&self, call: &Call, model: &Model, body: &Value) -> Option<Cached> {
        locked(&self.prompts).read(&call.region, model, body)
    }

    /// What is to be done with this call of the control plane in this region.
    pub(crate) fn script_for_list(&self, region: &str, operation: Operation) -> Script {
        let name = format!("{operation:?}");
        locked(&self.regions).next(region, &[&name]).unwrap_or_else(Script::demo)
    }
}

/// Waits as the script says, and gives what it sends instead of an answer, if anything.
pub(crate) async fn open(script: &Script) -> Option<Reply> {
    if !script.delay.is_zero() {
        tokio::time::sleep(script.delay).await;
    }
    match &script.reply {
        script::Reply::Demo | script::Reply::Answer(_) => None,
        script::Reply::Fault(fault) => Some(Reply::Fault(fault.clone())),
        script::Reply::Html(status) => Some(Reply::Html(*status)),
        script::Reply::Hang => pending().await,
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
