//! The model lists on disk, so that a host that starts while an upstream is down has its models.
//!
//! The file holds names and no secrets. A list is used for the address and the key that it was
//! fetched with, and for no others.

use super::upstream_models::UpstreamModels;
use crate::{upstreams::ConnectedUpstream, valves::UpstreamConfig};
use openai_client::ModelListEntry;
use pipe_sdk::{Fingerprint, StateFolder};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// The file of the model lists.
#[derive(Debug, Default)]
pub(crate) struct SavedListsFile {
    folder: StateFolder,
    /// The lists that were saved last, in the order of the upstreams.
    last_saved: Mutex<Vec<Option<Vec<ModelListEntry>>>>,
}

/// The saved list of one upstream.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedModelList {
    upstream: Fingerprint,
    models: Vec<ModelListEntry>,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct SavedLists {
    /// The version of the format; other versions are ignored.
    form: u32,
    upstreams: Vec<SavedModelList>,
}

const FILE_NAME: &str = "model-lists.json";
const FORMAT_VERSION: u32 = 1;

impl SavedListsFile {
    /// Returns the file in this folder.
    pub fn new(folder: StateFolder) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Returns the same file for another catalog, which has not saved anything yet.
    pub fn reopen(&self) -> Self {
        Self::new(self.folder.clone())
    }

    /// Returns the saved lists.
    pub async fn load(&self) -> Vec<SavedModelList> {
        let lists = self.folder.load::<SavedLists>(FILE_NAME).await;
        let lists = lists.filter(|lists| lists.form == FORMAT_VERSION);
        lists.map_or_else(Vec::new, |lists| lists.upstreams)
    }

    /// Saves the lists of these upstreams, unless they equal those that were saved last.
    pub async fn save(&self, upstreams: &[ConnectedUpstream], models: &[UpstreamModels]) {
        let lists: Vec<_> = models.iter().map(|known| known.list().map(<[_]>::to_vec)).collect();
        {
            let mut last = self.last_saved.lock().unwrap_or_else(PoisonError::into_inner);
            if *last == lists || lists.iter().all(Option::is_none) {
                return;
            }
            last.clone_from(&lists);
        }
        let lists = upstreams.iter().zip(lists).filter_map(|(upstream, models)| {
            let identity = identity(&upstream.config);
            let upstream = Fingerprint::from_texts(&identity.each_ref().map(String::as_str));
            Some(SavedModelList { upstream, models: models? })
        });
        let lists = SavedLists { form: FORMAT_VERSION, upstreams: lists.collect() };
        self.folder.save(FILE_NAME, &lists).await;
    }
}

impl SavedModelList {
    /// Returns the models, if the list was fetched from this upstream with the same key.
    pub fn models_of(&self, config: &UpstreamConfig) -> Option<Vec<ModelListEntry>> {
        let is_same = self.upstream.matches(&identity(config).each_ref().map(String::as_str));
        is_same.then(|| self.models.clone())
    }
}

/// Returns the texts that identify an upstream, its key included.
fn identity(config: &UpstreamConfig) -> [String; 3] {
    let key = config.credentials.key.expose().unwrap_or_default().to_owned();
    let organization = config.credentials.organization.clone().unwrap_or_default();
    [format!("{:?}", config.base_url), key, organization]
}
