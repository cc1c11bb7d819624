//! Tool calls, assembled from the pieces in which servers send them.
//!
//! OpenAI numbers the calls; other servers leave the number out, give all calls the same one, leave
//! gaps, repeat the name with each piece, or send no id. The chunks that come out are as
//! [`ToolCallDelta`] wants them: numbered without gaps, id and name once and first, arguments that
//! are JSON.

use pipe_sdk::{Chunk, ToolCallDelta};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The tool calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct ToolCallAssembler {
    calls: Vec<PartialCall>,
    emitted: usize,
}

/// A tool call whose pieces are still arriving.
#[derive(Debug)]
struct PartialCall {
    /// The number that the server gave it.
    number: Option<u64>,
    /// The id that the server gave it.
    id: Option<String>,
    /// The number that it was emitted with.
    index: Option<usize>,
    arguments: String,
}

/// The most calls of an answer.
const MAX_CALLS: usize = 256;

/// The error of an answer with more than [`MAX_CALLS`] calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyCallsError;

impl ToolCallAssembler {
    /// Returns whether a call has been emitted.
    pub fn has_calls(&self) -> bool {
        self.emitted > 0
    }

    /// Adds the pieces in `tool_calls`, and emits what they add.
    pub fn add(
        &mut self,
        pieces: &Value,
        emit: &mut impl FnMut(Chunk),
    ) -> Result<(), TooManyCallsError> {
        pieces.as_array().into_iter().flatten().try_for_each(|piece| self.add_piece(piece, emit))
    }

    /// Adds a `function_call`, which OpenAI has deprecated: one function without an id.
    pub fn add_function_call(
        &mut self,
        function: &Value,
        emit: &mut impl FnMut(Chunk),
    ) -> Result<(), TooManyCallsError> {
        if !function.is_object() {
            return Ok(());
        }
        self.add_piece(&serde_json::json!({"index": 0, "function": function}), emit)
    }

    /// Ends all calls. Clients parse the arguments, so a call without any gets an empty object.
    pub fn finish(&mut self, emit: &mut impl FnMut(Chunk)) {
        for call in self.calls.drain(..).filter(|call| call.arguments.trim().is_empty()) {
            if let Some(index) = call.index {
                emit(arguments_delta(index, "{}".into()));
            }
        }
    }

    fn add_piece(
        &mut self,
        piece: &Value,
        emit: &mut impl FnMut(Chunk),
    ) -> Result<(), TooManyCallsError> {
        let function = &piece["function"];
        let (id, name) = (non_empty(&piece["id"]), non_empty(&function["name"]));
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            object @ Value::Object(_) => object.to_string(),
            _ => String::new(),
        };
        let Some(place) = self.find_or_add(piece["index"].as_u64(), id, name)? else {
            return Ok(());
        };
        let call = &mut self.calls[place];
        if call.id.is_none() {
            call.id = id.map(str::to_owned);
        }
        call.arguments.push_str(&arguments);
        match (call.index, name) {
            (Some(index), _) if !arguments.is_empty() => emit(arguments_delta(index, arguments)),
            (Some(_), _) | (None, None) => {}
            (None, Some(name)) => {
                let index = self.emitted;
                call.index = Some(index);
                self.emitted += 1;
                let id = Some(call.id.get_or_insert_with(new_id).clone());
                let (name, arguments) = (Some(name.to_owned()), call.arguments.clone());
                emit(Chunk::ToolCall(ToolCallDelta { index, id, name, arguments }));
            }
        }
        Ok(())
    }

    /// Returns the place of the call that a piece belongs to; `None` if it belongs to none.
    fn find_or_add(
        &mut self,
        number: Option<u64>,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Result<Option<usize>, TooManyCallsError> {
        let known = self.calls.iter().rposition(|call| call.matches(number, id));
        let known = known.filter(|place| !self.calls[*place].is_followed_by(id, name));
        if known.is_some() || (name.is_none() && id.is_none()) {
            return Ok(known);
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(TooManyCallsError);
        }
        self.calls.push(PartialCall { number, id: None, index: None, arguments: String::new() });
        Ok(Some(self.calls.len() - 1))
    }
}

impl PartialCall {
    /// Returns whether a piece with this number and this id may belong to the call.
    fn matches(&self, number: Option<u64>, id: Option<&str>) -> bool {
        match (number, id) {
            (Some(_), _) => self.number == number,
            (None, Some(id)) => self.id.as_deref() == Some(id),
            (None, None) => true,
        }
    }

    /// Returns whether a matching piece with this id and this name starts another call.
    fn is_followed_by(&self, id: Option<&str>, name: Option<&str>) -> bool {
        if name.is_none() || self.index.is_none() {
            return false;
        }
        match (id, self.id.as_deref()) {
            (Some(id), Some(own)) => id != own,
            _ => serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok(),
        }
    }
}

fn arguments_delta(index: usize, arguments: String) -> Chunk {
    Chunk::ToolCall(ToolCallDelta { index, arguments, ..ToolCallDelta::default() })
}

/// Returns a text that is not empty.
fn non_empty(value: &Value) -> Option<&str> {
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

    /// Returns the calls of these pieces, as their names and arguments.
    fn calls(pieces: &[Value]) -> Vec<(String, String)> {
        let (mut calls, mut answer, mut named) =
            (ToolCallAssembler::default(), Answer::default(), 0);
        let mut emit = |chunk: Chunk| {
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
            calls.add(&json!([piece]), &mut emit).unwrap();
        }
        calls.finish(&mut emit);
        let ids: std::collections::HashSet<_> =
            answer.tool_calls.iter().map(|call| &call.id).collect();
        assert_eq!(ids.len(), answer.tool_calls.len(), "ids differ");
        let calls = answer.tool_calls.into_iter();
        calls.map(|call| (call.function.name, call.function.arguments)).collect()
    }

    fn piece(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn expected(calls: &[(&str, &str)]) -> Vec<(String, String)> {
        calls.iter().map(|(name, arguments)| ((*name).into(), (*arguments).into())).collect()
    }

    #[test]
    fn calls_are_assembled_from_the_pieces_that_openai_sends() {
        let pieces = [
            piece(Some(0), Some("a"), Some("f"), ""),
            piece(Some(0), None, None, "{\"x\":"),
            piece(Some(1), Some("b"), Some("g"), ""),
            piece(Some(0), None, None, "1}"),
            piece(Some(1), None, None, "{}"),
        ];
        assert_eq!(calls(&pieces), expected(&[("f", "{\"x\":1}"), ("g", "{}")]));
    }

    #[test]
    fn calls_of_servers_that_count_otherwise_are_repaired() {
        let two = expected(&[("f", "{\"x\":1}"), ("g", "{}")]);
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
    fn a_name_that_is_repeated_with_each_piece_is_sent_once() {
        let pieces = ["{\"x\":", "1", "}"].map(|text| piece(Some(0), Some("a"), Some("f"), text));
        assert_eq!(calls(&pieces), expected(&[("f", "{\"x\":1}")]));
    }

    #[test]
    fn an_id_may_come_before_its_name() {
        let pieces = [piece(Some(0), Some("a"), None, ""), piece(Some(0), None, Some("f"), "{}")];
        assert_eq!(calls(&pieces), expected(&[("f", "{}")]));
    }

    #[test]
    fn arguments_may_be_missing_or_an_object() {
        let object = json!({"function": {"name": "f", "arguments": {"x": 1}}});
        assert_eq!(calls(&[object]), expected(&[("f", "{\"x\":1}")]));
        assert_eq!(calls(&[json!({"function": {"name": "f"}})]), expected(&[("f", "{}")]));
    }

    #[test]
    fn pieces_that_belong_to_no_call_are_dropped() {
        assert_eq!(calls(&[piece(None, None, None, "{}"), json!(7), json!({})]), []);
    }

    #[test]
    fn there_is_an_end_to_calls() {
        let pieces: Vec<_> = (0..1000).map(|n| piece(Some(n), None, Some("f"), "")).collect();
        assert_eq!(
            ToolCallAssembler::default().add(&pieces.into(), &mut drop),
            Err(TooManyCallsError)
        );
    }
}
