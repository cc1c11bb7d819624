//! Better answers for more calls: the approaches of
//! [OptiLLM](https://github.com/algorithmicsuperintelligence/optillm) over any model of the host.
//!
//! A request names an approach before the model's name, as in `moa-<model>` (`selection`), or in
//! its body (`parameters`). Each approach (`approaches`) is a small graph of calls, one after the
//! other or side by side, which the `engine` bounds in number, time, tokens and dollars. What goes
//! from stage to stage is the `question`: the conversation as it came, and a draft. The `run`
//! streams the last stage, and says what all has cost. `answers` decides which final answers are
//! the same. `services` are what approaches use beside models: pages, a search API, a `sandbox` for
//! programs.
//!
//! Nobody who has not named an approach pays for one. Nothing of one request is kept for another,
//! but for the `strategies` that a user lets `spl` learn, and these are used for that user alone.

mod access;
mod answers;
mod approach;
mod approaches;
mod ask;
mod engine;
mod mcp;
mod parameters;
mod pipe_id;
mod privacy;
mod question;
mod report;
mod run;
mod sandbox;
mod search_api;
mod sections;
mod selection;
mod services;
mod sources;
mod strategies;
mod tags;
#[cfg(test)]
mod tests;
mod text_parts;
mod valves;
mod z3;

pub use search_api::SearchApiName;
pub use valves::OptimizerValves;

use access::AccessRules;
use approach::Approach;
use engine::Engine;
use parameters::{APPROACH_FIELD, Parameters};
use pipe_id::PIPE_ID;
use pipe_sdk::{
    Body, Call, ChunkStream, HostBackend, Model, ModelResolution, Pipe, PipeError, Result, Serves,
    split_list,
};
use privacy::{Detector, Pseudonymizer};
use question::Question;
use selection::{Plan, Selection};
use serde_json::Value;
use services::Services;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The number of progress lines that may wait for a client that reads slowly.
const PROGRESS: usize = 64;

/// The pipe of all approaches.
pub struct Optimizer {
    valves: Arc<OptimizerValves>,
    access: AccessRules,
    models: Arc<[Model]>,
    services: Arc<Services>,
}

impl Pipe for Optimizer {
    const ID: &'static str = PIPE_ID;
    const NAME: &'static str = "Optimizer";
    type Valves = OptimizerValves;

    async fn on_startup(valves: OptimizerValves) -> Result<Self> {
        let text = valves.access.as_deref().unwrap_or_default();
        let access = AccessRules::parse(text).map_err(PipeError::internal)?;
        let names = split_list(&valves.listed_models).filter(|_| valves.enabled);
        let models: Vec<_> = names.map(|name| model(name, valves.auto())).collect();
        let services = Arc::new(Services::new(&valves).await?);
        Ok(Self { valves: Arc::new(valves), access, models: models.into(), services })
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(Arc::clone(&self.models))
    }

    /// Resolves every id that begins with the name of an approach, so that a wrong one is refused
    /// and never taken for a model's name.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        let derived = || ModelResolution::Derived(model(id, self.valves.auto()).into());
        selection::is_selection(id).then(derived)
    }

    fn take_over(&self, body: &mut Body, _host: &dyn HostBackend) {
        if self.valves.message_tags
            && let Some(approach) = tags::take_approach(&mut body.messages)
            && !body.rest.contains_key(APPROACH_FIELD)
        {
            body.rest.insert(APPROACH_FIELD.into(), approach.into());
        }
        let wish = match body.rest.get(APPROACH_FIELD) {
            None => return,
            Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.trim()),
            // Not a text: refused when it is answered.
            Some(_) => Some("?"),
        };
        let own = format!("{PIPE_ID}.");
        match wish {
            None | Some("") => _ = body.rest.shift_remove(APPROACH_FIELD),
            Some(name) if name.eq_ignore_ascii_case("none") => {
                _ = body.rest.shift_remove(APPROACH_FIELD);
            }
            Some(name) if selection::parse_plan(name, self.valves.auto()).is_ok() => {
                let model = body.model.strip_prefix(&own).unwrap_or(&body.model);
                body.model = format!("{own}{name}-{model}");
                body.rest.shift_remove(APPROACH_FIELD);
            }
            Some(_) if body.model.starts_with(&own) => {}
            Some(_) => body.model = format!("{own}{}", body.model),
        }
    }

    async fn pipe(self: Arc<Self>, mut call: Call) -> Result<ChunkStream> {
        let Selection { plan, model } = self.resolve_selection(&call)?;
        let plan = if is_task(&call) { background(&plan) } else { plan };
        self.check(&call, &plan).await?;
        let parameters = Parameters::take(&mut call.body, &call.hints, &self.valves)?;
        call.body.model = model.clone();
        if plan == Plan::Sequence(vec![Approach::None]) {
            return call.host.pipe(call.body).await;
        }
        let is_private = plan.approaches().contains(&Approach::Privacy);
        let pseudonymizer = is_private
            .then(|| Pseudonymizer::new(&mut call.body, self.detector(call.user.as_deref())));
        let question = Question::new(call.body.messages.clone());
        let (sender, progress) = mpsc::channel(PROGRESS);
        let engine = Engine::new(
            call.host,
            Arc::clone(&self.valves),
            parameters,
            call.body,
            sender,
            pseudonymizer.transpose()?,
            Arc::clone(&self.services),
        );
        run::answer(Arc::new(engine), question, plan, model, progress).await
    }

    /// Counts tokens as the answering model does.
    async fn count_tokens(self: Arc<Self>, mut call: Call) -> Result<u64> {
        call.body.model = self.resolve_selection(&call)?.model;
        call.host.count_tokens(call.body).await
    }
}

impl Optimizer {
    /// Returns the selection of the request. A model of the host that has a name wins over what the
    /// name means here.
    fn resolve_selection(&self, call: &Call) -> Result<Selection> {
        let auto = self.valves.auto();
        let models = call.host.models();
        let has = |name: &str| {
            models.iter().any(|card| {
                let (pipe, bare) = card.id.split_once('.').unwrap_or((&card.id, &card.id));
                pipe != PIPE_ID && (card.id == name || bare == name)
            })
        };
        let named = match call.body.rest.get(APPROACH_FIELD) {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => {
                let rule = format!("{APPROACH_FIELD}: must be a text, as in \"moa\"");
                return Err(PipeError::bad_field(APPROACH_FIELD, rule));
            }
        };
        if let Some(name) = named {
            // A name that is right has become part of the model's.
            selection::parse_plan(name, auto)?;
        }
        let id = call.model.as_str();
        let selected = if selection::is_selection(id) || has(id) {
            selection::parse_selection(id, auto, has)?
        } else {
            Selection { plan: Plan::Sequence(vec![auto]), model: id.into() }
        };
        let usual = self.valves.default_model.clone().filter(|_| selected.model.is_empty());
        let model = usual.unwrap_or(selected.model);
        if model.is_empty() {
            let rule = format!("model: `{id}` names no model: write `{id}-<model>`");
            return Err(PipeError::bad_field("model", rule));
        }
        Ok(Selection { model, ..selected })
    }

    /// Refuses what cannot be done, before anything is asked.
    async fn check(&self, call: &Call, plan: &Plan) -> Result<()> {
        for approach in plan.approaches() {
            if *approach != Approach::None && !self.valves.enabled {
                let rule = "approaches are switched off: ask for the model alone, or have an admin switch `enabled` on";
                return Err(PipeError::bad_field("model", rule));
            }
            self.access.check(call.host.context(), *approach)?;
            self.services.check(*approach).await?;
        }
        Ok(())
    }

    /// Finds personal data, and who asks.
    fn detector(&self, user: Option<&pipe_sdk::User>) -> Detector {
        let own = user.iter().flat_map(|user| [user.name.clone(), user.email.clone()]).flatten();
        Detector::new(split_list(&self.valves.private_words).map(str::to_owned).chain(own))
    }
}

/// Returns whether a reply comes down to this answer, however both are written.
pub fn is_same_answer(reply: &str, answer: &str) -> bool {
    answers::extract_answer(reply)
        .zip(answers::extract_answer(answer))
        .is_some_and(|(reply, answer)| reply.is_same(&answer))
}

/// Returns a model for the picker.
fn model(name: &str, auto: Approach) -> Model {
    let Ok(Selection { plan, model }) = selection::parse_selection(name, auto, |_| false) else {
        return Model::new(name, name);
    };
    let titles: Vec<_> = plan.approaches().iter().map(|approach| approach.title()).collect();
    let title = titles.join(if matches!(plan, Plan::Parallel(_)) { " | " } else { " & " });
    let word =
        plan.approaches().iter().map(|approach| approach.name()).collect::<Vec<_>>().join("+");
    let base = model.split_once('.').map_or(model.as_str(), |(_, bare)| bare);
    Model::new(name, format!("{title}: {base}"))
        .with_name_templates([format!("{title}: {{{model}}}"), format!("{word}: {{{model}}}")])
        .with_description(format!("Spends several calls of `{model}` on a better answer."))
        .with_capability("usage", true)
}

/// Returns whether the call is a background task of Open WebUI, such as a title.
fn is_task(call: &Call) -> bool {
    call.chat.task.is_some() || call.body.is_task_prompt()
}

/// Returns the part of a plan that a background task uses: a title is not worth several calls, but
/// what is
/// private stays so.
fn background(plan: &Plan) -> Plan {
    let is_private = plan.approaches().contains(&Approach::Privacy);
    Plan::Sequence(vec![if is_private { Approach::Privacy } else { Approach::None }])
}
