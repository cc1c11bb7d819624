//! How much the model is to think, each family in its own way (`docs/reference/bedrock.md`, "Model families").

use super::extras::Extras;
use crate::family::{Family, Thinking};
use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value, json};

/// What thinking asks of the rest of the request.
#[derive(Debug, Default)]
pub struct Mind {
    /// The model's own fields.
    pub fields: Map<String, Value>,
    /// Whether Claude or Nova thinks. Then no answer may be begun for it; Claude takes no samplers and no demand for a tool either.
    pub on: bool,
    /// Whether the model thinks in a way that leaves no room for samplers.
    pub unsampled: bool,
    /// Whether neither samplers nor a limit of tokens may be named: Nova at its highest effort.
    pub free: bool,
    /// The tokens that thinking takes away from the answer.
    pub budget: Option<u64>,
}

/// How much, in the words of OpenAI and of Claude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// What the client wants.
#[derive(Clone, Copy)]
enum Wish {
    /// As much as this word says.
    Effort(Effort),
    /// So many tokens.
    Budget(u64),
    /// As the model sees fit.
    Freely,
}

/// The fewest tokens that Claude thinks with.
const LEAST_BUDGET: u64 = 1024;

/// What a budget leaves to the answer if the client does not limit it.
const ROOM: u64 = 4096;

impl Mind {
    /// How this chat is thought about by a model of this family. `mid_loop` says that it ends amid calls of tools whose beginning has
    /// lost its reasoning.
    pub fn of(body: &Body, family: &Family, mid_loop: bool) -> Result<Self> {
        let extras = Extras::of(body);
        let Some(wish) = wish(extras)? else { return Ok(Self::default()) };
        let mut mind = Self::default();
        match family.thinking {
            Thinking::No => {}
            // Claude refuses to think on in a loop of tools whose beginning it cannot see.
            Thinking::Budget if mid_loop => {}
            Thinking::Budget => mind.within_budget(wish, body, u64::from(family.most_tokens))?,
            Thinking::Adaptive { always, xhigh } => mind.freely(wish, always, xhigh, extras),
            Thinking::Nova => mind.as_nova(wish),
            Thinking::Word(field) => {
                if let Some(word) = wish.word() {
                    mind.fields.insert(field.into(), word.into());
                }
            }
            Thinking::Object(field) => {
                if let Some(word) = wish.word() {
                    mind.fields.insert(field.into(), json!({"effort": word}));
                    mind.unsampled = true;
                }
            }
        }
        Ok(mind)
    }

    fn within_budget(&mut self, wish: Wish, body: &Body, writes: u64) -> Result<()> {
        let explicit = matches!(wish, Wish::Budget(_));
        let budget = match wish {
            Wish::Effort(Effort::None) => return Ok(()),
            Wish::Effort(effort) => effort.budget(),
            Wish::Freely => Effort::Medium.budget(),
            Wish::Budget(tokens) => tokens.max(LEAST_BUDGET),
        };
        let budget = match body.max_answer_tokens().map(|most| most.min(writes)) {
            Some(most) if most <= LEAST_BUDGET && explicit => {
                return Err(PipeError::bad_field(
                    "max_tokens",
                    format!("max_tokens must be more than {LEAST_BUDGET} for this model to think"),
                ));
            }
            Some(most) if most <= LEAST_BUDGET => return Ok(()),
            Some(most) => budget.min(most - 1),
            // What the model writes is to hold the answer too.
            None => budget.min(writes.saturating_sub(ROOM).max(LEAST_BUDGET)),
        };
        self.on = true;
        self.budget = Some(budget);
        self.fields.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
        Ok(())
    }

    fn freely(&mut self, wish: Wish, always: bool, xhigh: bool, extras: Extras<'_>) {
        let effort = match wish {
            Wish::Effort(Effort::None) if always => return,
            Wish::Effort(Effort::None) => {
                self.fields.insert("thinking".into(), json!({"type": "disabled"}));
                return;
            }
            Wish::Effort(effort) => Some(effort.within(xhigh)),
            // Older clients count tokens where the model no longer does.
            Wish::Budget(tokens) => Some(Effort::of_budget(tokens).within(xhigh)),
            Wish::Freely => None,
        };
        let display = extras.get("thinking").and_then(|thinking| thinking["display"].as_str());
        self.on = true;
        self.fields.insert(
            "thinking".into(),
            json!({"type": "adaptive", "display": display.unwrap_or("summarized")}),
        );
        if let Some(effort) = effort {
            self.fields.insert("output_config".into(), json!({"effort": effort}));
        }
    }

    fn as_nova(&mut self, wish: Wish) {
        let Some(word) = wish.word() else { return };
        self.free = word == "high";
        self.on = true;
        self.fields.insert(
            "reasoningConfig".into(),
            json!({"type": "enabled", "maxReasoningEffort": word}),
        );
    }

    /// The most tokens of an answer that is thought about.
    pub fn max_answer_tokens(&self, asked: Option<u64>) -> Option<u64> {
        asked.or(self.budget.map(|budget| budget + ROOM))
    }
}

impl Wish {
    /// One of the three words that all families know; `None` for no thinking.
    fn word(self) -> Option<&'static str> {
        let effort = match self {
            Self::Effort(effort) => effort,
            Self::Budget(tokens) => Effort::of_budget(tokens),
            Self::Freely => Effort::Medium,
        };
        match effort {
            Effort::None => None,
            Effort::Minimal | Effort::Low => Some("low"),
            Effort::Medium => Some("medium"),
            Effort::High | Effort::Xhigh | Effort::Max => Some("high"),
        }
    }
}

impl Effort {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "none" | "off" | "disabled" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" | "default" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Xhigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// In tokens, for a Claude that counts them (`docs/reference/bedrock.md`, "Model families").
    fn budget(self) -> u64 {
        match self {
            Self::None | Self::Minimal | Self::Low => LEAST_BUDGET,
            Self::Medium => 2048,
            Self::High => 4096,
            Self::Xhigh => 8192,
            Self::Max => 16384,
        }
    }

    fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..2048 => Self::Low,
            2048..4096 => Self::Medium,
            _ => Self::High,
        }
    }

    /// The word for a Claude that thinks as it sees fit.
    fn within(self, xhigh: bool) -> &'static str {
        match self {
            Self::None | Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::Xhigh if xhigh => "xhigh",
            Self::High | Self::Xhigh => "high",
            Self::Max => "max",
        }
    }
}

/// What the client wants, in whichever of the fields it says so.
fn wish(extras: Extras<'_>) -> Result<Option<Wish>> {
    if let Some(thinking) = extras.first(&["thinking", "reasoning_config"]) {
        return explicit(thinking, extras);
    }
    let effort = extras.get("reasoning_effort");
    let reasoning = extras.get("reasoning").filter(|reasoning| reasoning.is_object());
    let within = |name: &str| reasoning.and_then(|r| r.get(name)).filter(|value| !value.is_null());
    if let Some(tokens) = within("max_tokens").and_then(Value::as_u64) {
        return Ok(Some(Wish::Budget(tokens)));
    }
    let in_config = || extras.get("output_config")?.get("effort");
    match effort.or_else(|| within("effort")).or_else(in_config) {
        Some(effort) => named(effort),
        None => match within("enabled").and_then(Value::as_bool) {
            Some(true) => Ok(Some(Wish::Effort(Effort::Medium))),
            Some(false) => Ok(Some(Wish::Effort(Effort::None))),
            None => Ok(None),
        },
    }
}

fn named(effort: &Value) -> Result<Option<Wish>> {
    let word = effort.as_str().map(|word| word.trim().to_ascii_lowercase());
    let tokens = || effort.as_u64().or_else(|| word.as_deref()?.parse().ok());
    if word.as_deref() == Some("") {
        return Ok(None);
    }
    if let Some(effort) = word.as_deref().and_then(Effort::named) {
        return Ok(Some(Wish::Effort(effort)));
    }
    tokens().map(|tokens| Some(Wish::Budget(tokens))).ok_or_else(|| {
        PipeError::bad_field(
            "reasoning_effort",
            "reasoning_effort must be none, minimal, low, medium, high, xhigh or max",
        )
    })
}

/// Claude's own field.
fn explicit(thinking: &Value, extras: Extras<'_>) -> Result<Option<Wish>> {
    let effort =
        || extras.get("reasoning_effort").or_else(|| extras.get("output_config")?.get("effort"));
    match thinking["type"].as_str() {
        Some("disabled") => Ok(Some(Wish::Effort(Effort::None))),
        Some("adaptive") => Ok(effort().map(named).transpose()?.flatten().or(Some(Wish::Freely))),
        Some("enabled") => match &thinking["budget_tokens"] {
            Value::Null => Ok(Some(Wish::Freely)),
            tokens => tokens
                .as_u64()
                .or_else(|| tokens.as_str()?.trim().parse().ok())
                .map(|tokens| Some(Wish::Budget(tokens)))
                .ok_or_else(|| {
                    PipeError::bad_field(
                        "thinking.budget_tokens",
                        "thinking.budget_tokens must be a whole number",
                    )
                }),
        },
        _ if thinking.is_string() => named(thinking),
        _ => Err(PipeError::bad_field(
            "thinking.type",
            "thinking.type must be enabled, adaptive or disabled",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(model: &str, chat: &Value) -> Value {
        let body: Body = serde_json::from_value(chat.clone()).unwrap();
        Mind::of(&body, &Family::of(model), false).unwrap().fields.into()
    }

    #[test]
    fn each_family_is_asked_in_its_own_way() {
        let adaptive = |effort: &str| json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}});
        for (model, effort, sent) in [
            (
                "anthropic.claude-3-7-sonnet",
                "low",
                json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            ),
            (
                "anthropic.claude-haiku-4-5",
                "max",
                json!({"thinking": {"type": "enabled", "budget_tokens": 16384}}),
            ),
            ("anthropic.claude-haiku-4-5", "none", json!({})),
            ("anthropic.claude-opus-4-6", "xhigh", adaptive("high")),
            ("anthropic.claude-opus-4-6", "max", adaptive("max")),
            ("anthropic.claude-opus-4-7", "xhigh", adaptive("xhigh")),
            ("anthropic.claude-opus-5", "minimal", adaptive("low")),
            ("anthropic.claude-opus-5", "none", json!({"thinking": {"type": "disabled"}})),
            ("anthropic.claude-opus-5-5", "none", json!({})),
            (
                "amazon.nova-2-lite",
                "medium",
                json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
            ),
            ("amazon.nova-lite", "high", json!({})),
            ("deepseek.v3.2", "minimal", json!({"reasoning_effort": "low"})),
            ("openai.gpt-oss-20b-1:0", "max", json!({"reasoning_effort": "high"})),
            ("openai.gpt-6-sol", "low", json!({"reasoning": {"effort": "low"}})),
            ("xai.grok-4.7", "none", json!({})),
            ("deepseek.r1-v1:0", "high", json!({})),
        ] {
            assert_eq!(
                fields(model, &json!({"reasoning_effort": effort})),
                sent,
                "{model} {effort}"
            );
        }
    }

    #[test]
    fn a_budget_is_less_than_all_that_may_be_said() {
        let model = "anthropic.claude-3-7-sonnet";
        let budget = |chat: Value| fields(model, &chat)["thinking"]["budget_tokens"].clone();
        assert_eq!(budget(json!({"reasoning_effort": "high", "max_tokens": 2000})), 1999);
        assert_eq!(budget(json!({"reasoning_effort": "high", "max_tokens": 1024})), Value::Null);
        let own = json!({"thinking": {"type": "enabled", "budget_tokens": 10}});
        assert_eq!(budget(own), 1024);
        let body = Body { max_tokens: Some(500), ..Body::default() };
        let mut asked = body;
        asked.rest.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": 2000}));
        Mind::of(&asked, &Family::of(model), false).unwrap_err();
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for chat in [json!({"reasoning_effort": "hard"}), json!({"thinking": {"type": "maybe"}})] {
            let body: Body = serde_json::from_value(chat).unwrap();
            Mind::of(&body, &Family::of("anthropic.claude-opus-5"), false).unwrap_err();
        }
    }
}
