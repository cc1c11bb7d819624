//! Health, for people and orchestrators. It needs no key, and asks no upstream.

use super::state::HostState;
use crate::drain::DrainStage;
use actix_web::{HttpResponse, web};
use serde_json::json;

/// `GET /health/live`: that the process serves.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": true}))
}

/// `GET /health/ready`: whether new work is welcome, and what is in trouble, by name only: pipes,
/// and the `store`.
pub async fn ready(state: web::Data<HostState>) -> HttpResponse {
    let slots = state.registry.slots();
    let pipes = slots.iter().filter(|slot| {
        slot.health_problem().is_some() || !state.registry.missing_references(slot).is_empty()
    });
    let pipes = pipes.map(|slot| slot.id());
    let degraded: Vec<_> = pipes.chain(state.store.health_problem().map(|_| "store")).collect();
    match state.drain.stage() {
        DrainStage::Serving => {
            HttpResponse::Ok().json(json!({"status": true, "degraded": degraded}))
        }
        DrainStage::Draining | DrainStage::Aborting => HttpResponse::ServiceUnavailable()
            .json(json!({"status": false, "detail": "draining", "degraded": degraded})),
    }
}
