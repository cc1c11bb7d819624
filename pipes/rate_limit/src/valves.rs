//! The valves of the filter.

use crate::{
    quota::{Period, Quota, Unit},
    rules::Rules,
};
use pipe_sdk::{ValveError, Valves};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits and budgets. What is not set, or 0, is not limited.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RateLimitValves {
    /// The models that are limited, by their ids as Open WebUI shows them; `*` alone for all.
    #[schemars(title = "Filter · Models")]
    pub pipelines: Vec<String>,

    /// Filters run in ascending order.
    #[schemars(title = "Filter · Priority")]
    pub priority: i64,

    /// The requests that each person may send in a minute. None or 0: no limit.
    #[schemars(title = "Requests · In a minute")]
    pub requests_per_minute: Option<u32>,

    /// The requests that each person may send in an hour. None or 0: no limit.
    #[schemars(title = "Requests · In an hour")]
    pub requests_per_hour: Option<u32>,

    /// The requests that each person may send in 24 hours. None or 0: no limit.
    #[schemars(title = "Requests · In a day")]
    pub requests_per_day: Option<u32>,

    /// The tokens that each person may use in a minute, prompts and answers together. None or 0: no
    /// limit.
    #[schemars(title = "Tokens · In a minute")]
    pub tokens_per_minute: Option<u64>,

    /// The tokens that each person may use in 24 hours, prompts and answers together. None or 0: no
    /// limit.
    #[schemars(title = "Tokens · In a day")]
    pub tokens_per_day: Option<u64>,

    /// The amount in US dollars that each person may spend in a day (UTC), by the host's table of
    /// prices. None or 0: no limit.
    #[schemars(title = "Budget · A day ($)", range(min = 0.0))]
    pub budget_per_day: Option<f64>,

    /// The amount in US dollars that each person may spend in a calendar month (UTC), by the host's
    /// table of prices. None or 0: no limit.
    #[schemars(title = "Budget · A month ($)", range(min = 0.0))]
    pub budget_per_month: Option<f64>,

    /// Limits for a role, a user or a key in place of the above, separated by semicolons, as in
    /// `role admin: none; user ann@example.com: 100 requests/hour, $5/day; key ci: 1000000
    /// tokens/day`. `none` means no limit, as 0 does; `nobody` means that they may send nothing, as
    /// in `role guest: nobody`. Limits of each person for some models, beside the above: `model
    /// *opus*: 5 requests/hour, $2/day`. Limits of all people together: `everybody: 1000
    /// requests/minute, $50/day`. Units are `requests` (of every kind), `chats`, `embeddings`
    /// (texts), `images`, `reranks`, `searches`, `counts` (of tokens), `tokens` and `$`; periods
    /// `minute`, `hour`, `day` and `month`.
    #[schemars(title = "Rules · Exceptions")]
    pub exceptions: Option<String>,

    /// Counts Open WebUI's background tasks (titles, tags, follow-up questions) as requests. Off:
    /// each person may send ten times as many of them as requests. Their tokens and dollars always
    /// count.
    #[schemars(title = "Rules · Count background tasks")]
    pub count_tasks: bool,
}

impl Default for RateLimitValves {
    fn default() -> Self {
        Self {
            // Open WebUI's form cannot save an empty list.
            pipelines: vec!["*".into()],
            priority: 0,
            requests_per_minute: None,
            requests_per_hour: None,
            requests_per_day: None,
            tokens_per_minute: None,
            tokens_per_day: None,
            budget_per_day: None,
            budget_per_month: None,
            exceptions: None,
            count_tasks: false,
        }
    }
}

impl RateLimitValves {
    /// Returns the rules of these valves.
    pub fn rules(&self) -> Result<Rules, Vec<ValveError>> {
        let per = |amount: Option<f64>, unit, period| {
            let amount = amount.filter(|amount| *amount > 0.0)?;
            Some(Quota { amount, unit, period })
        };
        let quotas = [
            per(self.requests_per_minute.map(f64::from), Unit::Requests, Period::Minute),
            per(self.requests_per_hour.map(f64::from), Unit::Requests, Period::Hour),
            per(self.requests_per_day.map(f64::from), Unit::Requests, Period::Day),
            per(self.tokens_per_minute.map(|amount| amount as f64), Unit::Tokens, Period::Minute),
            per(self.tokens_per_day.map(|amount| amount as f64), Unit::Tokens, Period::Day),
            per(self.budget_per_day, Unit::Dollars, Period::Day),
            per(self.budget_per_month, Unit::Dollars, Period::Month),
        ];
        let exceptions = Rules::parse_exceptions(self.exceptions.as_deref().unwrap_or_default());
        let exceptions = exceptions.map_err(|rule| vec![ValveError::new("exceptions", rule)])?;
        Ok(Rules { default_quotas: quotas.into_iter().flatten().collect(), exceptions })
    }
}

impl Valves for RateLimitValves {
    fn validate(&self) -> Vec<ValveError> {
        self.rules().err().unwrap_or_default()
    }
}
