//! Checks of a body against its schema, in one pass over its bytes and without a copy of them.

use super::Shape;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// The first violation of a schema by a body: the field, and the rule.
#[derive(Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// The field, as in `messages[2].content[1].type`; `body` for all of it.
    pub field: String,
    /// The rule, as in "must be a text".
    pub rule: String,
}

/// Checks this JSON against the schema.
///
/// # Errors
/// Returns the first violation. Bytes that are no JSON are not refused here.
pub fn check(json: &[u8], shape: &'static Shape) -> Result<(), SchemaViolation> {
    let mut progress = Progress::default();
    let check = ValueCheck { shape, progress: &mut progress, is_optional: false };
    let checked = check.deserialize(&mut serde_json::Deserializer::from_slice(json));
    match (progress.violation.take(), checked) {
        (Some(violation), _) => Err(violation),
        // The JSON is valid, but the check could not deserialize it, as with a number out of range.
        (None, Err(error)) if serde_json::from_slice::<IgnoredAny>(json).is_ok() => {
            let error = error.to_string();
            let rule = describe_unreadable(&error).unwrap_or(&error).to_owned();
            Err(SchemaViolation { field: progress.to_string(), rule })
        }
        (None, _) => Ok(()),
    }
}

/// Returns the rule that valid JSON breaks so that it cannot be read, from the message of its
/// reader.
pub fn describe_unreadable(message: &str) -> Option<&'static str> {
    if message.starts_with("number out of range") {
        Some("the number is too large")
    } else if message.starts_with("recursion limit exceeded") {
        Some("is nested too deep")
    } else {
        None
    }
}

/// The current place of the check, and the violation that was found.
#[derive(Default)]
struct Progress {
    path: Vec<Step>,
    violation: Option<SchemaViolation>,
}

/// A step of the path to a field.
enum Step {
    Field(Cow<'static, str>),
    Item(usize),
}

impl Progress {
    /// Records that the present field breaks this rule, and returns the error that ends parsing.
    fn violation<E: Error>(&mut self, rule: String) -> E {
        self.violation = Some(SchemaViolation { field: self.to_string(), rule });
        E::custom("violation")
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str("body");
        }
        for (depth, step) in self.path.iter().enumerate() {
            match step {
                Step::Field(name) if depth == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(place) => write!(f, "[{place}]")?,
            }
        }
        Ok(())
    }
}

/// The check of one value.
struct ValueCheck<'a> {
    shape: &'static Shape,
    progress: &'a mut Progress,
    /// `true` for a field: there, `null` is as good as missing.
    is_optional: bool,
}

/// The result of the check of a value.
#[derive(Clone, Copy, PartialEq)]
enum CheckedValue {
    Missing,
    Present,
    Kind(&'static str),
}

impl<'de> DeserializeSeed<'de> for ValueCheck<'_> {
    type Value = CheckedValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<CheckedValue, D::Error> {
        match self.shape {
            // Read without a look at what is within, however deep it is.
            Shape::Any => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(|_| CheckedValue::Present)
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl ValueCheck<'_> {
    /// Returns the schema among the possible ones for which this holds.
    fn find_schema(&self, takes: impl Fn(&Shape) -> bool) -> Option<&'static Shape> {
        match self.shape {
            Shape::AnyOf(all) => all.iter().find(|shape| takes(shape)),
            shape => Some(shape).filter(|shape| takes(shape)),
        }
    }

    /// Accepts the value if it fits its schema.
    fn accept_if<E: Error>(self, fits: bool) -> Result<CheckedValue, E> {
        if fits { Ok(CheckedValue::Present) } else { self.violation() }
    }

    /// Ends parsing, as the value has another type than its schema.
    fn violation<E: Error>(self) -> Result<CheckedValue, E> {
        let rule = format!("must be {}", self.shape.describe());
        Err(self.progress.violation(rule))
    }

    fn check_number<E: Error>(self, number: f64) -> Result<CheckedValue, E> {
        let shape = self.find_schema(|shape| shape.takes_number(number));
        self.accept_if(shape.is_some())
    }
}

impl Shape {
    fn takes_number(&self, number: f64) -> bool {
        let within =
            |least: f64, most: f64| number.is_finite() && least <= number && number <= most;
        match self {
            Self::Number(least, most) => within(*least, *most),
            Self::Whole(least, most) => within(*least, *most) && number.fract() == 0.0,
            Self::NumberOrText(shape) => shape.takes_number(number),
            _ => false,
        }
    }

    fn takes_text(&self) -> bool {
        matches!(self, Self::Text | Self::Kind(_) | Self::Word(_) | Self::NumberOrText(_))
    }
}

impl<'de> Visitor<'de> for ValueCheck<'_> {
    type Value = CheckedValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape.describe())
    }

    fn visit_unit<E: Error>(self) -> Result<CheckedValue, E> {
        if self.is_optional { Ok(CheckedValue::Missing) } else { self.violation() }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<CheckedValue, E> {
        let shape = self.find_schema(|shape| matches!(shape, Shape::Flag));
        self.accept_if(shape.is_some())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<CheckedValue, E> {
        self.check_number(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<CheckedValue, E> {
        self.check_number(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<CheckedValue, E> {
        self.check_number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CheckedValue, E> {
        let word = |words: &'static [&'static str]| words.iter().find(|word| **word == text);
        match self.find_schema(Shape::takes_text) {
            Some(Shape::Text) => Ok(CheckedValue::Present),
            Some(Shape::Kind(kinds)) => {
                Ok(word(kinds).map_or(CheckedValue::Present, |kind| CheckedValue::Kind(kind)))
            }
            Some(Shape::Word(words)) => match word(words) {
                Some(word) => Ok(CheckedValue::Kind(word)),
                None => self.violation(),
            },
            Some(Shape::NumberOrText(shape)) => {
                let number = text.trim().parse().is_ok_and(|number| shape.takes_number(number));
                self.accept_if(number)
            }
            _ => self.violation(),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CheckedValue, A::Error> {
        let Some(Shape::List(items, shape)) =
            self.find_schema(|shape| matches!(shape, Shape::List(..)))
        else {
            return self.violation();
        };
        let most = super::max_items(items);
        for at in 0.. {
            if at > most {
                return Err(self.progress.violation(format!("may hold {most} {items} at most")));
            }
            self.progress.path.push(Step::Item(at));
            let item = ValueCheck { shape, progress: &mut *self.progress, is_optional: false };
            let found = list.next_element_seed(item)?;
            self.progress.path.pop();
            if found.is_none() {
                break;
            }
        }
        Ok(CheckedValue::Present)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CheckedValue, A::Error> {
        let is_object = |shape: &Shape| matches!(shape, Shape::Object(..) | Shape::Map(_));
        match self.find_schema(is_object) {
            Some(Shape::Object(fields, needs)) => {
                let mut seen = vec![CheckedValue::Missing; fields.len()];
                while let Some(known) =
                    map.next_key_seed(FieldIndex(fields.iter().map(|field| field.0)))?
                {
                    let Some(at) = known else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let (name, shape) = fields[at];
                    self.progress.path.push(Step::Field(name.into()));
                    let value =
                        ValueCheck { shape, progress: &mut *self.progress, is_optional: true };
                    seen[at] = map.next_value_seed(value)?;
                    self.progress.path.pop();
                }
                let seen: Vec<_> = fields.iter().map(|field| field.0).zip(seen).collect();
                find_missing(&seen, needs).map_or(Ok(CheckedValue::Present), |(name, rule)| {
                    self.progress.path.push(Step::Field(name.into()));
                    Err(self.progress.violation(rule))
                })
            }
            Some(Shape::Map(shape)) => {
                while let Some(name) = map.next_key::<String>()? {
                    self.progress.path.push(Step::Field(name.into()));
                    map.next_value_seed(ValueCheck {
                        shape,
                        progress: &mut *self.progress,
                        is_optional: true,
                    })?;
                    self.progress.path.pop();
                }
                Ok(CheckedValue::Present)
            }
            _ => self.violation(),
        }
    }
}

/// Returns the first field that is missing, and the rule.
fn find_missing(
    seen: &[(&str, CheckedValue)],
    needs: &[super::Need],
) -> Option<(&'static str, String)> {
    let of = |name: &str| {
        let field = seen.iter().find(|(field, _)| *field == name);
        field.map_or(CheckedValue::Missing, |(_, seen)| *seen)
    };
    let kind = of("type");
    let missing = |(with_kind, name): &&super::Need| {
        (with_kind.is_empty() || kind == CheckedValue::Kind(with_kind))
            && of(name) == CheckedValue::Missing
    };
    needs.iter().find(missing).map(|(kind, name)| {
        let rule = match *kind {
            "" => "is missing".into(),
            kind => format!("is missing: what has the type `{kind}` needs it"),
        };
        (*name, rule)
    })
}

/// A seed that reads a key, and returns its index among the known fields.
struct FieldIndex<I>(I);

impl<'de, I: Iterator<Item = &'static str>> DeserializeSeed<'de> for FieldIndex<I> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'de, I: Iterator<Item = &'static str>> Visitor<'de> for FieldIndex<I> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_str<E>(mut self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.position(|name| name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    static LEAF: Shape = Shape::Object(
        &[
            ("type", &Shape::Kind(&["word"])),
            ("word", &Shape::Text),
            ("more", &Shape::List("leaves", &LEAF)),
        ],
        &[("word", "word")],
    );
    static BODY: Shape = Shape::Object(
        &[
            ("leaf", &LEAF),
            ("n", &Shape::NumberOrText(&Shape::Whole(0.0, 9.0))),
            ("x", &Shape::AnyOf(&[Shape::Flag, Shape::List("texts", &Shape::Text)])),
            ("map", &Shape::Map(&Shape::Number(NO_MINIMUM, NO_MAXIMUM))),
            ("kind", &Shape::Word(&["a", "b"])),
        ],
        &[("", "kind")],
    );

    #[test]
    fn a_body_is_told_by_the_first_place_where_it_differs() {
        for (json, said) in [
            ("[]", "body must be an object"),
            ("null", "body must be an object"),
            (r#"{"leaf": ["word"]}"#, "leaf must be an object"),
            (r#"{"leaf": {"more": [{}, []]}}"#, "leaf.more[1] must be an object"),
            (r#"{"leaf": {"more": [null]}}"#, "leaf.more[0] must be an object"),
            (
                r#"{"leaf": {"word": null, "type": "word"}}"#,
                "leaf.word is missing: what has the type `word` needs it",
            ),
            (r#"{"n": 10}"#, "n must be a whole number from 0 to 9"),
            (r#"{"n": "1.5"}"#, "n must be a whole number from 0 to 9"),
            (r#"{"n": ""}"#, "n must be a whole number from 0 to 9"),
            (r#"{"x": "true"}"#, "x must be true or false or a list of texts"),
            (r#"{"x": ["a", 5]}"#, "x[1] must be a text"),
            (r#"{"map": {"é": "5"}}"#, "map.é must be a number"),
            (r#"{"kind": "c"}"#, "kind must be `a` or `b`"),
            (r#"{"n": null}"#, "kind is missing"),
            (r#"{"leaf": {"word": 1e400}}"#, "leaf.word the number is too large"),
            (r#"{"unknown": 1e400, "n": 99}"#, "n must be a whole number from 0 to 9"),
        ] {
            let violation = check(json.as_bytes(), &BODY).unwrap_err();
            assert_eq!(format!("{} {}", violation.field, violation.rule), said, "{json}");
        }
    }

    #[test]
    fn what_fits_and_what_is_not_known_passes() {
        for json in [
            r#"{"kind": "a", "leaf": null, "n": "7", "x": ["a"], "map": {"a": -1.5, "b": null}}"#,
            r#"{"kind": "b", "leaf": {"type": "other", "n": []}, "n": 7.0, "x": true, "unknown": [[{}]]}"#,
            "not JSON at all",
        ] {
            assert_eq!(check(json.as_bytes(), &BODY), Ok(()), "{json}");
        }
    }
}
