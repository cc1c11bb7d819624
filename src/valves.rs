//! What admins turn: layers with provenance, the form's spec, coercion of what the form sends, masks, and where they are saved.
//!
//! Everything here works on one pipe's valves as a flat JSON object and knows nothing of the pipe's type; [`crate::slot`] joins
//! the two.

mod example;
mod layers;
mod reading;
mod saved;
mod shelf;
mod spec;
mod update;

pub use example::example;
pub use layers::{Layers, Pins, Source, Sources};
pub use saved::Saved;
pub use shelf::{Files, Found, Shelf, move_in};
pub use spec::{Kind, Property, Spec};
pub use update::{Posted, Update};

use serde_json::{Map, Value};

/// The values of one pipe's valves, by name.
pub type Values = Map<String, Value>;
