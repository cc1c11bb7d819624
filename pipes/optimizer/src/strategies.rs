//! The strategies that `spl` has learnt for one user, by kind of question. They are in the host's
//! store of conversations, where requests of other users do not find them.

use pipe_sdk::{
    Conversation, ConversationKey, ConversationVersion, Conversations, Host, PipeError, Result,
    SaveOptions, Summary,
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The id of the entry in the user's conversations.
const ID: &str = "optimizer.spl";

/// The time after which strategies that are not used any more are forgotten.
const TIME_TO_LIVE: Duration = Duration::from_hours(90 * 24);

/// The maximum number of strategies of one user.
const MAX_STRATEGIES: usize = 60;

/// The maximum size of a strategy, in bytes.
const MAX_TEXT_BYTES: usize = 1500;

/// The number of strategies that a prompt gets.
const MAX_CHOSEN: usize = 3;

/// The number of uses before the share of successes counts.
const TRIAL_USES: u32 = 5;

/// The smallest share of successes with which a strategy is used, and with which it is kept.
const MIN_USED: f64 = 0.4;
/// The smallest share of successes with which a strategy is kept.
const MIN_KEPT: f64 = 0.3;

/// Advice for one kind of question, which earlier answers have used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Strategy {
    /// The kind of question, such as `arithmetic`.
    pub kind: String,
    /// The advice.
    pub text: String,
    #[serde(default)]
    uses: u32,
    #[serde(default)]
    successes: u32,
    /// The last use, in seconds since 1970.
    #[serde(default)]
    used: u64,
}

/// The strategies of one user.
pub(crate) struct StrategyStore {
    store: Arc<dyn Conversations>,
    key: ConversationKey,
    version: Option<ConversationVersion>,
    pub strategies: Vec<Strategy>,
}

impl StrategyStore {
    /// Loads the strategies of the user; `None` if the user is not known.
    pub async fn load(host: &Host) -> Result<Option<Self>> {
        let key = ConversationKey::new(host.context(), ID, "user")?;
        if key.owner.is_empty() {
            return Ok(None);
        }
        let store = host.conversations();
        let (strategies, version) = match store.load(key.clone()).await? {
            None => (Vec::new(), None),
            Some((conversation, version)) => {
                let text = conversation.summary.unwrap_or_default().text;
                // A client may have written something else there: it loses what was learnt.
                (serde_json::from_str(&text).unwrap_or_default(), Some(version))
            }
        };
        Ok(Some(Self { store, key, version, strategies }))
    }

    /// Returns the positions of the strategies for a kind of question, the best first.
    pub fn choose(&self, kind: &str) -> Vec<usize> {
        let fits = self.strategies.iter().enumerate().filter(|(_, one)| {
            one.kind == kind && (one.uses < TRIAL_USES || one.share() >= MIN_USED)
        });
        let mut fitting: Vec<_> = fits.collect();
        fitting.sort_by(|(_, one), (_, other)| {
            let by_share = other.share().partial_cmp(&one.share()).unwrap_or(Ordering::Equal);
            by_share.then(other.used.cmp(&one.used))
        });
        fitting.into_iter().take(MAX_CHOSEN).map(|(number, _)| number).collect()
    }

    /// Adds a strategy, and returns its position. The one that was not used for longest gives way.
    pub fn add(&mut self, kind: &str, text: &str) -> usize {
        if self.strategies.len() >= MAX_STRATEGIES {
            let oldest = self.strategies.iter().enumerate().min_by_key(|(_, one)| one.used);
            if let Some((number, _)) = oldest {
                self.strategies.remove(number);
            }
        }
        let text = text.get(..text.floor_char_boundary(MAX_TEXT_BYTES)).unwrap_or_default();
        self.strategies.push(Strategy {
            kind: kind.into(),
            text: text.trim().into(),
            uses: 0,
            successes: 0,
            used: now(),
        });
        self.strategies.len() - 1
    }

    /// Records which of the strategies that were used have helped, and forgets those that mostly do
    /// not.
    pub fn rate(&mut self, used: &[usize], helped: impl Fn(usize) -> bool) {
        for number in used {
            if let Some(strategy) = self.strategies.get_mut(*number) {
                strategy.uses += 1;
                strategy.successes += u32::from(helped(*number));
                strategy.used = now();
            }
        }
        self.strategies.retain(|one| one.uses < TRIAL_USES || one.share() >= MIN_KEPT);
    }

    /// Saves the strategies, unless another request has done so since they were loaded.
    pub async fn save(self) -> Result<()> {
        let text = serde_json::to_string(&self.strategies).map_err(PipeError::internal)?;
        let summary = Summary { text, ..Summary::default() };
        let conversation = Conversation { summary: Some(summary), ..Conversation::default() };
        let options = SaveOptions {
            expected: self.version,
            time_to_live: TIME_TO_LIVE,
            // No conversation of the user gives way to it.
            max_conversations: u32::MAX,
        };
        self.store.save(self.key, conversation, options).await.map(|_| ())
    }
}

impl Strategy {
    /// Returns the share of successes; a half before the first use.
    fn share(&self) -> f64 {
        f64::from(self.successes + 1) / f64::from(self.uses + 2)
    }
}

/// Returns the seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
