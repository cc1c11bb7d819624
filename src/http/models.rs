//! The model list, as Open WebUI reads it (`docs/reference/open-webui.md`, "Model list"), and
//! clients of OpenAI's API and of `OpenRouter`'s.

use super::{
    Error, State,
    messages::{self, VERSION},
    open_webui,
};
use crate::{registry, slot::Slot};
use actix_web::{HttpRequest, HttpResponse, web};
use pipe_sdk::{Model, ModelKind, ModelMetadata, ModelResolution, PipeError, Serves};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// How long a list may wait for models that are not known yet. Open WebUI gives up after ten
/// seconds, people after one.
const DEADLINE: Duration = Duration::from_millis(800);

/// What models do, in one word each.
const KINDS: [(ModelKind, &str); 4] = [
    (ModelKind::Chat, "chat"),
    (ModelKind::Image, "image"),
    (ModelKind::Embed, "embedding"),
    (ModelKind::Rerank, "rerank"),
];

/// `GET /models`. Open WebUI would offer whatever is listed for chats, so it is shown no more than
/// what answers them.
pub async fn list(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Error> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let wish = query.find(|(field, _)| field == "type").map(|(_, wish)| wish);
    let all = KINDS.map(|(kind, _)| kind);
    if request.headers().contains_key(VERSION) {
        let page = messages::models::page(&entries(&state, &all).await, request.query_string())?;
        return Ok(HttpResponse::Ok().json(page));
    }
    let entries = match wish.as_deref() {
        None if open_webui::asks(request.headers()) => for_open_webui(&state).await,
        None | Some("all") => entries(&state, &all).await,
        Some(word) => entries(&state, &[kind(word)?]).await,
    };
    Ok(HttpResponse::Ok().json(json!({"object": "list", "data": entries, "pipelines": true})))
}

/// What answers chats, and the filters, which Open WebUI knows from models.
async fn for_open_webui(state: &State) -> Vec<Value> {
    let mut wanted = KINDS.map(|(kind, _)| kind).to_vec();
    wanted.retain(|kind| kind.answers_chats());
    let entries = entries(state, &wanted).await;
    entries.into_iter().chain(filters(state)).collect()
}

fn kind(word: &str) -> Result<ModelKind, PipeError> {
    let named = KINDS.iter().find(|(_, kind)| *kind == word).map(|(kind, _)| *kind);
    let words = KINDS.map(|(_, word)| format!("`{word}`")).join(", ");
    named.ok_or_else(|| PipeError::bad_field("type", format!("type: must be `all`, {words}")))
}

/// `GET /models/{id}`. It knows every id that can be called, listed or not.
pub async fn one(
    state: web::Data<State>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let found = found(&state, id.into_inner()).await;
    let entry = found.map_err(|error| with_nearest(&state, error))?;
    let is_anthropics = request.headers().contains_key(VERSION);
    Ok(HttpResponse::Ok().json(if is_anthropics { messages::models::model(&entry) } else { entry }))
}

/// The error as it goes out. A model that was not found is told with where the ids are listed, and
/// the nearest of them.
pub fn with_nearest(state: &State, error: PipeError) -> Error {
    let PipeError::ModelNotFound(id) = &error else { return error.into() };
    let nearest = nearest(state, id);
    Error::from(error).adding(&if nearest.is_empty() {
        "`GET /v1/models` lists the ids".to_owned()
    } else {
        format!("`GET /v1/models` lists the ids; the nearest are {}", nearest.join(", "))
    })
}

/// How many ids are named that are like one that was not found.
const NAMED: usize = 3;

/// The longest ids that are compared.
const LONGEST: usize = 128;

/// The ids that are most like this one.
fn nearest(state: &State, id: &str) -> Vec<String> {
    if id.len() > LONGEST {
        return Vec::new();
    }
    let wanted = id.to_ascii_lowercase();
    let slots = state.registry.slots();
    let ids = slots.iter().filter_map(|slot| Some((slot.id(), slot.serves()?)));
    let ids = ids.flat_map(|(pipe, serves)| registry::list_models(pipe, &serves));
    let mut ids: Vec<_> = ids
        .filter(|(id, _)| id.len() <= LONGEST)
        .map(|(full, model)| {
            let names = [full.to_ascii_lowercase(), model.id.to_ascii_lowercase()];
            let steps = names.iter().map(|name| steps_between(name, &wanted)).min();
            (steps.unwrap_or(usize::MAX), full)
        })
        .collect();
    ids.sort();
    ids.into_iter().take(NAMED).map(|(_, id)| format!("`{id}`")).collect()
}

/// How many characters must be changed, added or left out to make one text the other (Levenshtein's
/// distance).
fn steps_between(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (cell, with) in row.iter_mut().skip(1).zip(&other) {
            let changed = before + usize::from(char != *with);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

async fn found(state: &State, id: String) -> Result<Value, PipeError> {
    let entries = entries(state, &KINDS.map(|(kind, _)| kind)).await;
    if let Some(entry) = entries.into_iter().find(|entry| entry["id"] == id.as_str()) {
        return Ok(entry);
    }
    let unknown = || PipeError::ModelNotFound(id.clone());
    let registry = &state.registry;
    let (slot, known) = match registry.resolve(&id) {
        Some((slot, model)) => {
            let known = slot.resolve_model(&model).ok_or_else(unknown)?;
            (slot, known)
        }
        None => registry.lookup_model(&id)?.ok_or_else(unknown)?,
    };
    let model = match known {
        ModelResolution::Available(model)
        | ModelResolution::Derived(model)
        | ModelResolution::Fallback(model) => model,
        ModelResolution::Denied(reason) => return Err(PipeError::ModelGone { model: id, reason }),
        ModelResolution::Unavailable(reason) => return Err(registry::lookup_error(&id, &reason)),
    };
    let kind = slot.serves().map_or("pipe", |serves| serves.kind());
    Ok(entry(&id, &model, &pipeline(kind, &model), state.started))
}

fn filters(state: &State) -> Vec<Value> {
    let entry = |slot: &Arc<dyn Slot>| {
        let Serves::Filter { pipelines, priority } = slot.serves()? else { return None };
        // One entry without `pipelines` or `priority` would break every chat of every connection
        // (`docs/reference/open-webui.md`, "Filters").
        let pipeline =
            json!({"type": "filter", "pipelines": pipelines, "priority": priority, "valves": true});
        let model = Model::new(slot.id(), slot.name());
        Some(entry(slot.id(), &model, &pipeline, state.started))
    };
    state.registry.slots().iter().filter_map(entry).collect()
}

async fn entries(state: &State, wanted: &[ModelKind]) -> Vec<Value> {
    state.registry.wait_for_discovery(DEADLINE).await;
    let mut entries = Vec::new();
    for slot in state.registry.slots().iter() {
        let Some(serves) = slot.serves() else { continue };
        let models = registry::list_models(slot.id(), &serves);
        let models = models.iter().filter(|(_, model)| wanted.contains(&model.kind));
        entries.extend(
            models.map(|(id, model)| {
                entry(id, model, &pipeline(serves.kind(), model), state.started)
            }),
        );
    }
    entries
}

/// What Open WebUI reads of a model's pipe.
fn pipeline(kind: &str, model: &Model) -> Value {
    match model.kind {
        ModelKind::Chat | ModelKind::Image => json!({"type": kind, "valves": true}),
        // Should Open WebUI come by it after all: it keeps filters out of its picker, and one for
        // no model filters nothing (`docs/reference/open-webui.md`, "Filters").
        ModelKind::Embed | ModelKind::Rerank => {
            json!({"type": "filter", "pipelines": [], "priority": 0, "valves": true})
        }
    }
}

fn entry(id: &str, model: &Model, pipeline: &Value, created: u64) -> Value {
    let mut entry = json!({
        "id": id, "name": model.name, "object": "model", "created": created, "owned_by": "pipewright", "pipeline": pipeline,
    });
    if let Some(description) = &model.description {
        entry["description"] = description.as_str().into();
        entry["info"]["meta"]["description"] = description.as_str().into();
    }
    if !model.capabilities.is_empty() {
        entry["info"]["meta"]["capabilities"] = model.capabilities.clone().into();
    }
    tell(&mut entry, model);
    entry
}

/// Adds what is known of the model, in the words of `OpenRouter`'s list.
fn tell(entry: &mut Value, model: &Model) {
    let ModelMetadata { reads, context_length, max_output_tokens, parameters } = &model.metadata;
    if !reads.is_empty() {
        let makes = match model.kind {
            ModelKind::Chat => "text",
            ModelKind::Image => "image",
            ModelKind::Embed => "embeddings",
            ModelKind::Rerank => "rerank",
        };
        entry["architecture"] = json!({
            "modality": format!("{}->{makes}", reads.join("+")),
            "input_modalities": reads,
            "output_modalities": [makes],
        });
    }
    if let Some(tokens) = context_length {
        entry["context_length"] = (*tokens).into();
        entry["top_provider"] =
            json!({"context_length": tokens, "max_completion_tokens": max_output_tokens});
    }
    if let Some(tokens) = max_output_tokens {
        entry["max_output_tokens"] = (*tokens).into();
    }
    if !parameters.is_empty() {
        entry["supported_parameters"] = json!(parameters);
    }
}
