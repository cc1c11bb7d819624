//! The lists as they are kept on disk, so that a host that starts while an upstream is away has the models that it had before.
//!
//! They hold names and no secrets. A list is used for the address and the key that it was made with, and for no others.

use crate::{catalogue::shelf::Shelf, upstreams::Connected, ways::Way};
use openai_client::Listed;
use pipe_sdk::{Fingerprint, StateFolder};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// Where the lists are kept.
#[derive(Debug, Default)]
pub(crate) struct ListFile {
    folder: StateFolder,
    /// The lists that were saved last, by the place of their upstream.
    saved: Mutex<Vec<Option<Vec<Listed>>>>,
}

/// The list of one upstream.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedList {
    upstream: Fingerprint,
    models: Vec<Listed>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct SavedLists {
    /// Which form the file has; others are not read.
    form: u32,
    upstreams: Vec<SavedList>,
}

const NAME: &str = "model-lists.json";
const FORM: u32 = 1;

impl ListFile {
    /// The file in this folder.
    pub fn new(folder: StateFolder) -> Self {
        Self { folder, ..Self::default() }
    }

    /// The same file, of which nothing has been saved yet.
    pub fn again(&self) -> Self {
        Self::new(self.folder.clone())
    }

    /// Returns the lists that were saved.
    pub async fn load(&self) -> Vec<SavedList> {
        let lists = self.folder.load::<SavedLists>(NAME).await;
        lists.filter(|lists| lists.form == FORM).map_or_else(Vec::new, |lists| lists.upstreams)
    }

    /// Saves what is known of these upstreams, if it is not what was saved last.
    pub async fn save(&self, upstreams: &[Connected], shelves: &[Shelf]) {
        let lists: Vec<_> = shelves.iter().map(|shelf| shelf.list().map(<[_]>::to_vec)).collect();
        {
            let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
            if *saved == lists || lists.iter().all(Option::is_none) {
                return;
            }
            saved.clone_from(&lists);
        }
        let all = upstreams.iter().zip(lists);
        let all = all.filter_map(|(one, models)| {
            let upstream =
                Fingerprint::from_texts(&identity(&one.way).each_ref().map(String::as_str));
            Some(SavedList { upstream, models: models? })
        });
        self.folder.save(NAME, &SavedLists { form: FORM, upstreams: all.collect() }).await;
    }
}

impl SavedList {
    /// Returns the models, if they are of this upstream, asked by the same key.
    pub fn of(&self, way: &Way) -> Option<Vec<Listed>> {
        let is_same = self.upstream.matches(&identity(way).each_ref().map(String::as_str));
        is_same.then(|| self.models.clone())
    }
}

/// What tells an upstream from others, its key among it.
fn identity(way: &Way) -> [String; 3] {
    let key = way.credentials.key.expose().unwrap_or_default().to_owned();
    let organization = way.credentials.organization.clone().unwrap_or_default();
    [format!("{:?}", way.address), key, organization]
}
