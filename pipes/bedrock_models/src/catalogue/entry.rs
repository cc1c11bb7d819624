//! One model of one region, as AWS lists it.

use crate::{
    converse::Target,
    family::{Family, Tools, base_id, chats},
    valves::{BedrockValves, BuiltinTools},
};
use aws_sdk_bedrock::types::{
    FoundationModelSummary, InferenceProfileSummary, InferenceProfileType, ModelModality,
};
use pipe_sdk::Model;
use std::sync::Arc;

/// A model that can be called.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id to call it by.
    pub id: String,
    /// What people read.
    pub name: String,
    /// The model's own id; several entries can lead to one model.
    pub base: String,
    /// The region.
    pub region: Arc<str>,
    /// Whether it takes images, if AWS tells.
    pub vision: Option<bool>,
}

/// What AWS tells of a foundation model, whether it is listed or only stands behind a profile.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Its id.
    pub id: String,
    /// What people read.
    pub name: String,
    /// Whether it takes images.
    pub vision: bool,
    /// Whether it answers in text, step by step.
    pub chats: bool,
    /// Whether it can be called by its own id.
    pub on_demand: bool,
    /// `ACTIVE`, `LEGACY`, or a word that is new.
    pub status: String,
}

/// What AWS tells of an inference profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The id to call it by; the ARN, for an application's own.
    pub id: String,
    /// What people read.
    pub name: String,
    /// The id of the model behind it.
    pub base: String,
}

impl Foundation {
    /// Enums are compared as words: AWS uses some that its own model does not have.
    pub fn new(summary: &FoundationModelSummary) -> Self {
        let speaks =
            |modalities: &[ModelModality], word| modalities.iter().any(|m| m.as_str() == word);
        let inference = summary.inference_types_supported();
        let status = summary.model_lifecycle().map(|lifecycle| lifecycle.status().as_str());
        Self {
            id: summary.model_id().into(),
            name: summary.model_name().unwrap_or(summary.model_id()).into(),
            vision: speaks(summary.input_modalities(), "IMAGE"),
            chats: speaks(summary.output_modalities(), "TEXT")
                && summary.response_streaming_supported() != Some(false)
                && chats(summary.model_id()),
            on_demand: inference.iter().any(|kind| kind.as_str() == "ON_DEMAND"),
            status: status.unwrap_or_default().into(),
        }
    }

    /// Whether these valves want it.
    pub fn is_wanted(&self, valves: &BedrockValves) -> bool {
        self.chats && (self.status == "ACTIVE" || valves.legacy_models && self.status == "LEGACY")
    }
}

impl Profile {
    /// `None` if the profile is not active.
    pub fn new(summary: &InferenceProfileSummary) -> Option<Self> {
        if summary.status().as_str() != "ACTIVE" {
            return None;
        }
        let id = match summary.r#type() {
            InferenceProfileType::Application => summary.inference_profile_arn(),
            _ => summary.inference_profile_id(),
        };
        let behind = summary.models().iter().find_map(|model| model.model_arn());
        Some(Self {
            id: id.into(),
            name: summary.inference_profile_name().into(),
            base: base_id(behind.unwrap_or(id)).into(),
        })
    }
}

impl Entry {
    /// What decides how it is asked.
    pub fn target(&self) -> Target {
        Target { id: self.id.clone(), family: Family::of(&self.base), vision: self.vision }
    }

    /// What Open WebUI lists.
    pub fn model(&self, builtin_tools: BuiltinTools) -> Model {
        let tools = match builtin_tools {
            BuiltinTools::Always => true,
            BuiltinTools::Never => false,
            BuiltinTools::WhenSupported => Family::of(&self.base).tools == Tools::Yes,
        };
        let model = Model::new(&self.id, &self.name)
            .described(format!("{} - {}", self.name, self.region))
            .capable("usage", true)
            .capable("builtin_tools", tools);
        match self.vision {
            Some(vision) => model.capable("vision", vision),
            None => model,
        }
    }
}
