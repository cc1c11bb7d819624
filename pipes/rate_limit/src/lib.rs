//! A filter that limits the requests, tokens and dollars of each user, key and model.
//!
//! A request to a model of this host is counted when it arrives, from any client, and again for
//! each model that a pipe calls for it. Chats with models of other connections are counted in the
//! inlet. Windows slide: a request counts until a minute, an hour or a day after its arrival.
//! Tokens and dollars are reserved by an estimate when a request arrives, and counted when its
//! answer has ended, so the answer that reaches the limit is still given. Budgets reset at midnight
//! or at the begin of the month, in UTC.

mod quota;
mod rules;
mod valves;

pub use valves::RateLimitValves;

use pipe_sdk::{
    AdmissionRequest, Booking, CallContext, Charge, Demand, DemandKind, Exceeded, FilterBody,
    FilterCall, Host, Pipe, PipeError, Result, Serves, UsageReport, Window,
};
use quota::{Quota, Unit};
use rules::{Caller, CountingScope, Rule, Rules};
use std::time::{Duration, SystemTime};

/// The filter.
pub struct RateLimit {
    valves: RateLimitValves,
    rules: Rules,
}

impl Pipe for RateLimit {
    const ID: &'static str = "rate_limit";
    const NAME: &'static str = "Rate limit";
    type Valves = RateLimitValves;

    async fn on_startup(valves: RateLimitValves) -> Result<Self> {
        let rules = valves.rules().map_err(PipeError::BadValves)?;
        Ok(Self { valves, rules })
    }

    fn serves(&self) -> Serves {
        let RateLimitValves { pipelines, priority, .. } = &self.valves;
        Serves::Filter { pipelines: pipelines.clone(), priority: *priority }
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { body, host, .. } = call;
        if let Some(model) = body.model()
            && !host.lists_model(body.base_model().unwrap_or(model))
        {
            // Another server answers, so tokens and cost are unknown here.
            let (kind, nothing) = (DemandKind::Chat, 0);
            let (prompt_tokens, completion_tokens) = (nothing, nothing);
            let demand = Demand { kind, amount: 1, prompt_tokens, completion_tokens };
            self.check(model, &demand, None, &host, true).await?;
        }
        Ok(body)
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<()> {
        let is_first = request.context.via.is_none();
        self.check(&request.model, &request.demand, request.cost, &request.host, is_first).await
    }

    async fn record_usage(&self, report: UsageReport) {
        let UsageReport { model, usage, cost, context, host, .. } = &report;
        let now = SystemTime::now();
        let is_counted = |rule: &Rule| {
            // Background work of the host belongs to no user, but it costs money.
            !context.admission.is_exempt() || rule.scope == CountingScope::Everyone
        };
        let rules = self.rules.find_matching(&Caller::new(context), &models(model, context));
        let bookings: Vec<_> = rules
            .into_iter()
            .filter(is_counted)
            .filter_map(|rule| match rule.quota.unit {
                Unit::Tokens => {
                    let amount = usage.total_tokens();
                    Some(Booking { key: rule.key, amount, is_spending: false })
                }
                Unit::Dollars => {
                    let key = spending_key(&rule, now);
                    Some(Booking { key, amount: cost.unwrap_or_default(), is_spending: true })
                }
                Unit::Requests | Unit::Only(_) => None,
            })
            .filter(|booking| booking.amount > 0)
            .collect();
        if !bookings.is_empty()
            && let Err(error) = host.ledger().book(bookings).await
        {
            tracing::warn!(%error, "The tokens of an answer were not counted.");
        }
    }
}

/// Returns the models that limits by model match: the called one, and the requested one.
fn models<'a>(model: &'a str, context: &'a CallContext) -> Vec<&'a str> {
    [Some(model), context.via.as_deref()].into_iter().flatten().collect()
}

/// The number of background tasks per allowed request, where tasks do not count as requests.
const TASKS_PER_REQUEST: u64 = 10;

/// A quota that all users share is reserved by at least this many concurrent requests, so that a
/// single one cannot reserve all of it.
const MIN_SHARES: u64 = 10;

/// A request to be counted.
struct Request<'a> {
    caller: &'a Caller<'a>,
    demand: &'a Demand,
    cost: Option<u64>,
    /// True if a client sent it, false if a pipe calls a model for another request.
    is_first: bool,
    now: SystemTime,
}

impl RateLimit {
    /// Counts a request, or returns an error that names the exceeded limit.
    async fn check(
        &self,
        model: &str,
        demand: &Demand,
        cost: Option<u64>,
        host: &Host,
        is_first: bool,
    ) -> Result<()> {
        let (context, now) = (host.context(), SystemTime::now());
        let caller = Caller::new(context);
        let rules = self.rules.find_matching(&caller, &models(model, context));
        let request = Request { caller: &caller, demand, cost, is_first, now };
        let is_task = context.task.is_some() && !self.valves.count_tasks;
        let charges = rules.into_iter().filter_map(|rule| {
            let mut charge = self.build_charge(&rule, &request, is_task)?;
            if rule.scope == CountingScope::Everyone {
                charge.reserved = charge.reserved.min(charge.max.div_ceil(MIN_SHARES));
            }
            Some((charge, rule.quota))
        });
        let (charges, quotas): (Vec<_>, Vec<_>) = charges.unzip();
        if charges.is_empty() {
            return Ok(());
        }
        match context.admission.take(host.ledger(), charges).await? {
            None => Ok(()),
            Some(exceeded) => Err(throttled_error(&exceeded, &quotas[exceeded.index], now)),
        }
    }

    /// Returns the charge of a request against this rule; `None` if the rule does not apply to it.
    fn build_charge(&self, rule: &Rule, request: &Request<'_>, is_task: bool) -> Option<Charge> {
        let Rule { key, quota, scope } = rule;
        let Request { caller, demand, cost, is_first, now } = *request;
        // The call of a pipe belongs to a request that was counted before. But limits by model
        // apply to each call, and if only some models are limited, the request may not have been
        // counted.
        let is_counted = !is_first
            && !matches!(scope, CountingScope::UserAndModel(_))
            && self.valves.pipelines == ["*"];
        let window = Window::Sliding(quota.period.duration());
        let max = quota.amount as u64;
        let charge = Charge { key: key.clone(), window, max, amount: 0, reserved: 0 };
        match quota.unit {
            Unit::Requests if is_counted => None,
            Unit::Requests if is_task => {
                let key = format!("{key} tasks");
                Some(Charge {
                    key,
                    max: max.saturating_mul(TASKS_PER_REQUEST),
                    amount: 1,
                    ..charge
                })
            }
            Unit::Requests => Some(Charge { amount: 1, ..charge }),
            Unit::Only(kind) if kind != demand.kind => None,
            // A search of the web costs by itself, and no request was counted for it.
            Unit::Only(kind) if is_counted && kind != DemandKind::Search => None,
            Unit::Only(_) => Some(Charge { amount: demand.amount, ..charge }),
            Unit::Tokens => {
                let reserved = demand.prompt_tokens.saturating_add(demand.completion_tokens);
                Some(Charge { reserved, ..charge })
            }
            Unit::Dollars => {
                let (since, until) = quota.period.calendar_bounds(now);
                let (user, models) = match scope {
                    CountingScope::Everyone => (None, None),
                    CountingScope::User => (Some(caller.id()), None),
                    CountingScope::UserAndModel(pattern) => {
                        (Some(caller.id()), Some(pattern.clone()))
                    }
                };
                Some(Charge {
                    key: spending_key(rule, now),
                    window: Window::Spending { since, until, user, models },
                    max: (quota.amount * 1e6).ceil() as u64,
                    reserved: cost.unwrap_or_default(),
                    ..charge
                })
            }
        }
    }
}

/// Returns the key of a calendar period.
fn spending_key(rule: &Rule, now: SystemTime) -> String {
    let (since, _) = rule.quota.period.calendar_bounds(now);
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{} {since}", rule.key)
}

/// Returns the error for an exceeded limit.
fn throttled_error(exceeded: &Exceeded, quota: &Quota, now: SystemTime) -> PipeError {
    let is_spending = quota.unit == Unit::Dollars;
    let max = if is_spending { (quota.amount * 1e6).ceil() as u64 } else { quota.amount as u64 };
    let wait = exceeded.retry_after.map(|wait| Duration::from_secs(whole_seconds(wait)));
    let retry =
        wait.map_or_else(String::new, |wait| format!(": try again in {}", format_wait(wait)));
    if exceeded.held > 0 && exceeded.used < max {
        let what = if is_spending { "budget" } else { "limit" };
        let message = format!("the {what} of {quota} is reserved by requests in flight{retry}");
        return PipeError::Throttled { message, retry_after: wait };
    }
    if !is_spending {
        let message = format!("the limit of {quota} is reached{retry}");
        return PipeError::Throttled { message, retry_after: wait };
    }
    let (_, until) = quota.period.calendar_bounds(now);
    let wait = Duration::from_secs(whole_seconds(until.duration_since(now).unwrap_or_default()));
    let message = format!(
        "the budget of {quota} is used up: {} were spent, it is reset in {}",
        format_dollars(exceeded.used),
        format_wait(wait)
    );
    PipeError::Throttled { message, retry_after: Some(wait) }
}

/// Formats millionths of a dollar: to the cent, or exactly if it is less than a cent.
fn format_dollars(millionths: u64) -> String {
    let dollars = millionths as f64 / 1e6;
    if millionths < 10_000 { format!("${dollars}") } else { format!("${dollars:.2}") }
}

/// Rounds up to whole seconds.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil() as u64
}

/// Formats a wait with its unit, as in `40 s` or `24 h`.
fn format_wait(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests;
