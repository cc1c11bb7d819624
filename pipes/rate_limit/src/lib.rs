//! A filter that says who may ask how often, and for how much.
//!
//! Whatever is asked of this host's own models is counted at its door, whichever client asks; chats with models of other connections are
//! counted in the inlet, where Open WebUI asks about them. Windows slide: a request counts from when it came until a minute, an hour or a
//! day later. Tokens are counted when an answer has ended, so the answer that crosses the line is still given. Budgets begin anew at
//! midnight or with the month, both of UTC.

mod allowance;
mod rules;
mod valves;

pub use valves::RateLimitValves;

use allowance::{Allowance, Unit};
use pipe_sdk::{
    AdmissionRequest, CallContext, FilterBody, FilterCall, Host, Pipe, PipeError, Result, Serves,
    Take, UsageReport,
};
use rules::{Caller, Rules};
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
            self.check(model, &host).await?;
        }
        Ok(body)
    }

    async fn admit(&self, asked: AdmissionRequest) -> Result<()> {
        self.check(&asked.model, &asked.host).await
    }

    async fn settle(&self, spent: UsageReport) {
        if !self.counts(&spent.trail) {
            return;
        }
        let asked = spent.trail.via.as_deref().unwrap_or(&spent.model);
        let tokens = spent.usage.total_tokens();
        for (key, allowance) in self.rules.of(&Caller::new(&spent.trail), asked) {
            if allowance.unit == Unit::Tokens
                && let Err(error) = spent.host.ledger().book(key, tokens).await
            {
                tracing::warn!(%error, "The tokens of an answer were not counted.");
            }
        }
    }
}

/// Whether the host's own door will see this chat.
fn serves(host: &Host, model: &str) -> bool {
    let is = |id: &str| {
        model.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    host.models().iter().any(|card| is(&card.id))
}

impl RateLimit {
    fn counts(&self, trail: &CallContext) -> bool {
        trail.task.is_none() || self.valves.count_tasks
    }

    /// Counts one request, or says which limit stands in its way.
    async fn check(&self, model: &str, host: &Host) -> Result<()> {
        let trail = host.trail();
        if !self.counts(trail) {
            return Ok(());
        }
        let asker = Caller::new(trail);
        let mut windows = Vec::new();
        for (key, allowance) in self.rules.of(&asker, model) {
            match allowance.unit {
                Unit::Dollars => is_within_budget(host, &asker, &allowance).await?,
                Unit::Requests => windows.push((key, allowance, 1)),
                Unit::Tokens => windows.push((key, allowance, 0)),
            }
        }
        let take = |(key, allowance, amount): &(String, Allowance, u64)| Take {
            key: key.clone(),
            window: allowance.period.window(),
            max: allowance.most as u64,
            amount: *amount,
        };
        let Some(full) = host.ledger().take(windows.iter().map(take).collect()).await? else {
            return Ok(());
        };
        let (_, allowance, _) = &windows[full.index];
        let wait = full.retry_after.map(|wait| Duration::from_secs(seconds(wait)));
        let again = wait.map_or_else(String::new, |wait| format!(": try again in {}", words(wait)));
        let message = format!("the limit of {allowance} is reached{again}");
        Err(PipeError::Throttled { message, retry_after: wait })
    }
}

/// Budgets are what people have spent since the period began, whatever models they asked.
async fn is_within_budget(host: &Host, asker: &Caller<'_>, budget: &Allowance) -> Result<()> {
    let Some(user) = asker.user else { return Ok(()) };
    let now = SystemTime::now();
    let (since, until) = budget.period.around(now);
    let spent = host.ledger().spent(user.to_owned(), since).await?;
    if (spent as f64) < budget.most * 1e6 {
        return Ok(());
    }
    let wait = Duration::from_secs(seconds(until.duration_since(now).unwrap_or_default()));
    let message = format!(
        "the budget of {budget} is used up: {} were spent, it begins anew in {}",
        dollars(spent),
        words(wait)
    );
    Err(PipeError::Throttled { message, retry_after: Some(wait) })
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
