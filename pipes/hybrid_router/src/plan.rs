//! Who may answer a chat, and who is asked first.

use crate::{
    needs::{Lack, is_task, prompt_tokens},
    valves::HybridValves,
};
use pipe_sdk::{Call, PipeError, Result, Side};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who answers a chat, and why not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// This side and no other.
    Only(Side, Option<&'static str>),
    /// This side first, and the other one where it fails.
    First(Side, Option<&'static str>),
}

/// Why the cloud may not answer a chat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    /// There is none.
    Missing,
    /// The person's role is for the local side only.
    Role,
    /// The person has spent this budget.
    Budget(f64),
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Plan {
    /// The plan for this chat at this time.
    pub fn of(
        call: &Call,
        valves: &HybridValves,
        now: SystemTime,
        bar: Option<Bar>,
    ) -> Result<Self> {
        let wish = if bar.is_none() { wish(call, valves, now) } else { None };
        if let Some(lack) = Lack::of(&call.body, valves) {
            return match bar {
                Some(bar) => Err(bar.error(lack, now)),
                None if wish.is_none() && !valves.cloud_fallback => Err(no_fallback(lack)),
                None => Ok(Self::Only(Side::Cloud, Some(lack.words()))),
            };
        }
        Ok(match wish {
            Some(why) => Self::First(Side::Cloud, Some(why)),
            None if bar.is_none() && valves.cloud_fallback => Self::First(Side::Local, None),
            None => Self::Only(Side::Local, None),
        })
    }
}

/// Why this chat is for the cloud first, if it is.
fn wish(call: &Call, valves: &HybridValves, now: SystemTime) -> Option<&'static str> {
    if valves.tasks_local && is_task(call) {
        return None;
    }
    let is_long = |most| prompt_tokens(&call.body) > most;
    if valves.cloud_above_prompt_tokens.is_some_and(is_long) {
        return Some("the chat is long");
    }
    if is_among(valves.cloud_roles.as_deref(), call) {
        return Some("your role is answered there");
    }
    let is_hour = valves.hours().is_ok_and(|hours| hours.hold(now));
    is_hour.then_some("at this hour it answers first")
}

/// Whether who asks has one of these roles.
fn is_among(roles: Option<&str>, call: &Call) -> bool {
    let role = call.user.as_ref().and_then(|user| user.role.as_deref());
    let mut roles = roles.unwrap_or_default().split(',').map(str::trim);
    role.is_some_and(|role| roles.any(|one| one.eq_ignore_ascii_case(role)))
}

fn no_fallback(lack: Lack) -> PipeError {
    PipeError::bad_request(format!(
        "{}, and `cloud_fallback` is off: pick another model, or have an admin turn it on",
        lack.words()
    ))
}

impl Bar {
    /// What keeps the cloud from answering this chat, if anything does.
    pub async fn of(call: &Call, valves: &HybridValves, now: SystemTime) -> Option<Self> {
        if valves.cloud_model.is_none() {
            return Some(Self::Missing);
        }
        if is_among(valves.local_roles.as_deref(), call) {
            return Some(Self::Role);
        }
        let budget = valves.cloud_budget_per_day.filter(|budget| *budget > 0.0)?;
        let user = call.user.as_ref().filter(|user| !user.id.is_empty())?;
        let spent = call.host.ledger().spent(user.id.clone(), midnight(now)).await;
        let spent = spent.unwrap_or_else(|error| {
            tracing::warn!(%error, "What a person has spent is not known, so the budget is not kept.");
            0
        });
        (spent as f64 >= budget * 1e6).then_some(Self::Budget(budget))
    }

    /// What a person is told whose chat only the cloud could answer.
    fn error(self, lack: Lack, now: SystemTime) -> PipeError {
        let lack = lack.words();
        match self {
            Self::Missing => PipeError::bad_request(format!(
                "{lack}, and `cloud_model` names nobody who does: pick another model, or have an admin set it"
            )),
            Self::Role => PipeError::Denied(format!(
                "{lack}, and your role may not use the cloud here: pick another model"
            )),
            Self::Budget(budget) => PipeError::Throttled {
                message: format!(
                    "{lack}, and your budget of ${budget} a day for the cloud is used up: it begins anew at midnight UTC"
                ),
                retry_after: (midnight(now) + DAY).duration_since(now).ok(),
            },
        }
    }
}

/// When this day of UTC began.
fn midnight(now: SystemTime) -> SystemTime {
    let days = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY.as_secs();
    UNIX_EPOCH + Duration::from_secs(days * DAY.as_secs())
}
