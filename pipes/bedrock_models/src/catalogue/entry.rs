//! One model of one region, as AWS lists it.

use super::way::Way;
use crate::{
    converse::{Inputs, Target},
    family::{Family, Lesson, Size, Tools, kind},
    stream::Source,
    valves::{BedrockValves, BuiltinTools},
};
use aws_sdk_bedrock::types::{FoundationModelSummary, ModelModality};
use pipe_sdk::{Model, ModelKind, ModelMetadata, matches_glob};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A model that can be called.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id that people call it by.
    pub id: String,
    /// What Bedrock is asked for: the same id, or the ARN that the id stands for.
    pub model_id: String,
    /// What people read.
    pub name: String,
    /// The model's own id; several entries can lead to one model.
    pub base: String,
    /// The region.
    pub region: Arc<str>,
    /// What it does.
    pub kind: ModelKind,
    /// What it takes beside text, if AWS tells.
    pub inputs: Inputs,
    /// Whether it answers step by step, as far as AWS tells.
    pub streams: bool,
}

/// What AWS tells of a foundation model, whether it is listed or only stands behind a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foundation {
    /// Its id.
    pub id: String,
    /// What people read.
    pub name: String,
    /// What it takes beside text.
    pub inputs: Inputs,
    /// What it does, if it is something that we can ask for.
    pub kind: Option<ModelKind>,
    /// Whether it answers step by step.
    pub streams: bool,
    /// Whether it can be called by its own id.
    pub on_demand: bool,
    /// `ACTIVE`, `LEGACY`, or a word that is new.
    pub status: String,
}

impl Foundation {
    /// Enums are compared as words: AWS uses some that its own model does not have.
    pub fn new(summary: &FoundationModelSummary) -> Self {
        let speaks =
            |modalities: &[ModelModality], word| modalities.iter().any(|m| m.as_str() == word);
        let reads = |word| speaks(summary.input_modalities(), word);
        let inference = summary.inference_types_supported();
        let status = summary.model_lifecycle().map(|lifecycle| lifecycle.status().as_str());
        Self {
            id: summary.model_id().into(),
            name: summary.model_name().unwrap_or(summary.model_id()).into(),
            inputs: Inputs {
                image: Some(reads("IMAGE")),
                video: Some(reads("VIDEO")),
                audio: Some(reads("SPEECH") || reads("AUDIO")),
            },
            kind: kind_of(summary.model_id(), |word| speaks(summary.output_modalities(), word)),
            streams: summary.response_streaming_supported() != Some(false),
            on_demand: inference.iter().any(|kind| kind.as_str() == "ON_DEMAND"),
            status: status.unwrap_or_default().into(),
        }
    }

    /// Whether these valves want it.
    pub fn is_wanted(&self, valves: &BedrockValves) -> bool {
        self.kind.is_some()
            && (self.status == "ACTIVE" || valves.legacy_models && self.status == "LEGACY")
    }
}

impl Foundation {
    /// The way to it by its own id.
    pub fn way(&self) -> Way {
        let Self { id, name, .. } = self;
        let [model_id, base] = [id, id].map(String::from);
        Way { id: id.clone(), model_id, name: name.clone(), base, is_own: false }
    }
}

/// What a model does that makes these things. Vectors say it by themselves; text may be chats or scores, which the name tells.
fn kind_of(id: &str, makes: impl Fn(&'static str) -> bool) -> Option<ModelKind> {
    if makes("EMBEDDING") {
        return Some(ModelKind::Embed);
    }
    kind(id).filter(|kind| match kind {
        ModelKind::Chat => makes("TEXT"),
        ModelKind::Image => makes("IMAGE"),
        ModelKind::Embed | ModelKind::Rerank => true,
    })
}

impl Entry {
    /// What decides how it is asked, after these lessons and under these valves.
    pub fn target(&self, lessons: &[Lesson], valves: &BedrockValves) -> Target {
        let mut target = Target::of(&self.id, &self.base, self.inputs, lessons, valves);
        target.family.streams &= self.streams;
        target
    }

    /// The same for the words of errors.
    pub fn source(&self) -> Source {
        Source { model: self.id.clone(), region: Arc::clone(&self.region) }
    }

    /// Whether it can be asked for what this kind does: what paints answers chats too.
    pub fn does(&self, kind: ModelKind) -> bool {
        self.kind == kind || kind == ModelKind::Chat && self.kind.answers_chats()
    }

    /// Whether this name, which may hold `*` and end with `@region`, means this model by its id, its ARN or the model behind it.
    pub fn is_meant(&self, name: &str) -> bool {
        let (pattern, region) = name.split_once('@').map_or((name, None), |(n, r)| (n, Some(r)));
        region.is_none_or(|region| *self.region == *region)
            && [&self.id, &self.model_id, &self.base]
                .into_iter()
                .any(|id| matches_glob(pattern, id))
    }

    /// What clients list.
    pub fn model(&self, builtin_tools: BuiltinTools) -> Model {
        let model = Model::new(&self.id, &self.name)
            .with_description(format!("{} - {}", self.name, self.region))
            .with_kind(self.kind)
            .with_metadata(self.facts());
        let model = match self.kind {
            ModelKind::Chat => {
                let tools = match builtin_tools {
                    BuiltinTools::Always => true,
                    BuiltinTools::Never => false,
                    BuiltinTools::WhenSupported => Family::of(&self.base).tools != Tools::No,
                };
                model.with_capability("usage", true).with_capability("builtin_tools", tools)
            }
            // Whatever Open WebUI adds to a chat would be painted.
            ModelKind::Image => model.with_capability("builtin_tools", false),
            ModelKind::Embed | ModelKind::Rerank => return model,
        };
        match self.inputs.image {
            Some(vision) => model.with_capability("vision", vision),
            None => model,
        }
    }

    fn facts(&self) -> ModelMetadata {
        let Size { context_length, max_output_tokens } = Size::of(&self.base);
        let family = Family::of(&self.base);
        let chats = self.kind == ModelKind::Chat;
        let inputs = [
            ("text", true),
            ("image", self.kind.answers_chats() && self.inputs.image == Some(true)),
            ("file", chats && family.documents),
            ("audio", chats && self.inputs.audio == Some(true)),
            ("video", chats && self.inputs.video == Some(true)),
        ];
        ModelMetadata {
            reads: inputs.into_iter().filter_map(|(input, read)| read.then_some(input)).collect(),
            context_length,
            max_output_tokens: max_output_tokens.filter(|_| chats),
            parameters: if chats { family.parameters() } else { Vec::new() },
        }
    }
}
