//! The model list, as Open WebUI reads it (contract §1.3).

use super::{Error, State};
use crate::registry;
use actix_web::{HttpResponse, web};
use pipe_sdk::{Model, PipeError, Serves};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a list may wait for models that are not known yet. Open WebUI gives up after ten seconds, people after one.
const DEADLINE: Duration = Duration::from_millis(800);

/// `GET /models`.
pub async fn list(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"object": "list", "data": entries(&state, true).await, "pipelines": true}))
}

/// `GET /models/{id}`. It knows the models too that are not listed because they do not chat.
pub async fn one(state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Error> {
    let id = id.into_inner();
    let entry = entries(&state, false).await.into_iter().find(|entry| entry["id"] == id.as_str());
    entry
        .map(|entry| HttpResponse::Ok().json(entry))
        .ok_or_else(|| PipeError::ModelNotFound(id).into())
}

/// Open WebUI would offer whatever is listed for chats, so a list holds only what answers them.
async fn entries(state: &State, only_chats: bool) -> Vec<Value> {
    state.registry.discovered(DEADLINE).await;
    let mut entries = Vec::new();
    for slot in state.registry.slots() {
        let Some(serves) = slot.serves() else { continue };
        if let Serves::Filter { pipelines, priority } = &serves {
            // One entry without `pipelines` or `priority` would break every chat of every connection (contract §0.7).
            let pipeline = json!({"type": serves.kind(), "pipelines": pipelines, "priority": priority, "valves": true});
            entries.push(entry(
                slot.id(),
                &Model::new(slot.id(), slot.name()),
                &pipeline,
                state.started,
            ));
        }
        let pipeline = json!({"type": serves.kind(), "valves": true});
        let models = registry::models(slot.id(), &serves);
        let wanted = |model: &Model| !only_chats || model.kind.answers_chats();
        let models = models.iter().filter(|(_, model)| wanted(model));
        entries.extend(models.map(|(id, model)| entry(id, model, &pipeline, state.started)));
    }
    entries
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
    entry
}
