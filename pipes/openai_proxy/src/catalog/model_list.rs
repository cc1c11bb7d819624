//! The models of all upstreams in one list. An upstream without a list has an entry that says why.

use super::{listing_gap::ListingGap, upstream_models::UpstreamModels};
use crate::{
    pipe_id::PIPE_ID,
    valves::{UpstreamConfig, UpstreamConfigs},
};
use openai_client::ModelListEntry;
use pipe_sdk::{Model, ModelKind, PickerAudience, PipeError, describe_context, shorten_name};
use std::{collections::HashMap, sync::Arc};

/// The models of all upstreams, as clients list them and as chats look them up.
#[derive(Debug)]
pub(crate) struct ModelList {
    models: Arc<[Model]>,
    /// The same models by their ids.
    by_id: HashMap<String, Arc<Model>>,
    entries: HashMap<String, ModelEntry>,
    /// The reason, for each upstream, why its models are not known.
    gaps: Vec<Option<ListingGap>>,
    /// `true` for each upstream whose list is complete and current.
    are_certain: Vec<bool>,
    health_problem: Option<String>,
}

/// A model of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    /// The id within the pipe.
    pub id: String,
    /// The index of the upstream.
    pub upstream: usize,
    /// The name that the upstream has for it.
    pub name: String,
    pub kind: ModelKind,
}

impl ModelList {
    /// Joins the models of these upstreams.
    pub fn new(
        configs: &UpstreamConfigs,
        upstreams: &[UpstreamModels],
        builtin_tools: bool,
    ) -> Self {
        let (mut models, mut entries) = (Vec::new(), HashMap::new());
        for (upstream, (config, known)) in configs.0.iter().zip(upstreams).enumerate() {
            let listed = known.served_models(config);
            // Stale models are of more use than an entry that says that there are no newer ones.
            if listed.iter().all(|model| model.kind != ModelKind::Chat)
                && let Some(gap) = gap_of(known)
            {
                models.push(gap_model(config, gap));
            }
            for model in listed {
                models.push(to_model(config, &model, builtin_tools));
                let (id, kind) = (config.model_id(&model.id), model.kind);
                entries.insert(id.clone(), ModelEntry { id, upstream, name: model.id, kind });
            }
        }
        let problems: Vec<_> =
            configs.0.iter().zip(upstreams).filter_map(|(c, known)| problem_of(c, known)).collect();
        // Of two models with the same id, the first one counts.
        let by_id = models.iter().rev();
        let by_id = by_id.map(|model| (model.id.clone(), Arc::new(model.clone()))).collect();
        Self {
            by_id,
            models: models.into(),
            entries,
            gaps: upstreams.iter().map(gap_of).collect(),
            are_certain: upstreams.iter().map(UpstreamModels::is_certain).collect(),
            health_problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }

    /// Returns the models that Open WebUI lists.
    pub fn models(&self) -> Arc<[Model]> {
        Arc::clone(&self.models)
    }

    /// Returns the model with this id, as Open WebUI lists it.
    pub fn model(&self, id: &str) -> Option<Arc<Model>> {
        self.by_id.get(id).map(Arc::clone)
    }

    /// Names the upstreams that could not be listed lately, and the reasons.
    pub fn health_problem(&self) -> Option<&str> {
        self.health_problem.as_deref()
    }

    /// Returns the model with this id, with or without the id of the pipe before it.
    pub fn entry(&self, id: &str) -> Option<&ModelEntry> {
        let bare = || id.strip_prefix(PIPE_ID)?.strip_prefix('.');
        self.entries.get(id).or_else(|| self.entries.get(bare()?))
    }

    /// Returns the error for an id that no upstream can answer: that of an entry that only explains
    /// a gap, or of an upstream without a valid key.
    pub fn gap_error(&self, id: &str, configs: &UpstreamConfigs) -> Option<PipeError> {
        let explained = configs.0.iter().position(|config| gap_model_id(config) == id);
        let without_key = || {
            let upstream = self.find_uncertain(id, configs)?.0;
            matches!(self.gaps[upstream]?, ListingGap::NoKey | ListingGap::BadKey)
                .then_some(upstream)
        };
        let upstream = explained.or_else(without_key)?;
        Some(self.gaps[upstream]?.to_pipe_error(&configs.0[upstream]))
    }

    /// Returns the reason for which it is unknown if the model with this id exists: the upstream
    /// that it would belong to could not be listed.
    pub fn uncertainty(&self, id: &str, configs: &UpstreamConfigs) -> Option<String> {
        let (upstream, name) = self.find_uncertain(id, configs)?;
        let gap = self.gaps[upstream].filter(|gap| gap.hides_models())?;
        let config = &configs.0[upstream];
        config.includes(name).then(|| format!("{}: {}", config.name(), gap.message()))
    }

    /// Returns an entry for a model that is not listed but may exist: the list of its upstream is
    /// incomplete, or the model does not chat, and many servers list chat models only.
    pub fn guess(
        &self,
        id: &str,
        configs: &UpstreamConfigs,
        kind: ModelKind,
    ) -> Option<ModelEntry> {
        let (upstream, name) = configs.find(id)?;
        let may_exist = !self.are_certain[upstream] || kind != ModelKind::Chat;
        let entry = || ModelEntry { id: id.into(), upstream, name: name.into(), kind };
        (may_exist && configs.0[upstream].includes(name)).then(entry)
    }

    /// Returns the upstream of this id and the name of the model there, if its list is uncertain.
    fn find_uncertain<'a>(
        &self,
        id: &'a str,
        configs: &UpstreamConfigs,
    ) -> Option<(usize, &'a str)> {
        configs.find(id).filter(|(upstream, _)| !self.are_certain[*upstream])
    }
}

/// Returns why the list of an upstream is missing.
fn gap_of(known: &UpstreamModels) -> Option<ListingGap> {
    if known.has_answered() { known.gap() } else { Some(ListingGap::Loading) }
}

/// Describes the problem of an upstream, for the admin.
fn problem_of(config: &UpstreamConfig, known: &UpstreamModels) -> Option<String> {
    let message = known.gap()?.message();
    let note = " (the models that it had before the start are served)";
    let note = if known.is_saved() { note } else { "" };
    Some(format!("{}: {message}{note}", config.name()))
}

/// Returns the id of the model that the picker shows for a missing list.
fn gap_model_id(config: &UpstreamConfig) -> String {
    match &config.prefix {
        Some(prefix) => format!("error-{prefix}"),
        None => "error".into(),
    }
}

fn gap_model(config: &UpstreamConfig, gap: ListingGap) -> Model {
    Model::new(gap_model_id(config), shorten_name(&format!("⚠ {}", config.name())))
        .with_description(gap.to_pipe_error(config).to_string() + ".")
        .with_audience(PickerAudience::Admins)
        .with_capability("builtin_tools", false)
}

fn to_model(config: &UpstreamConfig, listed: &ModelListEntry, builtin_tools: bool) -> Model {
    let name = shorten_name(&config.model_id(listed.name.as_deref().unwrap_or(&listed.id)));
    let tools = builtin_tools && listed.tools.unwrap_or(true);
    let mut model = Model::new(config.model_id(&listed.id), name).with_kind(listed.kind);
    let is_local = config.base_url.is_local();
    let words = [
        listed.context.map(describe_context),
        listed.vision.filter(|sees| *sees).map(|_| "sees pictures".to_owned()),
        is_local.then(|| "local".to_owned()),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if !words.is_empty() {
        model = model.with_description(words.join(" · "));
    }
    if is_local {
        model = model.with_tag("local");
    } else if let Some(prefix) = &config.prefix {
        model = model.with_tag(prefix);
    }
    if let Some(vision) = listed.vision {
        model = model.with_capability("vision", vision);
        if vision {
            model = model.with_tag("pictures");
        }
    }
    model.with_capability("builtin_tools", tools).with_capability("usage", true)
}
