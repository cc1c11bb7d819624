//! The route of a call: a pipe, and the model in it.

use crate::slot::Slot;
use pipe_sdk::{Demand, DemandKind, Model, ModelKind, ModelResolution, Serves};
use std::sync::Arc;

/// The pipe and model of a call.
pub struct CallRoute {
    /// The pipe that answers.
    pub slot: Arc<dyn Slot>,
    /// The requested id within the pipe.
    pub requested_model: String,
    /// The id within the pipe by which the model is listed. Limits and usage always use this one.
    pub model: String,
    /// The full id by which the model is listed, as in `pipe.model`.
    pub full_id: String,
    /// The model as the pipe lists it, if the pipe knows it.
    pub listed: Option<Arc<Model>>,
}

impl CallRoute {
    /// Returns the route to this pipe, with the pipe's statement about the id.
    pub fn new(
        slot: Arc<dyn Slot>,
        requested_model: String,
        known: Option<ModelResolution>,
    ) -> Self {
        let listed = known.and_then(ModelResolution::into_model);
        let model =
            listed.as_ref().map_or_else(|| requested_model.clone(), |model| model.id.clone());
        let pipe = slot.id();
        let full_id = if model == pipe { model.clone() } else { format!("{pipe}.{model}") };
        Self { slot, requested_model, model, full_id, listed }
    }

    /// Adjusts the demand to the model: a chat with an image model counts as an image request.
    pub fn adjust_demand(&self, demand: Demand) -> Demand {
        match (demand.kind, self.listed.as_ref().map(|model| model.kind)) {
            (DemandKind::Chat, Some(ModelKind::Image)) => {
                Demand { kind: DemandKind::Image, ..demand }
            }
            _ => demand,
        }
    }

    /// Returns whether the pipe lists the model.
    pub fn is_listed(&self) -> bool {
        match self.slot.serves() {
            Some(Serves::Model(_)) => self.model == self.slot.id(),
            Some(Serves::Manifold(models)) => models.iter().any(|model| model.id == self.model),
            Some(Serves::Filter { .. }) | None => false,
        }
    }
}
