//! The models of one upstream, as far as they are known.

use super::listing_gap::ListingGap;
use crate::valves::UpstreamConfig;
use openai_client::{ModelListEntry, OpenAiError};

/// The models of one upstream, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamModels {
    /// The last list that the upstream sent.
    listed: Option<Vec<ModelListEntry>>,
    /// The reason why there is no list, or no newer one; `None` also before the first answer.
    gap: Option<ListingGap>,
    /// `true` if the list was saved before the start.
    is_saved: bool,
}

impl UpstreamModels {
    /// Returns the models that were saved before the start.
    pub fn from_saved(listed: Vec<ModelListEntry>) -> Self {
        Self { listed: Some(listed), gap: None, is_saved: true }
    }

    /// Returns the last list that the upstream sent.
    pub fn list(&self) -> Option<&[ModelListEntry]> {
        self.listed.as_deref()
    }

    /// Returns whether the list was saved before the start.
    pub fn is_saved(&self) -> bool {
        self.is_saved
    }

    /// Takes the answer of the upstream. A failure keeps the last list.
    pub fn update(
        &mut self,
        config: &UpstreamConfig,
        answer: Result<Vec<ModelListEntry>, OpenAiError>,
    ) {
        match answer {
            Ok(listed) => *self = Self { listed: Some(listed), gap: None, is_saved: false },
            // The server serves models, but has no route that lists them.
            Err(OpenAiError::Api(error)) if matches!(error.status, 404 | 405 | 501) => {
                let has_names = !config.named_models().is_empty();
                let gap = (!has_names).then_some(ListingGap::NoList);
                *self = Self { listed: Some(Vec::new()), gap, is_saved: false };
            }
            Err(error) => self.gap = Some(ListingGap::from_error(&error, config)),
        }
    }

    /// Returns whether the upstream has answered or failed at least once.
    pub fn has_answered(&self) -> bool {
        self.listed.is_some() || self.gap.is_some()
    }

    /// Returns whether a model that is not listed does not exist.
    pub fn is_certain(&self) -> bool {
        self.listed.is_some() && !self.is_saved && self.gap != Some(ListingGap::NoList)
    }

    /// Returns the reason for which there is no list, or no newer one.
    pub fn gap(&self) -> Option<ListingGap> {
        self.gap
    }

    /// Returns the models to serve: the listed ones that the valves include, and those that the
    /// valves name.
    pub fn served_models(&self, config: &UpstreamConfig) -> Vec<ModelListEntry> {
        let listed = self.listed.iter().flatten().filter(|model| config.includes(&model.id));
        let mut models: Vec<_> = listed.cloned().collect();
        for name in config.named_models() {
            if self.has_answered() && models.iter().all(|model| model.id != name) {
                models.push(ModelListEntry::from_name(name));
            }
        }
        models
    }
}
