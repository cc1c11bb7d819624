//! Chats of text, images, files and audio: each goes to the model that suits it, and one answer
//! comes of all.
//!
//! The model `multimodal` finds what a chat holds (`attachments`), checks and shrinks its images
//! (`loader`, `decode_permits`, `picture`), splits it (`sections`) and asks all models at once
//! (`run`). Their answers are shown in a template (`template`, `layout`), or another model answers
//! from them.
//!
//! For models that take no images, the pipe takes chats over and puts descriptions in the place of
//! images (`descriptions`); as a filter, for models of other connections of Open WebUI too
//! (`filter`).

mod attachments;
mod decode_permits;
mod descriptions;
mod filter;
mod layout;
mod loader;
mod picture;
mod pipe_id;
mod run;
mod section_kind;
mod sections;
mod status;
mod template;
mod valves;

pub use valves::MultimodalValves;

use descriptions::Describer;
use futures_util::{StreamExt, TryStreamExt, stream};
use loader::{LoadedImages, Loader};
use pipe_id::PIPE_ID;
use pipe_sdk::{
    Body, Call, CallerId, ChunkStream, FilterBody, FilterCall, Host, HostBackend, Model,
    ModelMetadata, Pipe, PipeError, Result, Serves, ValveError, matches_glob, split_list,
};
use run::Fusion;
use serde_json::Value;
use status::status;
use std::sync::Arc;
use template::Template;

/// The pipe.
pub struct Multimodal {
    valves: MultimodalValves,
    template: Template,
    loader: Loader,
    describer: Option<Describer>,
}

impl Pipe for Multimodal {
    const ID: &'static str = PIPE_ID;
    const NAME: &'static str = "Text and images by different models";
    type Valves = MultimodalValves;

    async fn on_startup(valves: MultimodalValves) -> Result<Self> {
        let template = valves
            .template()
            .map_err(|rule| PipeError::BadValves(vec![ValveError::new("fusion_template", rule)]))?;
        let describer = valves
            .image_model
            .clone()
            .map(|model| Describer::new(model, valves.description_tokens, valves.timeout()));
        Ok(Self { template, loader: Loader::new(&valves)?, describer, valves })
    }

    fn serves(&self) -> Serves {
        let MultimodalValves { filter, pipelines, priority, .. } = &self.valves;
        if *filter {
            return Serves::Filter { pipelines: pipelines.clone(), priority: *priority };
        }
        if !self.has_models() {
            return Serves::manifold([]);
        }
        let reads = vec!["text", "image", "file", "audio"];
        let model = Model::new(PIPE_ID, "Text and images")
            .with_description("Sends text and images to the models that suit them.")
            .with_capability("vision", true)
            .with_capability("usage", true)
            .with_metadata(ModelMetadata { reads, ..ModelMetadata::default() });
        Serves::Model(model)
    }

    fn take_over(&self, body: &mut Body, host: &dyn HostBackend) {
        if self.describer.is_some()
            && attachments::has_images(&body.messages)
            && self.describes_for(&body.model, host)
        {
            body.model = format!("{PIPE_ID}.{}", body.model);
        }
    }

    fn describes_images_for(&self, model: &str) -> bool {
        self.describer.is_some() && self.is_named(model)
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        if call.model != PIPE_ID {
            return self.answer_described(call).await;
        }
        if self.valves.filter || !self.has_models() {
            return Err(PipeError::ModelNotFound(call.model));
        }
        self.answer(call).await
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        if self.valves.filter { self.apply_to_inlet(call).await } else { Ok(call.body) }
    }
}

impl Multimodal {
    fn has_models(&self) -> bool {
        self.valves.image_model.is_some() && self.valves.text_model.is_some()
    }

    /// Returns whether the valve *Describe images for* names this model.
    fn is_named(&self, model: &str) -> bool {
        let own = [Some(PIPE_ID), self.valves.image_model.as_deref()];
        if own.contains(&Some(model)) || model.strip_prefix(PIPE_ID).is_some_and(is_in_pipe) {
            return false;
        }
        let (exceptions, patterns): (Vec<_>, Vec<_>) =
            split_list(&self.valves.describe_images_for).partition(|one| one.starts_with('!'));
        let is_like = |pattern: &str| matches_glob(pattern.trim(), model);
        patterns.into_iter().any(is_like)
            && !exceptions.into_iter().filter_map(|one| one.strip_prefix('!')).any(is_like)
    }

    /// Returns whether images are described for this model of the host.
    fn describes_for(&self, model: &str, host: &dyn HostBackend) -> bool {
        if self.valves.describe_images_for.is_none() {
            return false;
        }
        let card = host.find_model(model);
        let id = card.as_ref().map_or(model, |card| &card.id);
        self.is_named(id) && card.as_ref().and_then(|card| card.vision) != Some(true)
    }

    /// Answers a chat by the models that suit its parts.
    async fn answer(&self, call: Call) -> Result<ChunkStream> {
        let Call { mut body, host, .. } = call;
        body.model = self.valves.text_model.clone().unwrap_or_default();
        let attachments = attachments::find(&mut body.messages)?;
        if attachments.is_empty() {
            return host.pipe(body).await;
        }
        let caller = host.context().caller();
        let images = self.loader.load(&mut body.messages, &attachments, caller).await?;
        let (is_streamed, format) = (body.stream, body.rest.get("response_format").cloned());
        let mut sections = sections::split(&mut body, &attachments, images, &self.valves, &host);
        if let [section] = &mut sections[..]
            && let Ok([call]) = section.calls.as_deref_mut()
        {
            return host.pipe(std::mem::take(call)).await;
        }
        let fusion_model = self.valves.fusion_model.clone();
        if fusion_model.is_none() {
            check_format(format.as_ref())?;
        }
        let fusion = Fusion {
            template: &self.template,
            is_streamed,
            body: fusion_model.map(|model| Body { model, ..body }),
            timeout: self.valves.timeout(),
        };
        run::answer(sections, fusion, &host).await
    }

    /// Answers a chat by a model that takes no images.
    async fn answer_described(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let Call { model, mut body, host, .. } = call;
        let not_found = || PipeError::ModelNotFound(format!("{PIPE_ID}.{model}"));
        let is_known = self.describes_for(&model, host.backend());
        let describer = self.describer.as_ref().filter(|_| is_known).ok_or_else(not_found)?;
        body.model.clone_from(&model);
        let images = self.load_images(&mut body, host.context().caller()).await?;
        if let Some(found) = describer.find(&images) {
            found.replace_images(&mut body.messages, &images);
            return host.pipe(body).await;
        }
        let line = format_progress(&images);
        let rest = async move { self.describe_and_answer(body, images, host).await };
        let rest = stream::once(rest).try_flatten();
        Ok(ChunkStream::new(stream::iter([Ok(status(&line, false))]).chain(rest)))
    }

    async fn describe_and_answer(
        &self,
        mut body: Body,
        images: LoadedImages,
        host: Host,
    ) -> Result<ChunkStream> {
        let Some(describer) = &self.describer else { return host.pipe(body).await };
        let found = describer.describe(&images, &host).await;
        found.replace_images(&mut body.messages, &images);
        let line = found.error().unwrap_or_else(|| "The images are described".into());
        let answer = host.pipe(body).await?.with_added_usage(found.usage);
        Ok(ChunkStream::new(stream::iter([Ok(status(&line, true))]).chain(answer)))
    }

    async fn load_images(&self, body: &mut Body, caller: CallerId) -> Result<LoadedImages> {
        let attachments = attachments::find(&mut body.messages)?;
        self.loader.load(&mut body.messages, &attachments, caller).await
    }
}

/// Returns whether this follows the id of a pipe in the id of one of its models.
fn is_in_pipe(rest: &str) -> bool {
    rest.starts_with('.')
}

/// Returns the line that is shown when descriptions begin.
fn format_progress(images: &LoadedImages) -> String {
    match images.pictures().count() {
        1 => "Describing an image".into(),
        count => format!("Describing {count} images"),
    }
}

/// Refuses a wish for JSON where the answers of several models are shown one below the other.
fn check_format(format: Option<&Value>) -> Result<()> {
    let format = format.and_then(|format| format.get("type"));
    if format.and_then(Value::as_str).is_none_or(|format| format == "text") {
        return Ok(());
    }
    let rule = "several models answer this chat one below the other: leave `response_format` out, \
                or have an admin set `fusion_model`, which answers in one format";
    Err(PipeError::bad_field("response_format", rule))
}
