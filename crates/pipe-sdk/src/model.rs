//! The models that a pipe serves, and what model ids mean to it.

use crate::PickerAudience;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The models of a pipe: one, many, or a filter around others' chats.
#[expect(clippy::large_enum_variant, reason = "there is one a pipe")]
#[derive(Clone, Debug)]
pub enum Serves {
    /// One model, whose id is the pipe's own.
    Model(Model),
    /// Many models; their ids on the wire are `pipe.model`.
    Manifold(Arc<[Model]>),
    /// A filter for the models named, `["*"]` for all; smaller priorities run first.
    Filter {
        /// Model ids as Open WebUI shows them, or exactly `["*"]`. An empty list means none.
        pipelines: Vec<String>,
        /// Filters run in ascending order, on the way in and on the way out.
        priority: i64,
    },
}

impl Serves {
    /// Returns a manifold of these models.
    pub fn manifold(models: impl Into<Arc<[Model]>>) -> Self {
        Self::Manifold(models.into())
    }

    /// Returns its `type` in the model list (`docs/reference/open-webui.md`, "Model list"): `pipe`,
    /// `manifold` or `filter`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Model(_) => "pipe",
            Self::Manifold(_) => "manifold",
            Self::Filter { .. } => "filter",
        }
    }
}

/// The meaning of a model id to a pipe.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelResolution {
    /// The pipe has this model, by this id or by another name for it.
    Available(Arc<Model>),
    /// The id is a method of this pipe and another model's id, as in `moa-gpt-4o`. A model that
    /// really has this id goes first.
    Derived(Arc<Model>),
    /// The pipe has no model of this id, but an admin has chosen this one to answer in its place.
    Fallback(Arc<Model>),
    /// The model of this id may not be used, for this reason.
    Denied(String),
    /// The pipe may have a model of this id, but does not know it now, for this reason.
    Unavailable(String),
}

impl ModelResolution {
    /// Returns the model that would answer.
    pub fn into_model(self) -> Option<Arc<Model>> {
        match self {
            Self::Available(model) | Self::Derived(model) | Self::Fallback(model) => Some(model),
            Self::Denied(_) | Self::Unavailable(_) => None,
        }
    }
}

/// One model as Open WebUI lists it, or as it would if it chatted.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The id within the pipe; it may hold `.`, `:` and `/`.
    pub id: String,
    /// The name in the picker.
    pub name: String,
    /// Names that hold names of other models, as in `Documents · {rag/llama3}`, with an id of this
    /// host in braces. The first that is short enough takes the place of the name.
    pub name_templates: Vec<String>,
    /// Words that people filter the picker by, such as the vendor.
    pub tags: Vec<String>,
    /// The people who find the model in pickers.
    pub audience: PickerAudience,
    /// The kind.
    pub kind: ModelKind,
    /// A line about the model.
    pub description: Option<String>,
    /// `info.meta.capabilities`, obeyed by Open WebUI (`docs/reference/open-webui.md`, "Model
    /// list"): `builtin_tools`, `usage`, `vision`, `citations`, `file_context`, …
    pub capabilities: Map<String, Value>,
    /// Further metadata, for API clients.
    pub metadata: ModelMetadata,
}

/// The metadata of a model, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelMetadata {
    /// The input types: `text`, `image`, `file`, `audio`, `video`.
    pub reads: Vec<&'static str>,
    /// The largest number of tokens that it reads.
    pub context_length: Option<u32>,
    /// The largest number of tokens that it writes.
    pub max_output_tokens: Option<u32>,
    /// The supported fields of a chat, as in `temperature` and `tools`.
    pub parameters: Vec<&'static str>,
}

/// The kind of a model. Open WebUI lists those that answer chats; API clients list all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// A chat model.
    #[default]
    Chat,
    /// An embedding model.
    Embed,
    /// A reranking model.
    Rerank,
    /// An image model, which also answers chats with images.
    Image,
}

impl ModelKind {
    /// Returns whether models of this kind answer chats.
    pub fn answers_chats(self) -> bool {
        matches!(self, Self::Chat | Self::Image)
    }
}

impl Model {
    /// Returns a chat model with this id and name, without capabilities and metadata.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        let (id, name, kind) = (id.into(), name.into(), ModelKind::Chat);
        Self {
            id,
            name,
            name_templates: Vec::new(),
            tags: Vec::new(),
            audience: PickerAudience::default(),
            kind,
            description: None,
            capabilities: Map::new(),
            metadata: ModelMetadata::default(),
        }
    }

    /// Returns the same with names that hold names of other models, the best first.
    #[must_use]
    pub fn with_name_templates(mut self, templates: impl IntoIterator<Item = String>) -> Self {
        self.name_templates = templates.into_iter().collect();
        self
    }

    /// Returns the same with one more tag.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Returns the same for these people in pickers.
    #[must_use]
    pub fn with_audience(self, audience: PickerAudience) -> Self {
        Self { audience, ..self }
    }

    /// Returns the same model with this kind.
    #[must_use]
    pub fn with_kind(self, kind: ModelKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the same model with a description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Returns the same model with this metadata.
    #[must_use]
    pub fn with_metadata(self, metadata: ModelMetadata) -> Self {
        Self { metadata, ..self }
    }

    /// Returns the model with this capability.
    #[must_use]
    pub fn with_capability(mut self, capability: &str, yes: bool) -> Self {
        self.capabilities.insert(capability.into(), yes.into());
        self
    }
}
