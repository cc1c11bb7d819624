//! Controls how much the model reasons, in each family's own way (`docs/reference/bedrock.md`,
//! "Model families").

use super::extra_fields::ExtraFields;
use crate::family::{Family, ReasoningControl};
use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value, json};

/// The effects of reasoning on the rest of the request.
#[derive(Debug, Default)]
pub struct Reasoning {
    /// The model's own fields.
    pub fields: Map<String, Value>,
    /// `true` if Claude or Nova reasons. Then the answer must not be prefilled; Claude takes no
    /// samplers and no required tool either.
    pub is_on: bool,
    /// `true` if the reasoning excludes samplers.
    pub excludes_sampling: bool,
    /// `true` if neither samplers nor a limit of tokens may be sent: Nova at its highest effort.
    pub is_unlimited: bool,
    /// The tokens that thinking takes away from the answer.
    pub budget: Option<u64>,
}

/// The effort, in the words of OpenAI and of Claude.
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

/// The client's request for reasoning.
#[derive(Clone, Copy)]
enum ReasoningRequest {
    /// An effort by its name.
    Effort(Effort),
    /// A budget of this number of tokens.
    Budget(u64),
    /// Adaptive reasoning: the model decides how much it reasons.
    Adaptive,
}

/// The smallest budget that Claude accepts, in tokens.
const MIN_BUDGET: u64 = 1024;

/// The tokens beyond the budget that are left to the answer if the client does not limit it.
const ANSWER_TOKENS: u64 = 4096;

impl Reasoning {
    /// Returns the reasoning settings of this chat for a model of this family.
    /// `is_unsigned_tool_loop` is `true` if the chat ends within a sequence of tool calls whose
    /// first call has lost its reasoning block.
    pub fn new(body: &Body, family: &Family, is_unsigned_tool_loop: bool) -> Result<Self> {
        let extras = ExtraFields::from_body(body);
        let Some(request) = parse(extras)? else { return Ok(Self::default()) };
        let mut reasoning = Self::default();
        match family.reasoning {
            ReasoningControl::Unsupported => {}
            // Claude refuses to reason within a sequence of tool calls whose first reasoning block
            // is missing.
            ReasoningControl::Budget if is_unsigned_tool_loop => {}
            ReasoningControl::Budget => {
                reasoning.apply_budget(request, body, u64::from(family.max_tokens_limit))?;
            }
            ReasoningControl::Adaptive { always, xhigh } => {
                reasoning.apply_adaptive(request, always, xhigh, extras);
            }
            ReasoningControl::Nova => reasoning.apply_nova(request),
            ReasoningControl::Word(field) => {
                if let Some(word) = request.word() {
                    reasoning.fields.insert(field.into(), word.into());
                }
            }
            ReasoningControl::Object(field) => {
                if let Some(word) = request.word() {
                    reasoning.fields.insert(field.into(), json!({"effort": word}));
                    reasoning.excludes_sampling = true;
                }
            }
        }
        Ok(reasoning)
    }

    fn apply_budget(
        &mut self,
        request: ReasoningRequest,
        body: &Body,
        max_output: u64,
    ) -> Result<()> {
        let explicit = matches!(request, ReasoningRequest::Budget(_));
        let budget = match request {
            ReasoningRequest::Effort(Effort::None) => return Ok(()),
            ReasoningRequest::Effort(effort) => effort.budget(),
            ReasoningRequest::Adaptive => Effort::Medium.budget(),
            ReasoningRequest::Budget(tokens) => tokens.max(MIN_BUDGET),
        };
        let budget = match body.max_answer_tokens().map(|most| most.min(max_output)) {
            Some(most) if most <= MIN_BUDGET && explicit => {
                return Err(PipeError::bad_field(
                    "max_tokens",
                    format!("max_tokens must be more than {MIN_BUDGET} for this model to think"),
                ));
            }
            Some(most) if most <= MIN_BUDGET => return Ok(()),
            Some(most) => budget.min(most - 1),
            // The limit of tokens has to hold the answer too.
            None => budget.min(max_output.saturating_sub(ANSWER_TOKENS).max(MIN_BUDGET)),
        };
        self.is_on = true;
        self.budget = Some(budget);
        self.fields.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": budget}));
        Ok(())
    }

    fn apply_adaptive(
        &mut self,
        request: ReasoningRequest,
        always: bool,
        xhigh: bool,
        extras: ExtraFields<'_>,
    ) {
        let effort = match request {
            ReasoningRequest::Effort(Effort::None) if always => return,
            ReasoningRequest::Effort(Effort::None) => {
                self.fields.insert("thinking".into(), json!({"type": "disabled"}));
                return;
            }
            ReasoningRequest::Effort(effort) => Some(effort.adaptive_word(xhigh)),
            // Older clients count tokens where the model no longer does.
            ReasoningRequest::Budget(tokens) => {
                Some(Effort::from_budget(tokens).adaptive_word(xhigh))
            }
            ReasoningRequest::Adaptive => None,
        };
        let display = extras.get("thinking").and_then(|thinking| thinking["display"].as_str());
        self.is_on = true;
        self.fields.insert(
            "thinking".into(),
            json!({"type": "adaptive", "display": display.unwrap_or("summarized")}),
        );
        if let Some(effort) = effort {
            self.fields.insert("output_config".into(), json!({"effort": effort}));
        }
    }

    fn apply_nova(&mut self, request: ReasoningRequest) {
        let Some(word) = request.word() else { return };
        self.is_unlimited = word == "high";
        self.is_on = true;
        self.fields.insert(
            "reasoningConfig".into(),
            json!({"type": "enabled", "maxReasoningEffort": word}),
        );
    }

    /// Returns the most tokens of an answer that is thought about.
    pub fn max_answer_tokens(&self, asked: Option<u64>) -> Option<u64> {
        asked.or(self.budget.map(|budget| budget + ANSWER_TOKENS))
    }
}

impl ReasoningRequest {
    /// Returns the effort as `low`, `medium` or `high`, which all families know; `None` for no
    /// reasoning.
    fn word(self) -> Option<&'static str> {
        let effort = match self {
            Self::Effort(effort) => effort,
            Self::Budget(tokens) => Effort::from_budget(tokens),
            Self::Adaptive => Effort::Medium,
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
    /// Parses `reasoning_effort`.
    fn parse(word: &str) -> Option<Self> {
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

    /// Returns the budget in tokens, for a Claude that has one (`docs/reference/bedrock.md`, "Model
    /// families").
    fn budget(self) -> u64 {
        match self {
            Self::None | Self::Minimal | Self::Low => MIN_BUDGET,
            Self::Medium => 2048,
            Self::High => 4096,
            Self::Xhigh => 8192,
            Self::Max => 16384,
        }
    }

    fn from_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..2048 => Self::Low,
            2048..4096 => Self::Medium,
            _ => Self::High,
        }
    }

    /// Returns the effort for a Claude model with adaptive reasoning.
    fn adaptive_word(self, xhigh: bool) -> &'static str {
        match self {
            Self::None | Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::Xhigh if xhigh => "xhigh",
            Self::High | Self::Xhigh => "high",
            Self::Max => "max",
        }
    }
}

/// Parses the client's request for reasoning, in each of the fields that clients use.
fn parse(extras: ExtraFields<'_>) -> Result<Option<ReasoningRequest>> {
    if let Some(thinking) = extras.first_of(&["thinking", "reasoning_config"]) {
        return parse_thinking(thinking, extras);
    }
    let effort = extras.get("reasoning_effort");
    let reasoning = extras.get("reasoning").filter(|reasoning| reasoning.is_object());
    let setting = |name: &str| reasoning.and_then(|r| r.get(name)).filter(|value| !value.is_null());
    if let Some(tokens) = setting("max_tokens").and_then(Value::as_u64) {
        return Ok(Some(ReasoningRequest::Budget(tokens)));
    }
    let in_config = || extras.get("output_config")?.get("effort");
    match effort.or_else(|| setting("effort")).or_else(in_config) {
        Some(effort) => parse_effort(effort),
        None => match setting("enabled").and_then(Value::as_bool) {
            Some(true) => Ok(Some(ReasoningRequest::Effort(Effort::Medium))),
            Some(false) => Ok(Some(ReasoningRequest::Effort(Effort::None))),
            None => Ok(None),
        },
    }
}

fn parse_effort(effort: &Value) -> Result<Option<ReasoningRequest>> {
    let word = effort.as_str().map(|word| word.trim().to_ascii_lowercase());
    let tokens = || effort.as_u64().or_else(|| word.as_deref()?.parse().ok());
    if word.as_deref() == Some("") {
        return Ok(None);
    }
    if let Some(effort) = word.as_deref().and_then(Effort::parse) {
        return Ok(Some(ReasoningRequest::Effort(effort)));
    }
    tokens().map(|tokens| Some(ReasoningRequest::Budget(tokens))).ok_or_else(|| {
        PipeError::bad_field(
            "reasoning_effort",
            "reasoning_effort must be none, minimal, low, medium, high, xhigh or max",
        )
    })
}

/// Parses Claude's field `thinking`.
fn parse_thinking(thinking: &Value, extras: ExtraFields<'_>) -> Result<Option<ReasoningRequest>> {
    let effort =
        || extras.get("reasoning_effort").or_else(|| extras.get("output_config")?.get("effort"));
    match thinking["type"].as_str() {
        Some("disabled") => Ok(Some(ReasoningRequest::Effort(Effort::None))),
        Some("adaptive") => Ok(effort()
            .map(parse_effort)
            .transpose()?
            .flatten()
            .or(Some(ReasoningRequest::Adaptive))),
        Some("enabled") => match &thinking["budget_tokens"] {
            Value::Null => Ok(Some(ReasoningRequest::Adaptive)),
            tokens => tokens
                .as_u64()
                .or_else(|| tokens.as_str()?.trim().parse().ok())
                .map(|tokens| Some(ReasoningRequest::Budget(tokens)))
                .ok_or_else(|| {
                    PipeError::bad_field(
                        "thinking.budget_tokens",
                        "thinking.budget_tokens must be a whole number",
                    )
                }),
        },
        _ if thinking.is_string() => parse_effort(thinking),
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
        Reasoning::new(&body, &Family::from_model_id(model), false).unwrap().fields.into()
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
    fn a_budget_is_less_than_the_limit_of_the_answer() {
        let model = "anthropic.claude-3-7-sonnet";
        let budget = |chat: Value| fields(model, &chat)["thinking"]["budget_tokens"].clone();
        assert_eq!(budget(json!({"reasoning_effort": "high", "max_tokens": 2000})), 1999);
        assert_eq!(budget(json!({"reasoning_effort": "high", "max_tokens": 1024})), Value::Null);
        let own = json!({"thinking": {"type": "enabled", "budget_tokens": 10}});
        assert_eq!(budget(own), 1024);
        let body = Body { max_tokens: Some(500), ..Body::default() };
        let mut asked = body;
        asked.rest.insert("thinking".into(), json!({"type": "enabled", "budget_tokens": 2000}));
        Reasoning::new(&asked, &Family::from_model_id(model), false).unwrap_err();
    }

    #[test]
    fn words_that_are_none_are_refused() {
        for chat in [json!({"reasoning_effort": "hard"}), json!({"thinking": {"type": "maybe"}})] {
            let body: Body = serde_json::from_value(chat).unwrap();
            Reasoning::new(&body, &Family::from_model_id("anthropic.claude-opus-5"), false)
                .unwrap_err();
        }
    }
}
