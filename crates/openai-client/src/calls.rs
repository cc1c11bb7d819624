//! Tool calls, put together from the pieces in which servers tell them.
//!
//! OpenAI numbers them; others leave the number out, give all the same one, leave gaps, repeat the name with each piece, or give no id.
//! What goes out is as the SDK wants it: numbers without gaps, id and name once and first, arguments that are JSON.

use pipe_sdk::{Chunk, ToolCallDelta};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<Call>,
    /// How many have been told.
    told: usize,
}

#[derive(Debug)]
struct Call {
    /// The server's number.
    number: Option<u64>,
    /// The server's id.
    id: Option<String>,
    /// Our number, when it has been told.
    index: Option<usize>,
    arguments: String,
}

/// More calls than these in one answer are a fault of the server.
const MOST: usize = 256;

/// There are more calls than make sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Calls {
    /// Whether something was called.
    pub fn any(&self) -> bool {
        self.told > 0
    }

    /// Takes in pieces of calls, and says what they add.
    pub fn add(&mut self, pieces: &Value, tell: &mut impl FnMut(Chunk)) -> Result<(), TooMany> {
        for piece in pieces.as_array().into_iter().flatten() {
            self.piece(piece, tell)?;
        }
        Ok(())
    }

    /// The older way to call: one function, without an id.
    pub fn add_function(
        &mut self,
        function: &Value,
        tell: &mut impl FnMut(Chunk),
    ) -> Result<(), TooMany> {
        if !function.is_object() {
            return Ok(());
        }
        self.piece(&serde_json::json!({"index": 0, "function": function}), tell)
    }

    /// No more pieces come. Clients parse what they get, so a call without arguments gets an empty object.
    pub fn end(&mut self, tell: &mut impl FnMut(Chunk)) {
        for call in self.calls.drain(..).filter(|call| call.arguments.trim().is_empty()) {
            if let Some(index) = call.index {
                let arguments = "{}".into();
                tell(Chunk::ToolCall(ToolCallDelta {
                    index,
                    arguments,
                    ..ToolCallDelta::default()
                }));
            }
        }
    }

    fn piece(&mut self, piece: &Value, tell: &mut impl FnMut(Chunk)) -> Result<(), TooMany> {
        let number = piece["index"].as_u64();
        let id = filled(&piece["id"]);
        let name = filled(&piece["function"]["name"]);
        let arguments = match &piece["function"]["arguments"] {
            Value::String(text) => text.clone(),
            object @ Value::Object(_) => object.to_string(),
            _ => String::new(),
        };
        let known = self.calls.iter().rposition(|call| call.is_meant(number, id));
        let known = known.filter(|place| !self.calls[*place].is_over(id, name));
        let place = match known {
            Some(place) => place,
            // Without a name it belongs to nothing.
            None if name.is_none() && id.is_none() => return Ok(()),
            None if self.calls.len() >= MOST => return Err(TooMany),
            None => {
                self.calls.push(Call { number, id: None, index: None, arguments: String::new() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        if call.id.is_none() {
            call.id = id.map(str::to_owned);
        }
        call.arguments.push_str(&arguments);
        match (call.index, name) {
            (Some(index), _) if !arguments.is_empty() => {
                tell(Chunk::ToolCall(ToolCallDelta {
                    index,
                    arguments,
                    ..ToolCallDelta::default()
                }));
            }
            (Some(_), _) | (None, None) => {}
            (None, Some(name)) => {
                let index = self.told;
                call.index = Some(index);
                self.told += 1;
                let id = Some(call.id.get_or_insert_with(new_id).clone());
                let (name, arguments) = (Some(name.to_owned()), call.arguments.clone());
                tell(Chunk::ToolCall(ToolCallDelta { index, id, name, arguments }));
            }
        }
        Ok(())
    }
}

impl Call {
    /// Whether a piece with this number and this id may belong to it.
    fn is_meant(&self, number: Option<u64>, id: Option<&str>) -> bool {
        match (number, id) {
            (Some(_), _) => self.number == number,
            (None, Some(id)) => self.id.as_deref() == Some(id),
            (None, None) => true,
        }
    }

    /// Whether a piece with this id and this name, which seems to belong to it, begins another call.
    fn is_over(&self, id: Option<&str>, name: Option<&str>) -> bool {
        if name.is_none() || self.index.is_none() {
            return false;
        }
        match (id, self.id.as_deref()) {
            (Some(id), Some(own)) => id != own,
            _ => serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok(),
        }
    }
}

fn filled(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn new_id() -> String {
    format!("call_{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::Answer;
    use serde_json::json;

    /// The calls that come of these pieces, as their names and arguments.
    fn calls(pieces: &[Value]) -> Vec<(String, String)> {
        let (mut calls, mut answer, mut named) = (Calls::default(), Answer::default(), 0);
        let mut tell = |chunk: Chunk| {
            if let Chunk::ToolCall(ToolCallDelta { index, id, name, .. }) = &chunk {
                assert_eq!(
                    (id.is_some(), *index == named),
                    (name.is_some(), name.is_some()),
                    "{chunk:?}"
                );
                named += usize::from(name.is_some());
            }
            answer.add(chunk);
        };
        for piece in pieces {
            calls.add(&json!([piece]), &mut tell).unwrap();
        }
        calls.end(&mut tell);
        let ids: std::collections::HashSet<_> =
            answer.tool_calls.iter().map(|call| &call.id).collect();
        assert_eq!(ids.len(), answer.tool_calls.len(), "ids differ");
        let told = answer.tool_calls.into_iter();
        told.map(|call| (call.function.name, call.function.arguments)).collect()
    }

    fn piece(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn told(calls: &[(&str, &str)]) -> Vec<(String, String)> {
        calls.iter().map(|(name, arguments)| ((*name).into(), (*arguments).into())).collect()
    }

    #[test]
    fn calls_are_put_together_as_openai_tells_them() {
        let pieces = [
            piece(Some(0), Some("a"), Some("f"), ""),
            piece(Some(0), None, None, "{\"x\":"),
            piece(Some(1), Some("b"), Some("g"), ""),
            piece(Some(0), None, None, "1}"),
            piece(Some(1), None, None, "{}"),
        ];
        assert_eq!(calls(&pieces), told(&[("f", "{\"x\":1}"), ("g", "{}")]));
    }

    #[test]
    fn calls_of_servers_that_count_otherwise_are_healed() {
        let two = told(&[("f", "{\"x\":1}"), ("g", "{}")]);
        let numbered = |one, other| {
            [
                piece(one, Some("a"), Some("f"), "{\"x\":1}"),
                piece(other, Some("b"), Some("g"), "{}"),
            ]
        };
        for numbers in
            [(Some(0), Some(0)), (None, None), (Some(3), Some(7)), (Some(1 << 60), Some(0))]
        {
            assert_eq!(calls(&numbered(numbers.0, numbers.1)), two, "{numbers:?}");
        }
        let nameless =
            [piece(Some(0), None, Some("f"), "{\"x\":1}"), piece(Some(0), None, Some("g"), "{}")];
        assert_eq!(calls(&nameless), two, "no ids, and all the same number");
    }

    #[test]
    fn a_name_that_is_repeated_with_each_piece_is_told_once() {
        let pieces = ["{\"x\":", "1", "}"].map(|text| piece(Some(0), Some("a"), Some("f"), text));
        assert_eq!(calls(&pieces), told(&[("f", "{\"x\":1}")]));
    }

    #[test]
    fn an_id_may_come_before_its_name() {
        let pieces = [piece(Some(0), Some("a"), None, ""), piece(Some(0), None, Some("f"), "{}")];
        assert_eq!(calls(&pieces), told(&[("f", "{}")]));
    }

    #[test]
    fn arguments_may_be_missing_or_an_object() {
        let object = json!({"function": {"name": "f", "arguments": {"x": 1}}});
        assert_eq!(calls(&[object]), told(&[("f", "{\"x\":1}")]));
        assert_eq!(calls(&[json!({"function": {"name": "f"}})]), told(&[("f", "{}")]));
    }

    #[test]
    fn pieces_that_belong_to_nothing_are_passed_over() {
        assert_eq!(calls(&[piece(None, None, None, "{}"), json!(7), json!({})]), []);
    }

    #[test]
    fn there_is_an_end_to_calls() {
        let pieces: Vec<_> = (0..1000).map(|n| piece(Some(n), None, Some("f"), "")).collect();
        assert_eq!(Calls::default().add(&pieces.into(), &mut drop), Err(TooMany));
    }
}
