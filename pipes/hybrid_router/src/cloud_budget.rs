//! The budget that each user has for the cloud, a day of UTC.

use pipe_sdk::{Call, Charge, Demand, PipeError, Result, Usage, Window};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The budget of one user for one day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CloudBudget {
    dollars: f64,
    user: String,
    /// The midnight at which the day began.
    since: SystemTime,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl CloudBudget {
    /// Returns the budget of the user who chats; `None` if there is no limit, or no known user.
    pub fn new(dollars: Option<f64>, call: &Call, now: SystemTime) -> Option<Self> {
        let dollars = dollars.filter(|dollars| *dollars > 0.0)?;
        let user = call.user.as_ref().filter(|user| !user.id.is_empty())?;
        Some(Self { dollars, user: user.id.clone(), since: midnight(now) })
    }

    /// Checks that the budget is not used up.
    ///
    /// # Errors
    /// The error of a chat that only the cloud could answer.
    pub async fn check(&self, call: &Call) -> Result<()> {
        self.take(call, 0).await
    }

    /// Reserves what a chat may cost until its cost is known, so that concurrent chats do not all
    /// pass before the first one is counted.
    ///
    /// # Errors
    /// Returns an error if the budget is used up or reserved.
    pub async fn reserve(&self, call: &Call, model: &str, demand: &Demand) -> Result<()> {
        let usage = Usage {
            prompt_tokens: demand.prompt_tokens,
            completion_tokens: demand.completion_tokens,
            ..Usage::default()
        };
        self.take(call, call.host.cost(model, &usage).unwrap_or_default()).await
    }

    /// Reserves tokens of the user's budget of today.
    async fn take(&self, call: &Call, reserved: u64) -> Result<()> {
        let until = self.since + DAY;
        let day = self.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (since, user) = (self.since, Some(self.user.clone()));
        let charge = Charge {
            key: format!("hybrid_router user:{} {day}", self.user),
            window: Window::Spending { since, until, user, models: None },
            max: (self.dollars * 1e6).ceil() as u64,
            amount: 0,
            reserved,
        };
        let max = charge.max;
        let taken = call.host.context().admission.take(call.host.ledger(), vec![charge]).await;
        match taken {
            Ok(None) => Ok(()),
            Ok(Some(exceeded)) => Err(self.error(exceeded.used < max, exceeded.retry_after)),
            Err(error) => {
                tracing::warn!(%error, "The budget for the cloud is not enforced: the ledger fails.");
                Ok(())
            }
        }
    }

    fn error(&self, is_reserved: bool, retry_after: Option<Duration>) -> PipeError {
        let dollars = self.dollars;
        let message = if is_reserved {
            format!(
                "your budget of ${dollars} a day for the cloud is reserved by requests in flight: try again in a moment"
            )
        } else {
            format!(
                "your budget of ${dollars} a day for the cloud is used up: it is reset at midnight UTC"
            )
        };
        PipeError::Throttled { message, retry_after }
    }
}

/// Returns the start of this day in UTC.
fn midnight(now: SystemTime) -> SystemTime {
    let days = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY.as_secs();
    UNIX_EPOCH + Duration::from_secs(days * DAY.as_secs())
}
