//! The data of the admin page: the host, its pipes with their valves, upstreams, and failed
//! requests.

use super::{clock::unix_seconds, error::HttpError, state::HostState};
use actix_web::{HttpResponse, http::StatusCode, web};
use pipe_sdk::{Serves, UpstreamState};
use serde_json::{Value, json};

/// `GET /admin`: the host and its pipes, without their valves.
pub async fn overview(state: web::Data<HostState>) -> HttpResponse {
    let slots = state.registry.slots();
    let pipe = |slot: &std::sync::Arc<dyn crate::slot::Slot>| {
        let upstreams: Vec<_> = slot.upstream_states().iter().map(upstream).collect();
        let mut missing = state.registry.missing_references(slot).into_iter();
        json!({
            "id": slot.id(),
            "name": slot.name(),
            "type": slot.serves().as_ref().map(Serves::kind),
            "problem": slot.health_problem().or_else(|| missing.next()),
            "upstreams": upstreams,
        })
    };
    HttpResponse::Ok().json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "build": env!("BUILD_DESCRIPTION"),
        "started_at": state.started,
        "uptime_seconds": unix_seconds().saturating_sub(state.started),
        "in_flight": state.drain.in_flight(),
        "is_default_key": state.keys.is_default(),
        "store_problem": state.store.health_problem(),
        "pipes": slots.iter().map(pipe).collect::<Vec<_>>(),
        "errors": state.failed_requests.list(),
    }))
}

/// `GET /admin/pipes/{id}`: one pipe with every valve, its value, and where the value came from.
/// Secrets have no value.
pub async fn pipe(
    state: web::Data<HostState>,
    id: web::Path<String>,
) -> Result<HttpResponse, HttpError> {
    let unknown = || HttpError::new(StatusCode::NOT_FOUND, format!("Pipeline {id} not found"));
    let slot = state.registry.slot(&id).ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(json!({
        "id": slot.id(),
        "name": slot.name(),
        "type": slot.serves().as_ref().map(Serves::kind),
        "problem": slot.health_problem(),
        "missing_models": state.registry.missing_references(&slot),
        "valves": slot.describe_valves(),
    })))
}

/// Returns the state of an upstream as JSON.
fn upstream(state: &UpstreamState) -> Value {
    let UpstreamState { name, breaker, in_flight, calls, retries, shed, refused, failures } = state;
    json!({
        "name": name,
        "breaker": breaker.name(),
        "in_flight": in_flight,
        "calls": calls,
        "retries": retries,
        "shed": shed,
        "refused": refused,
        "failures": failures,
    })
}
