//! The limit of requests a minute that each user has at an upstream.

use crate::{pipe_id::PIPE_ID, valves::UpstreamConfig};
use pipe_sdk::{Call, Charge, PipeError, Result, User, Window};
use std::time::Duration;

/// The period in which requests are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts a chat against the limit of its user at this upstream, or refuses it.
///
/// Background tasks of Open WebUI do not count. The counts are those of the host's ledger, which
/// all replicas on one database share.
pub(crate) async fn check_rate_limit(config: &UpstreamConfig, call: &Call) -> Result<()> {
    if config.rate_limit == 0 || call.chat.task.is_some() {
        return Ok(());
    }
    let charge = Charge {
        key: ledger_key(config, call.user.as_deref()),
        window: Window::Sliding(WINDOW),
        max: u64::from(config.rate_limit),
        amount: 1,
        reserved: 0,
    };
    let admission = &call.host.context().admission;
    let Some(exceeded) = admission.take(call.host.ledger(), vec![charge]).await? else {
        return Ok(());
    };
    let wait = exceeded.retry_after.unwrap_or(WINDOW);
    Err(PipeError::Throttled {
        message: format!(
            "only {} questions a minute may be asked: try again in {} s, or have an admin raise {} of `{PIPE_ID}` (0: no limit)",
            config.rate_limit,
            wait.as_secs_f64().ceil(),
            setting_name(config)
        ),
        retry_after: Some(wait),
    })
}

/// Returns where the limit of this upstream is set.
fn setting_name(config: &UpstreamConfig) -> String {
    match &config.prefix {
        None => "the valve `rate_limit`".into(),
        Some(name) => {
            format!("`rate_limit` of the upstream `{name}` in the valve `more_upstreams`")
        }
    }
}

/// Returns the key of the window; all users of whom nothing is known share one.
fn ledger_key(config: &UpstreamConfig, user: Option<&User>) -> String {
    let upstream = config.prefix.as_deref().unwrap_or_default();
    match user.map(|user| user.id.as_str()).filter(|id| !id.is_empty()) {
        Some(user) => format!("{PIPE_ID} {upstream} user:{user}"),
        None => format!("{PIPE_ID} {upstream} nobody"),
    }
}
