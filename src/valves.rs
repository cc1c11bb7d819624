//! Valves, which admins set: layers with their sources, the specification for the form, parsing of
//! submitted values, masks, and storage.
//!
//! Everything here works on one pipe's valves as a flat JSON object and knows nothing of the pipe's
//! type; [`crate::slot`] joins the two.

mod credentials;
mod description;
mod example;
mod form;
mod layers;
mod loaded_valves;
mod model_reference;
mod parsed_value;
mod path_kind;
mod spec;
mod valve_store;
mod valves_file;
mod valves_update;

pub use credentials::holds_credentials;
pub use description::ValveDescription;
pub use example::format_example;
pub use form::{FormValues, ValvesForm};
pub use layers::{Pins, ValveLayers, ValveSource, ValveSources};
pub use loaded_valves::LoadedValves;
pub use model_reference::{CheckReferences, ModelReference};
pub use path_kind::PathKind;
pub use spec::{SHOW_ADVANCED, ValveKind, ValveProperty, ValvesSpec};
pub use valve_store::{FileValveStore, ValveStore, migrate_file};
pub use valves_file::ValvesFile;
pub use valves_update::{ParsedUpdate, ValvesUpdate};

use serde_json::{Map, Value};

/// The values of one pipe's valves, by name.
pub type Values = Map<String, Value>;
