//! The metrics, for Prometheus.

use super::{error::HttpError, state::HostState};
use actix_web::{HttpResponse, web};
use pipe_sdk::PipeError;

/// The content type of OpenMetrics' text format.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub async fn text(state: web::Data<HostState>) -> Result<HttpResponse, HttpError> {
    let metrics = &state.metrics;
    let slots = state.registry.slots();
    for slot in slots.iter() {
        metrics.set_pipe_up(slot.id(), slot.health_problem().is_none());
    }
    let usage = state.store.usage();
    metrics.set_unwritten_usage(state.usage_queue.dropped() + usage.dropped() + usage.lost());
    metrics.set_dropped_log_lines(crate::log::dropped_lines());
    metrics.set_default_key(state.keys.is_default());
    let upstreams = slots
        .iter()
        .flat_map(|slot| slot.upstream_states().into_iter().map(|state| (slot.id(), state)));
    let text = metrics.encode(upstreams.collect()).map_err(PipeError::internal)?;
    Ok(HttpResponse::Ok().content_type(FORMAT).body(text))
}
