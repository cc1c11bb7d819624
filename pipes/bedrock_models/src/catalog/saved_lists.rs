//! The lists as they are kept on disk, so that a host that starts without AWS has the models that
//! it had before.
//!
//! They hold names and no secrets. They are used for the account and the endpoint that they were
//! made with, and for no other.

use super::{
    model_entry::FoundationModel,
    model_route::{ModelRoute, RouteList},
};
use pipe_sdk::{Fingerprint, StateFolder};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The file that stores the lists of an account.
#[derive(Debug)]
pub struct ListFile {
    folder: StateFolder,
    /// The texts that identify the account.
    account: Vec<String>,
    /// The content that was saved last.
    last_saved: Mutex<Vec<SavedRegion>>,
}

/// The stored lists of one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedRegion {
    /// The name.
    pub region: String,
    /// The time at which its models were listed, in seconds since 1970, by the hour.
    pub listed_at: u64,
    /// The foundation models.
    pub foundations: Vec<FoundationModel>,
    /// The lists beside.
    #[serde(rename = "ways")]
    pub routes: BTreeMap<RouteList, Vec<ModelRoute>>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct SavedLists {
    /// The format of the file; others are ignored.
    #[serde(rename = "form")]
    version: u32,
    account: Fingerprint,
    regions: Vec<SavedRegion>,
}

/// The name of the file.
const NAME: &str = "model-lists.json";
const FORMAT_VERSION: u32 = 1;

impl ListFile {
    /// Returns the file of this account in this folder.
    pub fn new(folder: StateFolder, account: Vec<String>) -> Self {
        Self { folder, account, last_saved: Mutex::default() }
    }

    /// Returns the same folder's file for another account.
    pub fn for_account(&self, account: Vec<String>) -> Self {
        Self::new(self.folder.clone(), account)
    }

    /// Returns the lists that were saved of this account.
    pub async fn load(&self) -> Vec<SavedRegion> {
        let Some(lists) = self.folder.load::<SavedLists>(NAME).await else { return Vec::new() };
        if lists.version != FORMAT_VERSION || !lists.account.matches(&self.account_texts()) {
            tracing::info!("The saved lists of models are of another account, and are not used.");
            return Vec::new();
        }
        lists.regions
    }

    /// Saves these lists, if they are not what was saved last.
    pub async fn save(&self, regions: Vec<SavedRegion>) {
        if regions.is_empty() || *self.last_saved() == regions {
            return;
        }
        self.last_saved().clone_from(&regions);
        let lists = SavedLists {
            version: FORMAT_VERSION,
            account: Fingerprint::from_texts(&self.account_texts()),
            regions,
        };
        self.folder.save(NAME, &lists).await;
    }

    /// Returns the texts that identify the account, for the fingerprint of the file.
    fn account_texts(&self) -> Vec<&str> {
        self.account.iter().map(String::as_str).collect()
    }

    fn last_saved(&self) -> std::sync::MutexGuard<'_, Vec<SavedRegion>> {
        self.last_saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns this hour, in seconds since 1970.
pub fn this_hour() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    now - now % HOUR
}

/// Describes the age of a list, as in `3 hours ago`.
pub fn describe_age(listed_at: u64) -> String {
    let age = Duration::from_secs(this_hour().saturating_sub(listed_at));
    match age.as_secs() / HOUR {
        0 => "less than two hours".into(),
        hours @ 1..48 => format!("{} hours", hours + 1),
        hours => format!("{} days", hours / 24),
    }
}

const HOUR: u64 = 60 * 60;
