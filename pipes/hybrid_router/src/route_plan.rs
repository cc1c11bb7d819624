//! The plan of a chat: which backends may answer, and which is asked first.

use crate::{
    cloud_budget::CloudBudget,
    local_limits::{MissingCapability, is_background_task},
    valves::HybridValves,
};
use pipe_sdk::{Call, Demand, PipeError, Result, Side};
use std::time::SystemTime;

/// The backends that may answer a chat, with the reason if the cloud is asked before the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoutePlan {
    /// Only this backend.
    Only(Side, Option<&'static str>),
    /// This backend first, and the other one if it fails.
    First(Side, Option<&'static str>),
}

/// The reason why the cloud may not answer a chat.
#[derive(Debug)]
pub(crate) enum CloudDenied {
    /// No cloud model is set.
    NoModel,
    /// The role of the user is restricted to the local backend.
    LocalRole,
    /// The budget of the user is used up.
    Budget(PipeError),
}

impl RoutePlan {
    /// Returns the plan for this chat at this time.
    ///
    /// # Errors
    /// Returns an error if no backend can answer the chat.
    pub fn new(
        call: &Call,
        valves: &HybridValves,
        now: SystemTime,
        denied: Option<CloudDenied>,
    ) -> Result<Self> {
        let reason = if denied.is_none() { cloud_reason(call, valves, now) } else { None };
        if let Some(missing) = MissingCapability::find(&call.body, valves) {
            return match denied {
                Some(denied) => Err(denied.into_error(missing)),
                None if reason.is_none() && !valves.cloud_fallback => Err(no_fallback(missing)),
                None => Ok(Self::Only(Side::Cloud, Some(missing.reason()))),
            };
        }
        Ok(match reason {
            Some(reason) => Self::First(Side::Cloud, Some(reason)),
            None if denied.is_none() && valves.cloud_fallback => Self::First(Side::Local, None),
            None => Self::Only(Side::Local, None),
        })
    }
}

/// Returns the rule of the valves by which the cloud is asked first, if there is one.
fn cloud_reason(call: &Call, valves: &HybridValves, now: SystemTime) -> Option<&'static str> {
    if valves.tasks_local && is_background_task(call) {
        return None;
    }
    let is_long = |max| Demand::chat(&call.body).prompt_tokens > max;
    if valves.cloud_above_prompt_tokens.is_some_and(is_long) {
        return Some("the chat is long");
    }
    if has_role(call, valves.cloud_roles.as_deref()) {
        return Some("your role is answered there");
    }
    let is_cloud_hour = valves.cloud_hours().is_ok_and(|hours| hours.contains(now));
    is_cloud_hour.then_some("at this hour it answers first")
}

/// Returns whether the user has one of these roles.
fn has_role(call: &Call, roles: Option<&str>) -> bool {
    let role = call.user.as_ref().and_then(|user| user.role.as_deref());
    let mut roles = roles.unwrap_or_default().split(',').map(str::trim);
    role.is_some_and(|role| roles.any(|one| one.eq_ignore_ascii_case(role)))
}

/// Returns the error of a chat that only the cloud could answer.
fn no_fallback(missing: MissingCapability) -> PipeError {
    PipeError::bad_request(format!(
        "{}, and the cloud does not answer in its place: pick another model, or ask an admin to turn on *Cloud · Answer when local fails*",
        missing.reason()
    ))
}

impl CloudDenied {
    /// Returns the reason for which the cloud may not answer this chat, if there is one.
    pub async fn check(
        call: &Call,
        valves: &HybridValves,
        budget: Option<&CloudBudget>,
    ) -> Option<Self> {
        if valves.cloud_model.is_none() {
            return Some(Self::NoModel);
        }
        if has_role(call, valves.local_roles.as_deref()) {
            return Some(Self::LocalRole);
        }
        budget?.check(call).await.err().map(Self::Budget)
    }

    /// Returns the error of a chat that only the cloud could answer.
    fn into_error(self, missing: MissingCapability) -> PipeError {
        let reason = missing.reason();
        match self {
            Self::NoModel => PipeError::bad_request(format!(
                "{reason}, and no cloud model is set: pick another model, or ask an admin to set *Cloud · Model*"
            )),
            Self::LocalRole => PipeError::Denied(format!(
                "{reason}, and your role may not use the cloud here: pick another model"
            )),
            Self::Budget(PipeError::Throttled { message, retry_after }) => {
                PipeError::Throttled { message: format!("{reason}, and {message}"), retry_after }
            }
            Self::Budget(error) => error,
        }
    }
}
