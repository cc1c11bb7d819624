//! Answers chats from documents: finds the passages that help, puts them before a model as numbered sources, and shows where an answer comes
//! from.
//!
//! A manifold: each generator of the valves gets a model, `rag.` and its id. Or a filter, which puts what it finds before the chats of any
//! model. The documents are kept in an index of the crate `retrieval`; whoever keeps them does so through [`library`](Pipe::library).

mod chat;
mod confined;
mod escape;
mod filter;
mod finder;
mod folder;
mod library;
mod meaning;
mod place;
mod prompt;
mod question;
mod reading;
mod rerank;
mod scope;
mod sources;
mod valves;

pub use confined::Stamp;
pub use document_parser::worker::run as parse;
pub use folder::files;
pub use valves::RagValves;

use finder::Finder;
use library::Shelves;
use meaning::Meaning;
use pipe_sdk::{
    Call, ChunkStream, FilterBody, FilterCall, Model, ModelResolution, Pipe, PipeError, Result,
    Serves, ValveError, library::Library, split_list,
};
use place::Place;
use prompt::Template;
use scope::Scope;
use std::{collections::BTreeSet, sync::Arc};

/// The argument with which the program starts itself again to read one file. Its `main` then does nothing but [`parse`].
pub const PARSE: &str = document_parser::worker::ARGUMENT;

/// The pipe.
pub struct Rag {
    valves: Arc<RagValves>,
    scope: Scope,
    template: Template,
    finder: Finder,
    shelves: Arc<Shelves>,
}

impl Pipe for Rag {
    const ID: &'static str = "rag";
    const NAME: &'static str = "Answers from documents";
    type Valves = RagValves;

    async fn on_startup(valves: RagValves) -> Result<Self> {
        Self::start(valves, true).await
    }

    async fn on_valves_updated(&self, valves: RagValves) -> Result<Self> {
        if !self.finder.place.matches(&valves) {
            return Self::start(valves, false).await;
        }
        let model = |valves: &RagValves| {
            let RagValves { embedding_model, model_folder, model_threads, .. } = valves;
            (embedding_model.clone(), model_folder.clone(), *model_threads)
        };
        let finder =
            if model(&valves) == model(&self.valves) && self.finder.meaning.missing().is_none() {
                self.finder.clone()
            } else {
                Finder { meaning: Meaning::of(&valves).await, ..self.finder.clone() }
            };
        let watched = self
            .shelves
            .watched
            .as_ref()
            .filter(|_| valves.watched_folder == self.valves.watched_folder);
        let is_first = watched.is_some_and(|watched| watched.is_first);
        Self::new(valves, finder, is_first)
    }

    fn serves(&self) -> Serves {
        let RagValves { filter, pipelines, priority, generators, .. } = self.valves.as_ref();
        if *filter {
            return Serves::Filter { pipelines: pipelines.clone(), priority: *priority };
        }
        let model = |id: &str| {
            Model::new(id, format!("{id} with documents"))
                .with_description("Answers from documents, and shows where from.")
                .with_capability("citations", true)
        };
        Serves::manifold(
            split_list(generators)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(model)
                .collect::<Vec<_>>(),
        )
    }

    /// Nothing without this pipe's name before it: the models here are called as the generators are, which others have.
    fn resolve_model(&self, _id: &str) -> Option<ModelResolution> {
        None
    }

    fn health_problem(&self) -> Option<String> {
        self.finder
            .place
            .health_problem()
            .or_else(|| self.finder.meaning.missing())
            .map(str::to_owned)
    }

    fn library(&self) -> Option<Arc<dyn Library>> {
        Some(self.shelves.clone())
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        if self.valves.filter || !split_list(&self.valves.generators).any(|id| id == call.model) {
            return Err(PipeError::ModelNotFound(call.model));
        }
        self.answer(call).await
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        if self.valves.filter { self.enriched(call).await } else { Ok(call.body) }
    }
}

impl Rag {
    async fn start(valves: RagValves, is_first: bool) -> Result<Self> {
        let place = Arc::new(Place::of(&valves).await?);
        let meaning = Meaning::of(&valves).await;
        Self::new(valves, Finder { place, meaning, memory: Arc::default() }, is_first)
    }

    /// Builds the pipe; `is_first` says that its watched folder is the one that the process started with.
    fn new(valves: RagValves, finder: Finder, is_first: bool) -> Result<Self> {
        let fault = |valve: &str, rule| PipeError::BadValves(vec![ValveError::new(valve, rule)]);
        let scope = Scope::read(&valves.collections).map_err(|rule| fault("collections", rule))?;
        let template = match &valves.prompt_template {
            None => Template::numbered(),
            Some(text) => Template::read(text).map_err(|rule| fault("prompt_template", rule))?,
        };
        let valves = Arc::new(valves);
        let shelves =
            Arc::new(Shelves::new(Arc::clone(&valves), scope.clone(), finder.clone(), is_first));
        Ok(Self { valves, scope, template, finder, shelves })
    }
}

#[cfg(test)]
mod tests;
