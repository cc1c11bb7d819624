//! Entries of the model list in place of models that could not be listed: their descriptions say
//! why, and a chat with one explains it at length. Where roles are known, only admins see them.

use super::{list_error::ListError, region_models::RegionModels};
use pipe_sdk::{Model, PickerAudience, PipeError};
use std::sync::Arc;

/// An entry for models that could not be listed.
#[derive(Debug)]
pub struct ListingGap {
    /// The id of the entry.
    pub id: String,
    name: String,
    region: Option<Arc<str>>,
    error: ListError,
}

/// Returns one entry for each region with missing models, or a single one if there is no chat model
/// at all.
pub fn find_gaps(regions: &[RegionModels], has_no_chat_model: bool) -> Vec<ListingGap> {
    let gaps: Vec<_> = regions.iter().filter_map(|region| Some((region, region.gap()?))).collect();
    let are_alike = gaps.iter().all(|(_, error)| error.message == gaps[0].1.message);
    let have_all_failed = has_no_chat_model && gaps.len() == regions.len();
    match gaps.first() {
        // Open WebUI would take an empty list for a connection without models.
        None if has_no_chat_model && !regions.iter().all(RegionModels::is_listed) => {
            vec![ListingGap::in_all_regions(
                "loading",
                "Bedrock is loading",
                ListError::for_pending_list(),
            )]
        }
        Some((_, error)) if have_all_failed && are_alike => {
            vec![ListingGap::in_all_regions("error", "⚠ Amazon Bedrock", (*error).clone())]
        }
        _ => {
            let gap =
                |(region, error): (&RegionModels, _)| ListingGap::in_region(&region.name, error);
            gaps.into_iter().map(gap).collect()
        }
    }
}

impl ListingGap {
    /// Creates a gap that concerns all regions.
    fn in_all_regions(id: &str, name: &str, error: ListError) -> Self {
        Self { id: id.into(), name: name.into(), region: None, error }
    }

    /// Creates the entry for a region.
    pub fn in_region(region: &Arc<str>, error: &ListError) -> Self {
        Self {
            id: format!("error-{region}"),
            name: format!("⚠ Bedrock {region}"),
            region: Some(Arc::clone(region)),
            error: error.clone(),
        }
    }

    /// Returns the error of a chat with this entry.
    pub fn to_error(&self) -> PipeError {
        self.error.to_pipe_error(self.region.as_deref())
    }

    /// Returns the error of a request for a model that may be among the missing ones.
    pub fn to_lookup_error(&self) -> PipeError {
        self.error.to_lookup_error(self.region.as_deref())
    }

    /// Returns the entry as clients list it.
    pub fn to_model(&self) -> Model {
        Model::new(&self.id, &self.name)
            .with_description(self.error.describe(self.region.as_deref()) + ".")
            .with_audience(PickerAudience::Admins)
            .with_capability("builtin_tools", false)
    }
}
