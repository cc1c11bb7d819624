//! Updates of valves by an admin: parsing, checking, and secrets that have to be entered again.

use super::{
    Values, ValveSource, ValveSources, ValvesSpec,
    parsed_value::ParsedValue,
    spec::{ValveKind, ValveProperty},
};
use pipe_sdk::{Secret, ValveError};
use serde_json::Value;
use std::collections::HashSet;
use url::{Origin, Url};

/// The valves before an update.
pub struct ValvesUpdate<'a> {
    /// The specification of the valves.
    pub spec: &'a ValvesSpec,
    /// The values in force.
    pub values: &'a Values,
    /// The sources of the values.
    pub sources: &'a ValveSources,
    /// The saved valves.
    pub saved: &'a Values,
}

/// The parsed update.
#[derive(Debug)]
pub struct ParsedUpdate {
    /// The valves to save.
    pub saved: Values,
    /// The secrets that were entered, not kept or cleared.
    pub entered_secrets: HashSet<String>,
}

impl ValvesUpdate<'_> {
    /// Parses posted valves. A valve that is not posted, or posted unchanged, keeps its value.
    ///
    /// # Errors
    /// Every fault that the posted values have, by valve and rule, never by value.
    pub fn parse(&self, mut posted: Values) -> Result<ParsedUpdate, Vec<ValveError>> {
        let mut saved = self.saved.clone();
        let (mut entered_secrets, mut faults) = (HashSet::new(), Vec::new());
        for property in self.spec.properties() {
            let Some(value) = posted.remove(&property.name) else { continue };
            if property.kind == ValveKind::Secret && value.is_string() && value != Secret::MASK {
                entered_secrets.insert(property.name.clone());
            }
            if let Err(rule) = self.apply_value(property, value, &mut saved) {
                faults.push(ValveError::new(&property.name, rule));
            }
        }
        for name in posted.keys() {
            tracing::warn!(valve = name, "Ignored a posted value: there is no such valve.");
        }
        if faults.is_empty() { Ok(ParsedUpdate { saved, entered_secrets }) } else { Err(faults) }
    }

    fn apply_value(
        &self,
        property: &ValveProperty,
        value: Value,
        saved: &mut Values,
    ) -> Result<(), String> {
        let name = &property.name;
        let current = self.values.get(name).unwrap_or(&Value::Null);
        let is_masked = property.kind == ValveKind::Secret || property.hides(current);
        if is_masked && !parse_new_secret(&value)? {
            return Ok(());
        }
        let parsed = property.parse_value(value)?;
        let changed = match &parsed {
            ParsedValue::Value(value) => value != current,
            ParsedValue::Reset => {
                self.sources.get(name) != Some(&ValveSource::BuiltIn) && !current.is_null()
            }
        };
        // A saved value that could not be read is not in force; what is posted in its place is new
        // even if it looks the same.
        let is_unreadable = saved.contains_key(name)
            && matches!(
                self.sources.get(name),
                Some(ValveSource::BuiltIn | ValveSource::DefaultVariable(_) | ValveSource::File)
            );
        if !(changed || is_unreadable) {
            return Ok(());
        }
        if let Some(ValveSource::Pinned(pin)) = self.sources.get(name) {
            return Err(format!("is pinned by {pin}: change it there"));
        }
        if property.is_operators {
            return Err(
                "can be set by the operator only, in valves.toml or by an environment variable"
                    .into(),
            );
        }
        match parsed {
            ParsedValue::Value(value) => _ = saved.insert(name.clone(), value),
            ParsedValue::Reset => _ = saved.remove(name),
        }
        Ok(())
    }

    /// Returns an error for each secret that would be sent to another host without having been
    /// entered for it.
    ///
    /// An admin who may edit valves but not read secrets could otherwise have them sent to a host
    /// of their own.
    pub fn check_secret_origins(
        &self,
        next: &Values,
        entered_secrets: &HashSet<String>,
    ) -> Vec<ValveError> {
        let is_unbound = |property: &&ValveProperty| {
            let is_sent = next
                .get(&property.name)
                .is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
            is_sent && !entered_secrets.contains(&property.name)
        };
        let fault = |property: &ValveProperty| {
            let address = self.find_moved_address(property, next)?;
            let rule = format!("must be entered again, because `{address}` moves to another host");
            Some(ValveError::new(&property.name, rule))
        };
        self.spec.properties().filter(is_unbound).filter_map(fault).collect()
    }

    /// Returns the valve whose address, to which this secret is sent, moves to another host.
    fn find_moved_address<'a>(
        &self,
        secret: &'a ValveProperty,
        next: &Values,
    ) -> Option<&'a String> {
        let is_moved = |address: &&String| {
            let (before, after) = (self.values.get(*address), next.get(*address));
            let (before, after) = (origin(before), origin(after));
            // A key that was entered before there was an address has not been for another one. One
            // of the operator's has.
            let is_first = secret.is_unbound
                && before.is_none()
                && self.sources.get(&secret.name) == Some(&ValveSource::Saved);
            !is_first && before != after
        };
        secret.origins.iter().find(is_moved)
    }
}

/// Returns whether this is a new secret; the mask means "keep". That of a list is an item of it.
fn parse_new_secret(value: &Value) -> Result<bool, String> {
    let item = match value.as_array().map(Vec::as_slice) {
        Some([item]) => item,
        _ => value,
    };
    match item.as_str() {
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

/// The place that an address leads to.
#[derive(PartialEq)]
enum Destination {
    /// Scheme, host and port of a URL.
    Origin(Origin),
    /// A host that was entered without a scheme, as in `db.example.com:5432`.
    Host(String),
}

/// Returns the place that an address leads to; `None` if there is no address.
fn origin(address: Option<&Value>) -> Option<Destination> {
    let text = address?.as_str().filter(|text| !text.is_empty())?;
    // Not every parser of URLs sees the same host in these.
    let is_ambiguous = text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control());
    if is_ambiguous {
        return Some(Destination::Host(text.to_owned()));
    }
    Some(match Url::parse(text) {
        Ok(url) if url.origin().is_tuple() => Destination::Origin(url.origin()),
        _ => Destination::Host(text.to_owned()),
    })
}
