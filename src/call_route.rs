//! The route of a call: a pipe, and the model in it.

use crate::{meter::MeasuredCall, slot::Slot};
use pipe_sdk::{CallContext, Demand, DemandKind, ModelKind, ModelResolution, Serves};
use std::sync::Arc;

/// The pipe and model of a call.
pub struct CallRoute {
    /// The pipe that answers.
    pub slot: Arc<dyn Slot>,
    /// The requested id within the pipe.
    pub requested_model: String,
    /// The id within the pipe by which the model is listed. Limits and usage always use this one.
    pub model: String,
    /// The kind of model, if the pipe knows it.
    pub kind: Option<ModelKind>,
}

impl CallRoute {
    /// Returns the route to this pipe, with the pipe's statement about the id.
    pub fn new(
        slot: Arc<dyn Slot>,
        requested_model: String,
        known: Option<ModelResolution>,
    ) -> Self {
        let (model, kind) = match known {
            Some(
                ModelResolution::Available(model)
                | ModelResolution::Derived(model)
                | ModelResolution::Fallback(model),
            ) => (model.id, Some(model.kind)),
            Some(ModelResolution::Denied(_) | ModelResolution::Unavailable(_)) | None => {
                (requested_model.clone(), None)
            }
        };
        Self { slot, requested_model, model, kind }
    }

    /// Returns the full id by which the model is listed.
    pub fn full_id(&self) -> String {
        let pipe = self.slot.id();
        if self.model == pipe { pipe.to_owned() } else { format!("{pipe}.{}", self.model) }
    }

    /// Adjusts the demand to the model: a chat with an image model counts as an image request.
    pub fn adjust_demand(&self, demand: Demand) -> Demand {
        match (demand.kind, self.kind) {
            (DemandKind::Chat, Some(ModelKind::Image)) => {
                Demand { kind: DemandKind::Image, ..demand }
            }
            _ => demand,
        }
    }

    /// Returns the call for the meter.
    pub fn measured_call(
        &self,
        kind: ModelKind,
        context: CallContext,
        prompt_tokens: u64,
    ) -> MeasuredCall {
        let is_listed_by = |serves: Serves| match serves {
            Serves::Model(_) => true,
            Serves::Manifold(models) => models.iter().any(|listed| listed.id == self.model),
            Serves::Filter { .. } => false,
        };
        let is_listed = self.slot.serves().is_some_and(is_listed_by);
        let listed = is_listed.then(|| self.model.clone());
        MeasuredCall {
            pipe: self.slot.id(),
            model: self.full_id(),
            listed,
            kind,
            context,
            prompt_tokens,
        }
    }
}
