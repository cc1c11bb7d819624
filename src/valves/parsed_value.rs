//! Parses values for their valves, from the form, the environment or a file.
//!
//! The form sends back edited numbers as texts, an empty list as `[""]`, "None" as `null` and
//! "None, then Custom" as `""` (`docs/reference/open-webui.md`, "Valves form"); the environment
//! knows only texts.

use super::spec::{ValveKind, ValveProperty};
use serde_json::{Number, Value};

/// A value that was parsed for its valve.
#[derive(Debug, PartialEq)]
pub enum ParsedValue {
    /// This value.
    Value(Value),
    /// No value: the layer below decides.
    Reset,
}

impl ValveProperty {
    /// Parses a value, or returns the rule that it violates. The rule never contains the value.
    pub fn parse_value(&self, value: Value) -> Result<ParsedValue, String> {
        if matches!(&value, Value::Null)
            || value.as_str().is_some_and(|text| text.trim().is_empty())
        {
            let none = self.nullable && !self.default.is_null();
            return Ok(if none { ParsedValue::Value(Value::Null) } else { ParsedValue::Reset });
        }
        let value = match &self.kind {
            ValveKind::Text | ValveKind::Secret => self.parse_text(value),
            ValveKind::Integer => self.parse_integer(&value),
            ValveKind::Number => self.parse_number(&value),
            ValveKind::Boolean => parse_boolean(&value),
            ValveKind::Choice(choices) => parse_choice(&value, choices),
            ValveKind::List => self.parse_list(value),
            ValveKind::Json => self.parse_json(value),
        }?;
        // "None" of a list that is not empty by itself comes as an empty one.
        let is_none = self.kind == ValveKind::List
            && value.as_array().is_some_and(Vec::is_empty)
            && value != self.default;
        Ok(if is_none { ParsedValue::Reset } else { ParsedValue::Value(value) })
    }

    fn parse_text(&self, value: Value) -> Result<Value, String> {
        let text = scalar_to_text(value).ok_or("must be a text")?;
        let (least, most) = (self.bound("minLength"), self.bound("maxLength"));
        check_range(text.chars().count() as f64, least, most)
            .map_err(|range| format!("must have {range} characters"))?;
        Ok(text.into())
    }

    fn parse_integer(&self, value: &Value) -> Result<Value, String> {
        let number =
            as_number(value).filter(|number| number.fract() == 0.0 && number.abs() < 2f64.powi(53));
        let number = number.ok_or("must be a whole number")?;
        self.check_number_range(number)?;
        Ok((number as i64).into())
    }

    fn parse_number(&self, value: &Value) -> Result<Value, String> {
        let number = as_number(value).ok_or("must be a number")?;
        self.check_number_range(number)?;
        Ok(Number::from_f64(number).map(Value::Number).ok_or("must be a number")?)
    }

    fn check_number_range(&self, number: f64) -> Result<(), String> {
        check_range(number, self.bound("minimum"), self.bound("maximum"))
            .map_err(|range| format!("must be {range}"))
    }

    /// Parses JSON, which the form sends as text.
    fn parse_json(&self, value: Value) -> Result<Value, String> {
        let value = match value {
            Value::String(text) => serde_json::from_str(&text)
                .map_err(|_| "must be JSON, for example {\"key\": \"value\"}")?,
            other => other,
        };
        let name = self.json_type.as_deref().unwrap_or_default();
        let rule = || format!("must be JSON of the type {name}");
        is_of_type(&value, name).then_some(value).ok_or_else(rule)
    }

    fn parse_list(&self, value: Value) -> Result<Value, String> {
        let items: Vec<String> = match value {
            Value::Array(items) => items.into_iter().map(scalar_to_text).collect::<Option<_>>(),
            other => scalar_to_text(other).map(|text| text.split(',').map(str::to_owned).collect()),
        }
        .ok_or("must be a list of texts, with commas between")?;
        let items: Vec<_> =
            items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).collect();
        match self.bound("minItems") {
            Some(least) if (items.len() as f64) < least => {
                Err(format!("must have at least {least} items"))
            }
            _ => Ok(items.into()),
        }
    }
}

/// Returns whether a JSON value is of this type of JSON Schema.
fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => true,
    }
}

fn parse_boolean(value: &Value) -> Result<Value, String> {
    let word = scalar_to_text(value.clone()).unwrap_or_default().to_lowercase();
    match word.trim() {
        "true" | "1" | "yes" | "on" => Ok(true.into()),
        "false" | "0" | "no" | "off" => Ok(false.into()),
        _ => Err("must be true or false".into()),
    }
}

fn parse_choice(value: &Value, choices: &[Value]) -> Result<Value, String> {
    let same = |choice: &&Value| scalar_to_text((*choice).clone()) == scalar_to_text(value.clone());
    let names =
        || choices.iter().cloned().filter_map(scalar_to_text).collect::<Vec<_>>().join(", ");
    choices.iter().find(same).cloned().ok_or_else(|| format!("must be one of {}", names()))
}

/// Converts a text, a number or a boolean to text.
fn scalar_to_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Checks that the number lies in the range. On failure, returns the range in words.
fn check_range(number: f64, least: Option<f64>, most: Option<f64>) -> Result<(), String> {
    match (least, most) {
        (Some(least), Some(most)) if number < least || number > most => {
            Err(format!("between {least} and {most}"))
        }
        (Some(least), None) if number < least => Err(format!("at least {least}")),
        (None, Some(most)) if number > most => Err(format!("at most {most}")),
        _ => Ok(()),
    }
}
