//! The valves: the models, how their answers are put together, and the limits of images.

use crate::{pipe_id::PIPE_ID, template::Template};
use guarded_fetch::HostPattern;
use pipe_sdk::{ValveError, Valves, split_list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of chats that several models read.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MultimodalValves {
    /// The model that reads images: the id of a model of this host. Example:
    /// `bedrock_models.us.amazon.nova-lite-v1:0`.
    #[schemars(title = "Models · Images", extend("x-everyday" = true, "x-models" = true))]
    pub image_model: Option<String>,

    /// The model that reads text: the id of a model of this host. With it and the model for images,
    /// the model `multimodal` appears. Example: `openai_proxy.llama3.3`.
    #[schemars(title = "Models · Text", extend("x-everyday" = true, "x-models" = true))]
    pub text_model: Option<String>,

    /// The model that reads files, such as PDFs: the id of a model of this host. None: the model
    /// for text gets them, if it takes them.
    #[schemars(title = "Models · Files", extend("x-models" = true))]
    pub file_model: Option<String>,

    /// The model that reads audio: the id of a model of this host. None: the model for text gets
    /// it, if it takes it.
    #[schemars(title = "Models · Audio", extend("x-models" = true))]
    pub audio_model: Option<String>,

    /// The model that answers from what the others answered: the id of a model of this host. None:
    /// their answers are shown one below the other.
    #[schemars(title = "Answer · Model", extend("x-everyday" = true, "x-models" = true))]
    pub fusion_model: Option<String>,

    /// The template of the answer, which puts the answers of the models together: blocks with a
    /// blank line between them, each with one of `{{text}}`, `{{images}}`, `{{files}}` and
    /// `{{audio}}`. `\n` is a line break. None: each under its heading, as in
    /// `TEXT:\n{{text}}\n\nIMAGES:\n{{images}}`.
    #[schemars(title = "Answer · Template", extend("x-everyday" = true))]
    pub fusion_template: Option<String>,

    /// Models that take no images, comma-separated, with `*` for anything and `!` before
    /// exceptions: in chats with them, the model for images describes each image, and the
    /// description takes its place. Models of this host that are known to take images keep them.
    /// Example: `openai_proxy.*, !openai_proxy.llava`.
    #[schemars(title = "Descriptions · Describe images for", extend("x-everyday" = true))]
    pub describe_images_for: Option<String>,

    /// The largest length of a description, in tokens.
    #[schemars(title = "Descriptions · Length (tokens)", range(min = 20, max = 4000))]
    pub description_tokens: u64,

    /// Hosts whose images may be fetched when a chat links to them, as in `example.com,
    /// *.example.org`; `*` for all public hosts. Private addresses are never asked. None: links are
    /// refused.
    #[schemars(title = "Images · Links", extend("x-everyday" = true))]
    pub image_hosts: Option<String>,

    /// The largest number of images that the model for images gets with a chat. A message with more
    /// is refused; of earlier messages, the newest images are shown.
    #[schemars(title = "Images · Maximum per chat", range(min = 1, max = 100))]
    pub max_images: usize,

    /// The largest number of images in one call of the model for images. More images are sent in
    /// several calls at once.
    #[schemars(title = "Images · Maximum per call", range(min = 1, max = 100))]
    pub max_images_per_call: usize,

    /// The longest side of an image in pixels. Larger images are shrunk.
    #[schemars(title = "Images · Longest side (pixels)", range(min = 64, max = 8000))]
    pub max_image_side: u32,

    /// The largest size of an image file in KiB. Larger ones are shrunk.
    #[schemars(title = "Images · Size (KiB)", range(min = 16, max = 20_000))]
    pub max_image_kib: usize,

    /// The time in which a model must begin to answer, in seconds; if the answer is not streamed,
    /// the time for all of it. A model that takes longer counts as failed, and the answers of the
    /// others are shown.
    #[schemars(title = "Limits · Time-out of a model (seconds)", range(min = 1, max = 3600))]
    pub timeout_seconds: u64,

    /// Describe images in chats of models of other connections of Open WebUI too, in place of
    /// offering a model here.
    #[schemars(title = "Filter · Be a filter")]
    pub filter: bool,

    /// The models whose chats the filter changes, by the ids that Open WebUI lists; `*` alone for
    /// all.
    #[schemars(title = "Filter · Models")]
    pub pipelines: Vec<String>,

    /// The position among the filters: those with smaller numbers run first.
    #[schemars(title = "Filter · Priority")]
    pub priority: i64,
}

impl Default for MultimodalValves {
    fn default() -> Self {
        Self {
            image_model: None,
            text_model: None,
            file_model: None,
            audio_model: None,
            fusion_model: None,
            fusion_template: None,
            describe_images_for: None,
            description_tokens: 400,
            image_hosts: Some("*".into()),
            max_images: 20,
            max_images_per_call: 20,
            max_image_side: 2048,
            max_image_kib: 3600,
            timeout_seconds: 120,
            filter: false,
            pipelines: vec!["*".into()],
            priority: 0,
        }
    }
}

impl MultimodalValves {
    /// Returns the time-out of a model.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Returns the template of the answer.
    ///
    /// # Errors
    /// The rule that the valve breaks.
    pub(crate) fn template(&self) -> Result<Template, String> {
        self.fusion_template.as_deref().map_or_else(|| Ok(Template::default()), Template::parse)
    }
}

impl Valves for MultimodalValves {
    fn validate(&self) -> Vec<ValveError> {
        let mut errors = Vec::new();
        let mut add = |valve: &str, rule: String| errors.push(ValveError::new(valve, rule));
        let models = [
            ("image_model", &self.image_model),
            ("text_model", &self.text_model),
            ("file_model", &self.file_model),
            ("audio_model", &self.audio_model),
            ("fusion_model", &self.fusion_model),
        ];
        for (valve, model) in models {
            let model = model.as_deref().unwrap_or_default();
            if model == PIPE_ID || model.starts_with(&format!("{PIPE_ID}.")) {
                add(valve, "must not name a model of this pipe".into());
            }
            if model.contains(',') {
                add(valve, "must be the id of one model".into());
            }
        }
        if let Err(rule) = self.template() {
            add("fusion_template", rule);
        }
        let describes = split_list(&self.describe_images_for).next().is_some();
        if describes && self.image_model.is_none() {
            add("describe_images_for", "needs `image_model`, which describes the images".into());
        }
        if self.filter && !describes {
            add("filter", "needs `describe_images_for`, the models that take no images".into());
        }
        let is_bad = |host: &str| host != "*" && host.parse::<HostPattern>().is_err();
        if split_list(&self.image_hosts).any(is_bad) {
            let rule = "must be names of hosts, as in example.com or *.example.org, or *";
            add("image_hosts", rule.into());
        }
        errors
    }
}
