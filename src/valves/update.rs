//! What an admin's update means: which values are new, which stay, and what may not be so.

use super::{
    Source, Sources, Spec, Values,
    reading::Reading,
    spec::{Kind, Property},
};
use pipe_sdk::{Fault, Secret};
use serde_json::Value;
use std::collections::HashSet;
use url::{Origin, Url};

/// The valves as they are, before an update.
pub struct Update<'a> {
    /// What can be turned.
    pub spec: &'a Spec,
    /// The values in force.
    pub values: &'a Values,
    /// Where they came from.
    pub sources: &'a Sources,
    /// What was saved before.
    pub saved: &'a Values,
}

/// What a post comes to.
#[derive(Debug)]
pub struct Posted {
    /// What is to be saved.
    pub saved: Values,
    /// The secrets that were entered, as against kept or cleared.
    pub entered: HashSet<String>,
}

impl Update<'_> {
    /// What is to be saved when this is posted. A valve that is not posted keeps its value; so does one posted as it is.
    ///
    /// # Errors
    /// Every fault that the posted values have, by valve and rule, never by value.
    pub fn posted(&self, mut posted: Values) -> Result<Posted, Vec<Fault>> {
        let mut saved = self.saved.clone();
        let (mut entered, mut faults) = (HashSet::new(), Vec::new());
        for property in self.spec.properties() {
            let Some(value) = posted.remove(&property.name) else { continue };
            if property.kind == Kind::Secret && value.is_string() && value != Secret::MASK {
                entered.insert(property.name.clone());
            }
            if let Err(rule) = self.turn(property, value, &mut saved) {
                faults.push(Fault::new(&property.name, rule));
            }
        }
        for name in posted.keys() {
            tracing::warn!(valve = name, "Ignored a posted value: there is no such valve.");
        }
        if faults.is_empty() { Ok(Posted { saved, entered }) } else { Err(faults) }
    }

    fn turn(&self, property: &Property, value: Value, saved: &mut Values) -> Result<(), String> {
        if property.kind == Kind::Secret && !is_new_secret(&value)? {
            return Ok(());
        }
        let name = &property.name;
        let reading = property.read(value)?;
        let current = self.values.get(name).unwrap_or(&Value::Null);
        let changed = match &reading {
            Reading::Value(value) => value != current,
            Reading::Reset => {
                self.sources.get(name) != Some(&Source::BuiltIn) && !current.is_null()
            }
        };
        // A saved value that could not be read is not in force; what is posted in its place is new even if it looks the same.
        let unread = saved.contains_key(name)
            && matches!(self.sources.get(name), Some(Source::BuiltIn | Source::File));
        if !(changed || unread) {
            return Ok(());
        }
        if let Some(Source::Pinned(pin)) = self.sources.get(name) {
            return Err(format!("is pinned by {pin}: change it there"));
        }
        match reading {
            Reading::Value(value) => _ = saved.insert(name.clone(), value),
            Reading::Reset => _ = saved.remove(name),
        }
        Ok(())
    }

    /// The secrets that would follow their address to another host without having been entered for it.
    ///
    /// Whoever may turn valves but not read secrets could otherwise have them sent to a host of their own.
    pub fn strayed(&self, next: &Values, entered: &HashSet<String>) -> Vec<Fault> {
        let strays = |property: &&Property| {
            let Some(address) = &property.origin else { return false };
            let name = &property.name;
            let is_sent = next.get(name).is_some_and(|value| !value.is_null());
            let (before, after) = (origin(self.values.get(address)), origin(next.get(address)));
            // A key that was entered before there was an address has not been for another one. One of the operator's has.
            let is_first = property.is_unbound
                && before.is_none()
                && self.sources.get(name) == Some(&Source::Saved);
            is_sent && !entered.contains(name) && !is_first && before != after
        };
        let fault = |property: &Property| {
            let address = property.origin.as_deref().unwrap_or_default();
            Fault::new(
                &property.name,
                format!("must be entered again, because `{address}` moves to another host"),
            )
        };
        self.spec.properties().filter(strays).map(fault).collect()
    }
}

/// Whether this is a secret to be stored; the mask means "keep".
fn is_new_secret(value: &Value) -> Result<bool, String> {
    match value.as_str() {
        Some(Secret::MASK) => Ok(false),
        Some(text)
            if text.contains("***")
                || (!text.is_empty() && text.bytes().all(|byte| byte == b'*')) =>
        {
            Err("holds a part of the mask: clear the field, then enter the whole secret".into())
        }
        _ => Ok(true),
    }
}

/// Scheme, host and port; `None` when there is no address.
fn origin(address: Option<&Value>) -> Option<Origin> {
    Url::parse(address?.as_str()?).ok().map(|url| url.origin())
}
