//! A filter that says who may ask how often, and for how much.
//!
//! Whatever is asked of this host's own models is counted when it comes in, whichever client asks, and again by the models that pipes ask
//! on its way; chats with models of other connections are counted in the inlet, where Open WebUI asks about them. Windows slide: a request
//! counts from when it came until a minute, an hour or a day later. Tokens and dollars are reserved by an estimate when a request comes, and
//! counted when its answer has ended, so the answer that crosses the line is still given. Budgets begin anew at midnight or with the month,
//! both of UTC.

mod allowance;
mod rules;
mod valves;

pub use valves::RateLimitValves;

use allowance::{Allowance, Unit};
use pipe_sdk::{
    AdmissionRequest, Booking, CallContext, Charge, Demand, DemandKind, Exceeded, FilterBody,
    FilterCall, Host, Pipe, PipeError, Result, Serves, UsageReport, Window,
};
use rules::{Caller, Counted, Rule, Rules};
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
            && !serves(&host, body.base_model().unwrap_or(model))
        {
            // What another server answers costs nothing here, and is not booked.
            let (kind, nothing) = (DemandKind::Chat, 0);
            let (prompt_tokens, completion_tokens) = (nothing, nothing);
            let demand = Demand { kind, amount: 1, prompt_tokens, completion_tokens };
            self.check(model, &demand, None, &host, true).await?;
        }
        Ok(body)
    }

    async fn admit(&self, asked: AdmissionRequest) -> Result<()> {
        let is_first = asked.context.via.is_none();
        self.check(&asked.model, &asked.demand, asked.cost, &asked.host, is_first).await
    }

    async fn record_usage(&self, spent: UsageReport) {
        let UsageReport { model, usage, cost, context, host, .. } = &spent;
        let now = SystemTime::now();
        let is_counted = |rule: &Rule| {
            // What the host does of its own accord is nobody's, but it is paid for.
            !context.admission.is_exempt() || rule.counted == Counted::Everybody
        };
        let rules = self.rules.of(&Caller::new(context), &models(model, context));
        let bookings: Vec<_> = rules
            .into_iter()
            .filter(is_counted)
            .filter_map(|rule| match rule.allowance.unit {
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

/// The models that a request goes through, as far as limits by model look at them: this one, and the one that was asked for.
fn models<'a>(model: &'a str, context: &'a CallContext) -> Vec<&'a str> {
    [Some(model), context.via.as_deref()].into_iter().flatten().collect()
}

/// Whether the host's own door will see this chat.
fn serves(host: &Host, model: &str) -> bool {
    let is = |id: &str| {
        model.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    host.models().iter().any(|card| is(&card.id))
}

/// So many times as many background tasks as requests may be sent, where tasks do not count as requests.
const TASKS: u64 = 10;

/// So many requests at least may be under way before what everybody shares is reserved.
const SHARES: u64 = 10;

/// What is asked, by whom and when.
struct Request<'a> {
    caller: &'a Caller<'a>,
    demand: &'a Demand,
    cost: Option<u64>,
    /// Whether a client asks it, and not a pipe on the way of another request.
    is_first: bool,
    now: SystemTime,
}

impl RateLimit {
    /// Counts one request, or says which limit stands in its way.
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
        let rules = self.rules.of(&caller, &models(model, context));
        let request = Request { caller: &caller, demand, cost, is_first, now };
        let is_task = context.task.is_some() && !self.valves.count_tasks;
        let taken = rules.into_iter().filter_map(|rule| {
            let mut take = self.take(&rule, &request, is_task)?;
            if rule.counted == Counted::Everybody {
                // Nobody keeps all of it from all others while one answer is under way.
                take.reserved = take.reserved.min(take.max.div_ceil(SHARES));
            }
            Some((take, rule.allowance))
        });
        let (charges, allowances): (Vec<_>, Vec<_>) = taken.unzip();
        if charges.is_empty() {
            return Ok(());
        }
        match context.admission.take(host.ledger(), charges).await? {
            None => Ok(()),
            Some(full) => Err(refusal(&full, &allowances[full.index], now)),
        }
    }

    /// What a request takes of what this rule allows; nothing if the rule is not about it.
    fn take(&self, rule: &Rule, request: &Request<'_>, is_task: bool) -> Option<Charge> {
        let Rule { key, allowance, counted } = rule;
        let Request { caller, demand, cost, is_first, now } = *request;
        // What a pipe asks of another model is part of a request that was counted when it came in; but models have limits of their own, and
        // where only some models are limited, the request was not counted for its first one.
        let is_counted =
            !is_first && !matches!(counted, Counted::Model(_)) && self.valves.pipelines == ["*"];
        let window = Window::Sliding(allowance.period.window());
        let max = allowance.most as u64;
        let take = Charge { key: key.clone(), window, max, amount: 0, reserved: 0 };
        match allowance.unit {
            Unit::Requests if is_counted => None,
            Unit::Requests if is_task => {
                let key = format!("{key} tasks");
                Some(Charge { key, max: max.saturating_mul(TASKS), amount: 1, ..take })
            }
            Unit::Requests => Some(Charge { amount: 1, ..take }),
            Unit::Only(kind) if is_counted || kind != demand.kind => None,
            Unit::Only(_) => Some(Charge { amount: demand.amount, ..take }),
            Unit::Tokens => {
                let reserved = demand.prompt_tokens.saturating_add(demand.completion_tokens);
                Some(Charge { reserved, ..take })
            }
            Unit::Dollars => {
                let (since, until) = allowance.period.around(now);
                let (user, models) = match counted {
                    Counted::Everybody => (None, None),
                    Counted::Person => (Some(caller.id()), None),
                    Counted::Model(pattern) => (Some(caller.id()), Some(pattern.clone())),
                };
                Some(Charge {
                    key: spending_key(rule, now),
                    window: Window::Spending { since, until, user, models },
                    max: (allowance.most * 1e6).ceil() as u64,
                    reserved: cost.unwrap_or_default(),
                    ..take
                })
            }
        }
    }
}

/// Each period in which money is spent has a key of its own.
fn spending_key(rule: &Rule, now: SystemTime) -> String {
    let (since, _) = rule.allowance.period.around(now);
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{} {since}", rule.key)
}

/// What is said to whom a limit stands in the way of.
fn refusal(full: &Exceeded, allowance: &Allowance, now: SystemTime) -> PipeError {
    let is_spending = allowance.unit == Unit::Dollars;
    let max =
        if is_spending { (allowance.most * 1e6).ceil() as u64 } else { allowance.most as u64 };
    let wait = full.retry_after.map(|wait| Duration::from_secs(seconds(wait)));
    let again = wait.map_or_else(String::new, |wait| format!(": try again in {}", words(wait)));
    if full.held > 0 && full.used < max {
        let what = if is_spending { "budget" } else { "limit" };
        let message = format!("the {what} of {allowance} is reserved by requests under way{again}");
        return PipeError::Throttled { message, retry_after: wait };
    }
    if !is_spending {
        let message = format!("the limit of {allowance} is reached{again}");
        return PipeError::Throttled { message, retry_after: wait };
    }
    let (_, until) = allowance.period.around(now);
    let wait = Duration::from_secs(seconds(until.duration_since(now).unwrap_or_default()));
    let message = format!(
        "the budget of {allowance} is used up: {} were spent, it begins anew in {}",
        dollars(full.used),
        words(wait)
    );
    PipeError::Throttled { message, retry_after: Some(wait) }
}

/// Millionths of a dollar as people say them: to the cent, and less than a cent exactly.
fn dollars(millionths: u64) -> String {
    let dollars = millionths as f64 / 1e6;
    if millionths < 10_000 { format!("${dollars}") } else { format!("${dollars:.2}") }
}

/// Whole seconds, never too few.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil() as u64
}

/// A wait as people say it.
fn words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests;
