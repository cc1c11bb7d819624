//! Fields of a chat that OpenAI does not have, or that only some clients send.

use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value};

/// The fields beside those that every chat has.
///
/// Clients of the gateways that people come from put some of them into a literal `extra_body`;
/// there they count as much.
#[derive(Clone, Copy, Debug)]
pub struct ExtraFields<'a>(&'a Map<String, Value>);

impl<'a> ExtraFields<'a> {
    /// Returns the extras of this chat.
    pub fn from_body(body: &'a Body) -> Self {
        Self(&body.rest)
    }

    /// Returns the field of this name; `null` is as good as missing.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        let within = || self.0.get("extra_body")?.get(name);
        self.0.get(name).filter(|value| !value.is_null()).or_else(within).filter(|v| !v.is_null())
    }

    /// Returns the first of these names that is there.
    pub fn first_of(self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns the object of this name.
    pub fn object(self, name: &str) -> Result<Option<&'a Map<String, Value>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(PipeError::bad_field(name, format!("{name}: must be an object"))),
        }
    }

    /// Returns the whole number of this name; Open WebUI sends some as text.
    pub fn whole_number(self, name: &str) -> Result<Option<u64>> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_f64(),
        };
        let whole = number.filter(|number: &f64| *number >= 0.0 && number.fract() == 0.0);
        let rule = || PipeError::bad_field(name, format!("{name}: must be a whole number"));
        whole.map(|number| Some(number as u64)).ok_or_else(rule)
    }
}
