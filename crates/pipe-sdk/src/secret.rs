//! A valve whose value never leaves the host.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt};

/// A secret valve: a key, a token, a password; set or unset.
///
/// It is masked wherever it is written: [`Debug`], JSON, logs. Its memory is wiped when it is
/// dropped. A secret that is sent to an address which is itself a valve says so with
/// `#[schemars(extend("x-origin" = "api_base"))]`; the host then refuses to keep the secret when
/// that valve moves to another origin.
#[derive(Clone, Default)]
pub struct Secret(Option<SecretString>);

impl Secret {
    /// The text that replaces a set secret in every output; as an input it means "keep".
    pub const MASK: &'static str = "**********";

    /// Returns the value, for the one place that uses it; `None` when unset.
    pub fn expose(&self) -> Option<&str> {
        self.0.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Returns whether there is a value.
    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self((!value.is_empty()).then(|| SecretString::from(value)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { Self::MASK } else { "unset" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.is_set().then_some(Self::MASK).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self::from(value.as_deref().unwrap_or_default()))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "password", "writeOnly": true, "input": {"type": "password"}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_on_every_way_out() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?}"), Secret::MASK);
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("\"{}\"", Secret::MASK));
        assert_eq!(secret.expose(), Some("hunter2"));
    }

    #[test]
    fn null_and_the_empty_text_are_no_secret() {
        for json in ["null", "\"\""] {
            let secret: Secret = serde_json::from_str(json).unwrap();
            assert!(!secret.is_set());
            assert_eq!(serde_json::to_string(&secret).unwrap(), "null");
        }
    }
}
