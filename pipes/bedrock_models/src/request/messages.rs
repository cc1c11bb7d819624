//! The conversation as Bedrock takes it: turns that alternate, and a result for every call
//! (`docs/reference/bedrock.md`, "Turns").
//!
//! Clients send looser conversations: several messages in a row by the same side, blank texts,
//! calls without results and results without calls, ids that occur twice. They are normalised,
//! always in the same way, so that the same conversation gives the same bytes.

use super::{
    Target,
    block_order::{
        add_text_beside_documents, fix_last_turn, frame_instructions, has_content, merge_adjacent,
        separate_tool_turns, user_message,
    },
    body::{Block, ConverseMessage, ConverseRole, Json, ToolResult, ToolUse},
    json_validity::is_valid_json,
    media::MediaBudget,
    parts::{MessageBlocks, read_message},
};
use crate::{
    family::{Family, ToolSupport},
    valves::LateInstructions,
};
use pipe_sdk::{Body, Message, Result, Role, without_lone_surrogates};
use serde_json::{Value, value::RawValue};
use std::borrow::Cow;
use tool_schema::{SentTools, ToolUseIds};

/// The messages that were built so far.
pub struct MessageBuilder<'a> {
    /// The system prompt, text by text.
    pub system: Vec<Block<'a>>,
    /// The tools that have been called, each once.
    pub called: Vec<Cow<'a, str>>,
    target: &'a Target,
    done: Vec<ConverseMessage<'a>>,
    open: Option<OpenMessage<'a>>,
    pending_calls: Vec<PendingToolCall<'a>>,
    /// Images of the assistant, which are sent in the user's next turn.
    assistant_media: Vec<Block<'a>>,
    ids: ToolUseIds,
}

/// The turn that is being written.
struct OpenMessage<'a> {
    speaker: ConverseRole,
    reasoning: Vec<Block<'a>>,
    content: Vec<Block<'a>>,
    calls: Vec<Block<'a>>,
}

/// A call of the last assistant's turn. The user's turn after it begins with the result of each, in
/// order.
struct PendingToolCall<'a> {
    /// The id that the client gave it.
    given: &'a str,
    /// The id that Bedrock gets.
    id: String,
    /// The tool's name, by which older clients answer.
    name: &'a str,
    result: Option<Vec<Block<'a>>>,
    /// `true` if its tool reports a failure.
    failed: bool,
    point: Option<Block<'a>>,
}

impl<'a> MessageBuilder<'a> {
    /// Reads the whole conversation.
    pub fn from_body(body: &'a Body, target: &'a Target, names: &mut SentTools) -> Result<Self> {
        let mut turns = Self {
            system: Vec::new(),
            called: Vec::new(),
            target,
            done: Vec::new(),
            open: None,
            pending_calls: Vec::new(),
            assistant_media: Vec::new(),
            ids: ToolUseIds::default(),
        };
        let mut budget = MediaBudget::default();
        let is_system = |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let leading = body.messages.iter().take_while(|message| is_system(message)).count();
        for (place, message) in body.messages.iter().enumerate() {
            let blocks = read_message(message, place, target, &mut budget)?;
            match message.role {
                Role::System | Role::Developer if place < leading => {
                    turns.system.extend(blocks.blocks);
                }
                Role::System | Role::Developer => {
                    let next = body.messages.get(place + 1).map(|message| message.role);
                    turns.add_late_instructions(blocks.blocks, next);
                }
                Role::User => turns.add_blocks(ConverseRole::User, blocks.blocks),
                Role::Assistant => turns.add_assistant_message(message, blocks, names),
                Role::Tool | Role::Function => turns.add_tool_result(message, blocks.blocks),
            }
        }
        turns.close();
        if !turns.pending_calls.is_empty() || !turns.assistant_media.is_empty() {
            turns.turn_to(ConverseRole::User);
            turns.close();
        }
        turns.done.retain(|turn| turn.content.iter().any(has_content));
        turns.done = merge_adjacent(turns.done);
        Ok(turns)
    }

    /// Returns whether the conversation ends within a sequence of tool calls whose first call has
    /// lost its signed reasoning block.
    pub fn is_unsigned_tool_loop(&self) -> bool {
        let mut turns = self.done.iter().rev();
        let mut first = None;
        while let Some(results) = turns.next()
            && results.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
        {
            first = turns.next();
        }
        first.is_some_and(|turn| !matches!(turn.content.first(), Some(Block::ReasoningContent(_))))
    }

    /// Returns the system prompt and the turns, with a first and a last turn that the family takes.
    pub fn finish(self, family: &Family) -> (Vec<Block<'a>>, Vec<ConverseMessage<'a>>) {
        let Self { mut system, done: mut turns, .. } = self;
        system.retain(|block| has_content(block) || !turns.is_empty());
        if turns.first().is_none_or(|turn| turn.role != ConverseRole::User) {
            turns.insert(0, user_message("."));
        }
        fix_last_turn(&mut turns, family);
        if !family.system_prompt
            && let Some(first) = turns.first_mut()
        {
            first.content.splice(0..0, system.drain(..));
        }
        turns.iter_mut().for_each(add_text_beside_documents);
        let turns = if family.mixed_turns { turns } else { separate_tool_turns(turns) };
        (system, turns)
    }

    /// Adds system messages in the middle of the conversation.
    ///
    /// Most families accept none there, so they go into the user's turn, in tags that distinguish
    /// them.
    fn add_late_instructions(&mut self, blocks: Vec<Block<'a>>, next: Option<Role>) {
        if self.target.late_instructions == LateInstructions::Hoist {
            self.system.extend(blocks);
            return;
        }
        // The service says little of turns of this kind: they are made only where every reading of
        // it allows them.
        let own_turn = self.target.late_instructions == LateInstructions::OwnTurn
            && self.target.family.system_messages;
        let between = matches!(&self.open, Some(open) if open.speaker == ConverseRole::User)
            && next == Some(Role::Assistant);
        if own_turn && between {
            self.close();
            let content: Vec<_> = blocks.into_iter().filter(has_content).collect();
            if !content.is_empty() {
                self.done.push(ConverseMessage { role: ConverseRole::System, content });
            }
            return;
        }
        self.add_blocks(ConverseRole::User, blocks.into_iter().map(frame_instructions).collect());
    }

    fn add_blocks(&mut self, speaker: ConverseRole, blocks: Vec<Block<'a>>) {
        if !blocks.is_empty() {
            self.turn_to(speaker).content.extend(blocks);
        }
    }

    /// Adds a message of the assistant: reasoning, text and calls.
    fn add_assistant_message(
        &mut self,
        message: &'a Message,
        blocks: MessageBlocks<'a>,
        names: &mut SentTools,
    ) {
        let MessageBlocks { reasoning, blocks, .. } = blocks;
        let (words, shown): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| matches!(block, Block::Text(_) | Block::CachePoint(_)));
        if !reasoning.is_empty() {
            self.turn_to(ConverseRole::Assistant).reasoning.extend(reasoning);
        }
        self.add_blocks(ConverseRole::Assistant, words);
        self.assistant_media.extend(shown);
        for call in &message.tool_calls {
            self.add_tool_call(&call.id, &call.function.name, &call.function.arguments, names);
        }
        // As it was before there were several calls in one message.
        if message.tool_calls.is_empty()
            && let Some(Value::Object(call)) = message.rest.get("function_call")
            && let Some(name) = call.get("name").and_then(Value::as_str)
        {
            let given = call.get("arguments").and_then(Value::as_str).unwrap_or_default();
            self.add_tool_call("", name, given, names);
        }
    }

    fn add_tool_call(
        &mut self,
        given: &'a str,
        name: &'a str,
        arguments: &'a str,
        names: &mut SentTools,
    ) {
        if self.target.family.tools == ToolSupport::Unsupported {
            self.add_blocks(ConverseRole::Assistant, vec![describe_call(name, arguments)]);
            return;
        }
        let fitted = names.to_service(name);
        if !self.called.contains(&fitted) {
            self.called.push(fitted.clone());
        }
        // Before the id is awaited: an open turn of the user's would take it for one that it has to
        // answer.
        self.turn_to(ConverseRole::Assistant);
        let id = self.ids.make_unique(given);
        let (result, point) = (None, None);
        self.pending_calls.push(PendingToolCall {
            given,
            id: id.clone(),
            name,
            result,
            failed: false,
            point,
        });
        let input = match names.arguments_to_service(name, arguments) {
            Some(changed) => to_object(&changed),
            None => parse_arguments(arguments),
        };
        let call = ToolUse { tool_use_id: id, name: fitted, input };
        self.turn_to(ConverseRole::Assistant).calls.push(Block::ToolUse(call));
    }

    /// Adds the result of a call. Of several results the first counts; one without a call becomes
    /// text.
    fn add_tool_result(&mut self, message: &'a Message, mut blocks: Vec<Block<'a>>) {
        let given = message.tool_call_id.as_deref().unwrap_or_default();
        let name = message.rest.get("name").and_then(Value::as_str).unwrap_or_default();
        let point = blocks.pop_if(|block| matches!(block, Block::CachePoint(_)));
        blocks.retain(has_content);
        let seeing = self.target.family.images_in_results;
        let (words, shown): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| matches!(block, Block::Text(_)) || seeing && is_media(block));
        let mut words = words;
        if words.is_empty() {
            words
                .push(Block::Text(if shown.is_empty() { "(empty)" } else { "(see below)" }.into()));
        }
        let by_name = |call: &PendingToolCall<'_>| name.is_empty() || call.name == name;
        let deps = |call: &PendingToolCall<'_>| {
            if given.is_empty() { by_name(call) } else { call.given == given }
        };
        let waiting =
            self.pending_calls.iter().position(|call| call.result.is_none() && deps(call));
        match waiting.or_else(|| self.pending_calls.iter().position(deps)) {
            Some(place) => {
                let call = &mut self.pending_calls[place];
                if call.result.is_none() {
                    call.failed =
                        message.rest.get("is_error").is_some_and(|failed| *failed == true);
                    (call.result, call.point) = (Some(words), point);
                }
                self.turn_to(ConverseRole::User).content.extend(shown);
            }
            None => {
                words.insert(0, Block::Text("The result of a tool:".into()));
                self.add_blocks(ConverseRole::User, words);
                self.add_blocks(ConverseRole::User, shown);
            }
        }
    }

    /// Returns the open turn of this role, after it has closed the turn of the other role.
    fn turn_to(&mut self, speaker: ConverseRole) -> &mut OpenMessage<'a> {
        if self.open.as_ref().is_some_and(|open| open.speaker != speaker) {
            self.close();
        }
        self.open.get_or_insert_with(|| {
            let content = if speaker == ConverseRole::User {
                std::mem::take(&mut self.assistant_media)
            } else {
                Vec::new()
            };
            OpenMessage { speaker, reasoning: Vec::new(), content, calls: Vec::new() }
        })
    }

    /// Ends the open turn, whose blocks are put in order.
    fn close(&mut self) {
        let Some(OpenMessage { speaker, reasoning, content, calls }) = self.open.take() else {
            return;
        };
        let content = match speaker {
            ConverseRole::Assistant => {
                // The cache point that a client sets at the end of its message comes after the
                // calls.
                let (mut content, mut calls) = (content, calls);
                if !calls.is_empty() {
                    calls.extend(content.pop_if(|block| matches!(block, Block::CachePoint(_))));
                }
                // Reasoning that led to nothing is not taken back.
                let reasoning =
                    reasoning.into_iter().filter(|_| !content.is_empty() || !calls.is_empty());
                reasoning.collect::<Vec<_>>().into_iter().chain(content).chain(calls).collect()
            }
            ConverseRole::User | ConverseRole::System => {
                // Nothing may come between results, so one cache point after them replaces all of
                // theirs.
                let point = self.pending_calls.iter_mut().rev().find_map(|call| call.point.take());
                let results = self.pending_calls.drain(..).map(PendingToolCall::into_result);
                results.chain(point).chain(content).collect()
            }
        };
        self.done.push(ConverseMessage { role: speaker, content });
    }
}

impl<'a> PendingToolCall<'a> {
    fn into_result(self) -> Block<'a> {
        let (content, status) = match self.result {
            Some(content) => (content, self.failed.then_some("error")),
            None => (vec![Block::Text("no result".into())], Some("error")),
        };
        Block::ToolResult(ToolResult { tool_use_id: self.id, content, status })
    }
}

fn is_media(block: &Block<'_>) -> bool {
    matches!(block, Block::Image(_) | Block::Document(_) | Block::Video(_))
}

/// Returns the arguments of a call: a model's own words, so they may be no object, or several, or
/// cut in the middle of a character.
fn parse_arguments(arguments: &str) -> Json<'_> {
    let first = serde_json::Deserializer::from_str(arguments).into_iter::<&RawValue>().next();
    if let Some(Ok(json)) =
        first.filter(|json| json.as_ref().is_ok_and(|j| j.get().starts_with('{')))
    {
        if is_valid_json(json.get()) {
            return Json::Raw(json);
        }
        let mended = without_lone_surrogates(json.get().as_bytes());
        if let Some(json) = mended.and_then(|json| serde_json::from_slice(&json).ok()) {
            return Json::Value(json);
        }
    }
    if !arguments.trim().is_empty() {
        tracing::warn!("The arguments of a call in a chat are no JSON object: they are left out.");
    }
    Json::Empty
}

/// Returns arguments that were changed in form; a model's own words may still be no object.
fn to_object<'a>(arguments: &str) -> Json<'a> {
    let object = serde_json::from_str(arguments).ok().filter(Value::is_object);
    object.map_or(Json::Empty, Json::Value)
}

/// Returns a call as text, for a family without tools that continues the conversation of another.
fn describe_call<'a>(name: &str, arguments: &str) -> Block<'a> {
    Block::Text(format!("I called the tool `{name}` with {arguments}").into())
}
