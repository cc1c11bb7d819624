//! Where a call goes: a pipe, and the model in it by two names.

use crate::{meter::Job, slot::Slot};
use pipe_sdk::{CallContext, Demand, DemandKind, Known, ModelKind, Serves};
use std::sync::Arc;

/// Where a call goes.
pub struct Route<'a> {
    /// The pipe that answers.
    pub slot: &'a Arc<dyn Slot>,
    /// The id within the pipe, as it was asked for.
    pub asked: String,
    /// The id within the pipe by which the model is listed. Limits and books know it by this one, whatever it is called.
    pub model: String,
    /// What the model does, if the pipe knows it.
    pub kind: Option<ModelKind>,
}

impl<'a> Route<'a> {
    /// To this pipe, which makes this of the id.
    pub fn new(slot: &'a Arc<dyn Slot>, asked: String, known: Option<Known>) -> Self {
        let (model, kind) = match known {
            Some(Known::Has(model) | Known::Derived(model) | Known::Fallback(model)) => {
                (model.id, Some(model.kind))
            }
            Some(Known::Denied(_) | Known::Unavailable(_)) | None => (asked.clone(), None),
        };
        Self { slot, asked, model, kind }
    }

    /// The full id by which the model is listed.
    pub fn full(&self) -> String {
        let pipe = self.slot.id();
        if self.model == pipe { pipe.to_owned() } else { format!("{pipe}.{}", self.model) }
    }

    /// What is asked of this model: a chat with one that makes pictures asks for a picture.
    pub fn demand(&self, demand: Demand) -> Demand {
        match (demand.kind, self.kind) {
            (DemandKind::Chat, Some(ModelKind::Image)) => {
                Demand { kind: DemandKind::Image, ..demand }
            }
            _ => demand,
        }
    }

    /// What is to be measured.
    pub fn job(&self, kind: ModelKind, trail: CallContext, prompt_tokens: u64) -> Job {
        let lists = |serves: Serves| match serves {
            Serves::Model(_) => true,
            Serves::Manifold(models) => models.iter().any(|listed| listed.id == self.model),
            Serves::Filter { .. } => false,
        };
        let is_listed = self.slot.serves().is_some_and(lists);
        let listed = is_listed.then(|| self.model.clone());
        Job { pipe: self.slot.id(), model: self.full(), listed, kind, trail, prompt_tokens }
    }
}
