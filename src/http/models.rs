//! The model list, as Open WebUI reads it (`docs/reference/open-webui.md`, "Model list"), and
//! clients of OpenAI's API and of `OpenRouter`'s.

use super::{
    anthropic::{ANTHROPIC_VERSION, model_object},
    error::HttpError,
    identity, open_webui,
    picker_names::{PickerNames, distinct_names},
    similar_models::with_similar_ids,
    state::HostState,
};
use crate::{
    registry::{self, Registry, ServedModel},
    slot::Slot,
};
use actix_web::{HttpRequest, HttpResponse, web};
use pipe_sdk::{
    Model, ModelKind, ModelMetadata, ModelResolution, PickerAudience, PipeError, Serves,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The time that a list waits for models that are not known yet. Open WebUI gives up after ten
/// seconds, people after one.
const DEADLINE: Duration = Duration::from_millis(800);

/// The kinds of models, each with its word in queries.
const KINDS: [(ModelKind, &str); 4] = [
    (ModelKind::Chat, "chat"),
    (ModelKind::Image, "image"),
    (ModelKind::Embed, "embedding"),
    (ModelKind::Rerank, "rerank"),
];

/// `GET /models`. Open WebUI would offer every listed model for chats, so it gets only those that
/// answer chats.
pub async fn list(
    state: web::Data<HostState>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let wish = query.find(|(field, _)| field == "type").map(|(_, wish)| wish);
    if request.headers().contains_key(ANTHROPIC_VERSION) {
        let all = list_entries(&state, |_| true).await;
        let page = model_object::list_page(&all, request.query_string())?;
        return Ok(HttpResponse::Ok().json(page));
    }
    let entries = match wish.as_deref() {
        None if open_webui::is_open_webui(request.headers()) => {
            for_open_webui(&state, &request).await?
        }
        None | Some("all") => list_entries(&state, |_| true).await,
        Some(word) => {
            let kind = parse_kind(word)?;
            list_entries(&state, |model| model.kind == kind).await
        }
    };
    Ok(HttpResponse::Ok().json(json!({"object": "list", "data": entries, "pipelines": true})))
}

/// Returns the models that answer chats, and the filters, which Open WebUI knows from this list.
async fn for_open_webui(state: &HostState, request: &HttpRequest) -> Result<Vec<Value>, HttpError> {
    let user = match &state.user_jwt_verifier {
        Some(verifier) => verifier.user(request.headers())?,
        None => identity::parse_user(None, request.headers()),
    };
    let role = user.and_then(|user| user.role);
    let is_admin = role.is_none_or(|role| role == "admin");
    let is_wanted = |model: &Model| {
        model.kind.answers_chats() && (is_admin || model.audience != PickerAudience::Admins)
    };
    let entries = list_entries(state, is_wanted).await;
    Ok(entries.into_iter().chain(filter_entries(state)).collect())
}

fn parse_kind(word: &str) -> Result<ModelKind, PipeError> {
    let named = KINDS.iter().find(|(_, kind)| *kind == word).map(|(kind, _)| *kind);
    let words = KINDS.map(|(_, word)| format!("`{word}`")).join(", ");
    named.ok_or_else(|| PipeError::bad_field("type", format!("type: must be `all`, {words}")))
}

/// `GET /models/{id}`. Finds every id that can be called, listed or not.
pub async fn show(
    state: web::Data<HostState>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let found = find_entry(&state, id.into_inner()).await;
    let entry = found.map_err(|error| with_similar_ids(&state, error))?;
    let is_anthropics = request.headers().contains_key(ANTHROPIC_VERSION);
    Ok(HttpResponse::Ok().json(if is_anthropics {
        model_object::model_object(&entry)
    } else {
        entry
    }))
}

async fn find_entry(state: &HostState, id: String) -> Result<Value, PipeError> {
    let entries = list_entries(state, |_| true).await;
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
    let name = PickerNames::new(&registry.served_models()).name(&model);
    Ok(entry_object(&id, &name, &model, &pipeline_object(kind, &model), state.started))
}

fn filter_entries(state: &HostState) -> Vec<Value> {
    let entry = |slot: &Arc<dyn Slot>| {
        let Serves::Filter { pipelines, priority } = slot.serves()? else { return None };
        // One entry without `pipelines` or `priority` would break every chat of every connection
        // (`docs/reference/open-webui.md`, "Filters").
        let pipeline =
            json!({"type": "filter", "pipelines": pipelines, "priority": priority, "valves": true});
        let model = Model::new(slot.id(), slot.name());
        Some(entry_object(slot.id(), slot.name(), &model, &pipeline, state.started))
    };
    state.registry.slots().iter().filter_map(entry).collect()
}

async fn list_entries(state: &HostState, is_wanted: impl Fn(&Model) -> bool) -> Vec<Value> {
    state.registry.wait_for_discovery(DEADLINE).await;
    let served = state.registry.served_models();
    let names = PickerNames::new(&served);
    let wanted: Vec<_> = served.into_iter().filter(|served| is_wanted(&served.model)).collect();
    let names = distinct_names(&wanted, &names, &state.registry);
    let entry = |(ServedModel { id, mut model, pipe_kind }, name): (_, String)| {
        add_image_input(&state.registry, &id, &mut model);
        entry_object(&id, &name, &model, &pipeline_object(pipe_kind, &model), state.started)
    };
    wanted.into_iter().zip(names).map(entry).collect()
}

/// Adds images to the input of a chat model if a pipe describes them for it: Open WebUI's page lets
/// nobody attach images for models that do not take them.
fn add_image_input(registry: &Registry, id: &str, model: &mut Model) {
    if model.kind != ModelKind::Chat || !registry.describes_images_for(id) {
        return;
    }
    if let Some(vision) = model.capabilities.get_mut("vision") {
        *vision = true.into();
    }
    let reads = &mut model.metadata.reads;
    if !reads.is_empty() && !reads.contains(&"image") {
        reads.push("image");
    }
}

/// Returns the description of a model's pipe for Open WebUI.
fn pipeline_object(kind: &str, model: &Model) -> Value {
    match model.kind {
        ModelKind::Chat | ModelKind::Image => json!({"type": kind, "valves": true}),
        // Should Open WebUI come by it after all: it keeps filters out of its picker, and one for
        // no model filters nothing (`docs/reference/open-webui.md`, "Filters").
        ModelKind::Embed | ModelKind::Rerank => {
            json!({"type": "filter", "pipelines": [], "priority": 0, "valves": true})
        }
    }
}

fn entry_object(id: &str, name: &str, model: &Model, pipeline: &Value, created: u64) -> Value {
    let mut entry = json!({
        "id": id, "name": name, "object": "model", "created": created, "owned_by": "pipewright", "pipeline": pipeline,
    });
    if let Some(description) = &model.description {
        entry["description"] = description.as_str().into();
        entry["info"]["meta"]["description"] = description.as_str().into();
    }
    if !model.tags.is_empty() {
        let tag = |name: &String| json!({"name": name});
        entry["tags"] = model.tags.iter().map(tag).collect();
    }
    if model.audience == PickerAudience::Nobody {
        entry["info"]["meta"]["hidden"] = true.into();
    }
    if !model.capabilities.is_empty() {
        entry["info"]["meta"]["capabilities"] = model.capabilities.clone().into();
    }
    add_metadata(&mut entry, model);
    entry
}

/// Adds the model's metadata, in the words of `OpenRouter`'s list.
fn add_metadata(entry: &mut Value, model: &Model) {
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
