//! One model of one region, as AWS lists it.

use super::{display_name::display_name, model_route::ModelRoute};
use crate::{
    family::{Family, Quirk, TokenLimits, ToolSupport, model_kind},
    location::ModelLocation,
    request::{Inputs, Target},
    valves::{BedrockValves, BuiltinTools},
};
use aws_sdk_bedrock::types::{FoundationModelSummary, ModelModality};
use pipe_sdk::{Model, ModelKind, ModelMetadata, describe_context, matches_glob, shorten_name};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// A model that can be called.
#[derive(Clone, Debug)]
pub struct ModelEntry {
    /// The id by which clients call it.
    pub id: Arc<str>,
    /// The id that Bedrock gets: the same, or the ARN that the id means.
    pub model_id: String,
    /// The name for the picker.
    pub name: Arc<str>,
    /// The vendor, as AWS writes it.
    pub provider: String,
    /// The id of the foundation model; several entries can lead to one model.
    pub base: String,
    /// The region.
    pub region: Arc<str>,
    /// The kind.
    pub kind: ModelKind,
    /// The inputs that it accepts beside text, as far as AWS reports them.
    pub inputs: Inputs,
    /// The model as clients list it.
    pub model: Arc<Model>,
    /// The rules for requests to it, by its family and the valves.
    target: Target,
}

/// A foundation model as AWS lists it, whether it can be called by its own id or only through a
/// profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundationModel {
    /// The id.
    pub id: String,
    /// The name that AWS gives it.
    pub name: String,
    /// The vendor.
    #[serde(default)]
    pub provider: String,
    /// The inputs that it accepts beside text.
    pub inputs: Inputs,
    /// The kind, if this pipe supports it.
    pub kind: Option<ModelKind>,
    /// `true` if it supports `ConverseStream`.
    pub streams: bool,
    /// `true` if it can be called by its own id.
    pub on_demand: bool,
    /// The lifecycle status: `ACTIVE`, `LEGACY`, or a new word.
    pub status: String,
}

impl FoundationModel {
    /// Reads a summary of `ListFoundationModels`. Enums are compared as words, because AWS sends
    /// some that its own SDK does not know.
    pub fn from_summary(summary: &FoundationModelSummary) -> Self {
        let contains =
            |modalities: &[ModelModality], word| modalities.iter().any(|m| m.as_str() == word);
        let accepts = |word| contains(summary.input_modalities(), word);
        let inference = summary.inference_types_supported();
        let status = summary.model_lifecycle().map(|lifecycle| lifecycle.status().as_str());
        Self {
            id: summary.model_id().into(),
            name: summary.model_name().unwrap_or(summary.model_id()).into(),
            provider: summary.provider_name().unwrap_or_default().into(),
            inputs: Inputs {
                image: Some(accepts("IMAGE")),
                video: Some(accepts("VIDEO")),
                audio: Some(accepts("SPEECH") || accepts("AUDIO")),
            },
            kind: kind_of(summary.model_id(), |word| contains(summary.output_modalities(), word)),
            streams: summary.response_streaming_supported() != Some(false),
            on_demand: inference.iter().any(|kind| kind.as_str() == "ON_DEMAND"),
            status: status.unwrap_or_default().into(),
        }
    }

    /// Returns whether these valves want it listed.
    pub fn is_wanted(&self, valves: &BedrockValves) -> bool {
        self.kind.is_some()
            && (self.status == "ACTIVE" || valves.legacy_models && self.status == "LEGACY")
    }

    /// Returns the route to it by its own id.
    pub fn to_route(&self) -> ModelRoute {
        let Self { id, name, .. } = self;
        let [model_id, base] = [id, id].map(String::from);
        ModelRoute { id: id.clone(), model_id, name: name.clone(), base, is_own: false }
    }
}

/// Returns the kind of a model with these output modalities. Embeddings are a modality of their
/// own; text can be chats or relevance scores, which only the id distinguishes.
fn kind_of(id: &str, outputs: impl Fn(&'static str) -> bool) -> Option<ModelKind> {
    if outputs("EMBEDDING") {
        return Some(ModelKind::Embed);
    }
    model_kind(id).filter(|kind| match kind {
        ModelKind::Chat => outputs("TEXT"),
        ModelKind::Image => outputs("IMAGE"),
        ModelKind::Embed | ModelKind::Rerank => true,
    })
}

impl ModelEntry {
    /// Creates the entry of a route in a region. `foundation` is the model behind it, if AWS lists
    /// that; otherwise the base id has to do. Returns `None` if the pipe does not support the
    /// model.
    pub fn from_route(
        route: ModelRoute,
        region: &Arc<str>,
        foundation: Option<&FoundationModel>,
        valves: &BedrockValves,
    ) -> Option<Self> {
        let ModelRoute { id, model_id, name, base, .. } = route;
        let kind = foundation.map_or_else(|| model_kind(&base), |model| model.kind)?;
        let inputs = foundation.map_or_else(Inputs::default, |model| model.inputs);
        let mut target = Target::for_model(&id, &base, inputs, valves);
        target.family.streaming &= foundation.is_none_or(|model| model.streams);
        let region = Arc::clone(region);
        let provider = foundation.map_or_else(String::new, |model| model.provider.clone());
        let is_system = id.ends_with(&*base);
        let name = match foundation {
            _ if !is_system => shorten_name(&name),
            Some(model) => display_name(&model.name, &provider, &id),
            // The vendor begins the name of the profile, too.
            None => display_name(&name, base.split('.').next().unwrap_or_default(), &id),
        };
        let model = Arc::new(Model::new(&*id, &*name));
        let (id, name) = (id.into(), name.into());
        let entry =
            Self { id, model_id, name, provider, base, region, kind, inputs, model, target };
        Some(Self { model: Arc::new(entry.to_model(valves.builtin_tools)), ..entry })
    }

    /// Returns the same entry under the id and the trailing part of its ARN, for names that are not
    /// unique.
    pub fn with_unique_id(mut self) -> Self {
        let suffix = self.model_id.rsplit(['/', ':']).next().unwrap_or_default();
        let id = format!("{}-{suffix}", self.id);
        self.target.id.clone_from(&id);
        Arc::make_mut(&mut self.model).id.clone_from(&id);
        Self { id: id.into(), ..self }
    }

    /// Returns the rules for requests to it, with the quirks that were learned.
    pub fn target(&self, quirks: &[Quirk]) -> Cow<'_, Target> {
        match quirks {
            [] => Cow::Borrowed(&self.target),
            quirks => Cow::Owned(self.target.with_quirks(quirks)),
        }
    }

    /// Returns whether AWS offers this route to everyone: the model's own id, or a profile of AWS.
    pub fn is_system_route(&self) -> bool {
        self.id.ends_with(&*self.base)
    }

    /// Returns its id and region.
    pub fn location(&self) -> ModelLocation {
        let (model, region) = (Arc::clone(&self.id), Arc::clone(&self.region));
        ModelLocation { model, name: Arc::clone(&self.name), region }
    }

    /// Returns whether it can be used for this kind of request. Image models also answer chats.
    pub fn supports(&self, kind: ModelKind) -> bool {
        self.kind == kind || kind == ModelKind::Chat && self.kind.answers_chats()
    }

    /// Returns whether a name means this model by its id, its ARN or the foundation model behind
    /// it. The name may contain `*` and end with `@region`.
    pub fn matches_name(&self, name: &str) -> bool {
        let (pattern, region) = name.split_once('@').map_or((name, None), |(n, r)| (n, Some(r)));
        region.is_none_or(|region| *self.region == *region)
            && [&*self.id, &self.model_id, &self.base]
                .into_iter()
                .any(|id| matches_glob(pattern, id))
    }

    /// Returns the model as clients list it.
    fn to_model(&self, builtin_tools: BuiltinTools) -> Model {
        let metadata = self.metadata();
        let reads = |what| metadata.reads.contains(&what);
        let tags = [
            (&*self.provider, !self.provider.is_empty()),
            ("pictures", reads("image")),
            ("documents", reads("file")),
            ("draws", self.kind == ModelKind::Image),
        ];
        let model = Model::new(&*self.id, &*self.name)
            .with_description(self.description(&metadata))
            .with_kind(self.kind)
            .with_metadata(metadata.clone());
        let tags = tags.into_iter().filter(|(_, is_set)| *is_set);
        let model = tags.fold(model, |model, (tag, _)| model.with_tag(tag));
        let model = match self.kind {
            ModelKind::Chat => {
                let tools = match builtin_tools {
                    BuiltinTools::Always => true,
                    BuiltinTools::Never => false,
                    BuiltinTools::WhenSupported => {
                        Family::from_model_id(&self.base).tools != ToolSupport::Unsupported
                    }
                };
                model.with_capability("usage", true).with_capability("builtin_tools", tools)
            }
            // The model would paint whatever text Open WebUI adds to a chat.
            ModelKind::Image => model.with_capability("builtin_tools", false),
            ModelKind::Embed | ModelKind::Rerank => return model,
        };
        match self.inputs.image {
            Some(vision) => model.with_capability("vision", vision),
            None => model,
        }
    }

    /// Returns a line such as `200k context · sees pictures · us-east-1`.
    fn description(&self, metadata: &ModelMetadata) -> String {
        let reads = |what| metadata.reads.contains(&what);
        let context = metadata.context_length.map(|tokens| describe_context(tokens.into()));
        let words = [
            (self.kind == ModelKind::Image).then(|| "makes pictures".to_owned()),
            context.filter(|_| self.kind == ModelKind::Chat),
            reads("image").then(|| "sees pictures".to_owned()),
            reads("file").then(|| "reads documents".to_owned()),
            Some(self.region.to_string()),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// Returns the metadata that model lists show.
    fn metadata(&self) -> ModelMetadata {
        let TokenLimits { context_length, max_output_tokens } = TokenLimits::for_model(&self.base);
        let family = Family::from_model_id(&self.base);
        let is_chat = self.kind == ModelKind::Chat;
        let inputs = [
            ("text", true),
            ("image", self.kind.answers_chats() && self.inputs.image == Some(true)),
            ("file", is_chat && family.documents),
            ("audio", is_chat && self.inputs.audio == Some(true)),
            ("video", is_chat && self.inputs.video == Some(true)),
        ];
        ModelMetadata {
            reads: inputs.into_iter().filter_map(|(input, read)| read.then_some(input)).collect(),
            context_length,
            max_output_tokens: max_output_tokens.filter(|_| is_chat),
            parameters: if is_chat { family.parameters() } else { Vec::new() },
        }
    }
}
