//! What all upstreams have, made one list; what is missing is said by an entry of its own.

use super::{shelf::Shelf, trouble::Gap};
use crate::{
    PIPE,
    ways::{Way, Ways},
};
use openai_client::Listed;
use pipe_sdk::{Model, ModelKind, PipeError};
use std::{collections::HashMap, sync::Arc};

/// The list that people see, and what a chat looks its model up in.
#[derive(Debug)]
pub(crate) struct Listing {
    models: Arc<[Model]>,
    entries: HashMap<String, Entry>,
    /// Of each upstream, why it is not known which models it has.
    gaps: Vec<Option<Gap>>,
    /// Of each upstream, whether it is known.
    certain: Vec<bool>,
    trouble: Option<String>,
}

/// One model, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its id within the pipe.
    pub id: String,
    /// The place of its upstream.
    pub way: usize,
    /// What its upstream calls it.
    pub name: String,
    pub kind: ModelKind,
}

impl Listing {
    /// The list of these upstreams.
    pub fn of(ways: &Ways, shelves: &[Shelf], builtin_tools: bool) -> Self {
        let (mut models, mut entries) = (Vec::new(), HashMap::new());
        for (place, (way, shelf)) in ways.0.iter().zip(shelves).enumerate() {
            let listed = shelf.models(way);
            // An old list is better than a word that there is no newer one.
            if listed.iter().all(|model| model.kind != ModelKind::Chat)
                && let Some(gap) = missing(shelf)
            {
                models.push(said(way, gap));
            }
            for model in listed {
                models.push(shown(way, &model, builtin_tools));
                let (id, kind) = (way.id(&model.id), model.kind);
                entries.insert(id.clone(), Entry { id, way: place, name: model.id, kind });
            }
        }
        let troubles = ways.0.iter().zip(shelves).filter_map(|(way, shelf)| {
            let saved = if shelf.is_saved() {
                " (the models that it had before the start are served)"
            } else {
                ""
            };
            Some(format!("{}: {}{saved}", way.name(), shelf.gap()?.words()))
        });
        let trouble = troubles.collect::<Vec<_>>().join("; ");
        Self {
            models: models.into(),
            entries,
            gaps: shelves.iter().map(missing).collect(),
            certain: shelves.iter().map(Shelf::is_certain).collect(),
            trouble: Some(trouble).filter(|trouble| !trouble.is_empty()),
        }
    }

    /// What Open WebUI lists.
    pub fn models(&self) -> Arc<[Model]> {
        Arc::clone(&self.models)
    }

    /// Which upstreams could not be listed lately, and why.
    pub fn health_problem(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The model of this id, with or without the pipe's own before it.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        let bare = || id.strip_prefix(PIPE)?.strip_prefix('.');
        self.entries.get(id).or_else(|| self.entries.get(bare()?))
    }

    /// Why nobody answers for this id: it is an entry that only says so, or its upstream takes nobody without a good key.
    pub fn gap(&self, id: &str, ways: &Ways) -> Option<PipeError> {
        let said = ways.0.iter().position(|way| gap_id(way) == id);
        let locked = || {
            let (way, _) = ways.named(id).filter(|(way, _)| !self.certain[*way])?;
            matches!(self.gaps[way]?, Gap::NoKey | Gap::BadKey).then_some(way)
        };
        let way = said.or_else(locked)?;
        Some(self.gaps[way]?.error(&ways.0[way]))
    }

    /// Why it cannot be told whether an upstream has the model of this id: one that could be the one has failed to list what it has.
    pub fn silence(&self, id: &str, ways: &Ways) -> Option<String> {
        let (way, name) = ways.named(id).filter(|(way, _)| !self.certain[*way])?;
        let gap = self.gaps[way].filter(|gap| gap.hides_models())?;
        let way = &ways.0[way];
        way.wants(name).then(|| format!("{}: {}", way.name(), gap.words()))
    }

    /// The model of this id, if it may be there all the same: its upstream has not said which it has, or it does not chat, and many
    /// servers list nothing else.
    pub fn guess(&self, id: &str, ways: &Ways, kind: ModelKind) -> Option<Entry> {
        let (way, name) = ways.named(id)?;
        let may_be = !self.certain[way] || kind != ModelKind::Chat;
        let entry = || Entry { id: id.into(), way, name: name.into(), kind };
        (may_be && ways.0[way].wants(name)).then(entry)
    }
}

fn missing(shelf: &Shelf) -> Option<Gap> {
    if shelf.is_heard() { shelf.gap().copied() } else { Some(Gap::Loading) }
}

fn gap_id(way: &Way) -> String {
    match &way.prefix {
        Some(prefix) => format!("error-{prefix}"),
        None => "error".into(),
    }
}

fn said(way: &Way, gap: Gap) -> Model {
    Model::new(gap_id(way), format!("{}: {}", way.name(), gap.words()))
        .with_description("Chat with this entry to read what to do.")
        .with_capability("builtin_tools", false)
}

fn shown(way: &Way, listed: &Listed, builtin_tools: bool) -> Model {
    let name = way.id(listed.name.as_deref().unwrap_or(&listed.id));
    let tools = builtin_tools && listed.tools.unwrap_or(true);
    let mut model = Model::new(way.id(&listed.id), name).with_kind(listed.kind);
    if let Some(context) = listed.context {
        model = model.with_description(format!("{context} tokens of context"));
    }
    if let Some(vision) = listed.vision {
        model = model.with_capability("vision", vision);
    }
    model.with_capability("builtin_tools", tools).with_capability("usage", true)
}
