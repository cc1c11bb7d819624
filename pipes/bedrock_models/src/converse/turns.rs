//! The conversation as Bedrock takes it: turns that alternate, and a result for every call (`docs/reference/bedrock.md`, "Turns").
//!
//! What clients send is looser: several messages in a row by the same side, blank texts, calls without results and results without calls,
//! ids that come again. Here it is put right, always in the same way, so that the same conversation gives the same bytes.

use super::{
    Target,
    body::{Block, Json, Speaker, ToolResult, ToolUse, Turn},
    media::Gallery,
    order::{accompany, framed, joined, parted, says, settle_end, user},
    parts::{Said, said},
    sound::is_sound,
};
use crate::{
    family::{Family, Tools},
    names::{Ids, Names},
    valves::LateInstructions,
};
use pipe_sdk::{Body, Message, Result, Role, without_lone_surrogates};
use serde_json::{Value, value::RawValue};
use std::borrow::Cow;

/// A conversation under way.
pub struct Turns<'a> {
    /// The system prompt, text by text.
    pub system: Vec<Block<'a>>,
    /// The tools that have been called, each once.
    pub called: Vec<Cow<'a, str>>,
    target: &'a Target,
    done: Vec<Turn<'a>>,
    open: Option<Open<'a>>,
    awaited: Vec<Awaited<'a>>,
    /// What the assistant has shown. It is for the user's next turn.
    shown: Vec<Block<'a>>,
    ids: Ids,
}

/// The turn that is being written.
struct Open<'a> {
    speaker: Speaker,
    reasoning: Vec<Block<'a>>,
    said: Vec<Block<'a>>,
    calls: Vec<Block<'a>>,
}

/// A call of the last assistant's turn. The user's turn after it begins with the result of each, in order.
struct Awaited<'a> {
    /// The id that the client gave it.
    given: &'a str,
    /// The id that Bedrock gets.
    id: String,
    /// The tool's name, by which older clients answer.
    name: &'a str,
    result: Option<Vec<Block<'a>>>,
    /// Whether its tool says that it has failed.
    failed: bool,
    point: Option<Block<'a>>,
}

impl<'a> Turns<'a> {
    /// Reads the whole conversation.
    pub fn of(body: &'a Body, target: &'a Target, names: &mut Names) -> Result<Self> {
        let mut turns = Self {
            system: Vec::new(),
            called: Vec::new(),
            target,
            done: Vec::new(),
            open: None,
            awaited: Vec::new(),
            shown: Vec::new(),
            ids: Ids::default(),
        };
        let mut gallery = Gallery::default();
        let is_system = |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let leading = body.messages.iter().take_while(|message| is_system(message)).count();
        for (place, message) in body.messages.iter().enumerate() {
            let said = said(message, place, target, &mut gallery)?;
            match message.role {
                Role::System | Role::Developer if place < leading => {
                    turns.system.extend(said.blocks);
                }
                Role::System | Role::Developer => {
                    let next = body.messages.get(place + 1).map(|message| message.role);
                    turns.interject(said.blocks, next);
                }
                Role::User => turns.say(Speaker::User, said.blocks),
                Role::Assistant => turns.answer(message, said, names),
                Role::Tool | Role::Function => turns.result(message, said.blocks),
            }
        }
        turns.close();
        if !turns.awaited.is_empty() || !turns.shown.is_empty() {
            turns.turn_to(Speaker::User);
            turns.close();
        }
        turns.done.retain(|turn| turn.content.iter().any(says));
        turns.done = joined(turns.done);
        Ok(turns)
    }

    /// Whether the conversation ends amid calls of tools whose first has lost the signed reasoning that it began with.
    pub fn is_unsigned_loop(&self) -> bool {
        let mut turns = self.done.iter().rev();
        let mut first = None;
        while let Some(results) = turns.next()
            && results.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
        {
            first = turns.next();
        }
        first.is_some_and(|turn| !matches!(turn.content.first(), Some(Block::ReasoningContent(_))))
    }

    /// The system prompt and the turns, with a first and a last turn that the family takes.
    pub fn settled(self, family: &Family) -> (Vec<Block<'a>>, Vec<Turn<'a>>) {
        let Self { mut system, done: mut turns, .. } = self;
        system.retain(|block| says(block) || !turns.is_empty());
        if turns.first().is_none_or(|turn| turn.role != Speaker::User) {
            turns.insert(0, user("."));
        }
        settle_end(&mut turns, family);
        if !family.system
            && let Some(first) = turns.first_mut()
        {
            first.content.splice(0..0, system.drain(..));
        }
        turns.iter_mut().for_each(accompany);
        let turns = if family.mixed_turns { turns } else { parted(turns) };
        (system, turns)
    }

    /// Instructions amid the conversation.
    ///
    /// Most families take none there, so they go to the user's side, in a frame that tells them apart.
    fn interject(&mut self, blocks: Vec<Block<'a>>, next: Option<Role>) {
        if self.target.late_instructions == LateInstructions::Hoist {
            self.system.extend(blocks);
            return;
        }
        // What the service says of turns of this kind is little: they are made only where every reading of it allows them.
        let own_turn = self.target.late_instructions == LateInstructions::OwnTurn
            && self.target.family.system_turns;
        let between = matches!(&self.open, Some(open) if open.speaker == Speaker::User)
            && next == Some(Role::Assistant);
        if own_turn && between {
            self.close();
            let content: Vec<_> = blocks.into_iter().filter(says).collect();
            if !content.is_empty() {
                self.done.push(Turn { role: Speaker::System, content });
            }
            return;
        }
        self.say(Speaker::User, blocks.into_iter().map(framed).collect());
    }

    fn say(&mut self, speaker: Speaker, blocks: Vec<Block<'a>>) {
        if !blocks.is_empty() {
            self.turn_to(speaker).said.extend(blocks);
        }
    }

    /// The assistant's turn: what it thought, what it said, what it called.
    fn answer(&mut self, message: &'a Message, said: Said<'a>, names: &mut Names) {
        let Said { reasoning, blocks, .. } = said;
        let (words, shown): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| matches!(block, Block::Text(_) | Block::CachePoint(_)));
        if !reasoning.is_empty() {
            self.turn_to(Speaker::Assistant).reasoning.extend(reasoning);
        }
        self.say(Speaker::Assistant, words);
        self.shown.extend(shown);
        for call in &message.tool_calls {
            self.call(&call.id, &call.function.name, &call.function.arguments, names);
        }
        // As it was before there were several calls in one message.
        if message.tool_calls.is_empty()
            && let Some(Value::Object(call)) = message.rest.get("function_call")
            && let Some(name) = call.get("name").and_then(Value::as_str)
        {
            let given = call.get("arguments").and_then(Value::as_str).unwrap_or_default();
            self.call("", name, given, names);
        }
    }

    fn call(&mut self, given: &'a str, name: &'a str, arguments: &'a str, names: &mut Names) {
        if self.target.family.tools == Tools::No {
            self.say(Speaker::Assistant, vec![told(name, arguments)]);
            return;
        }
        let fitted = names.fit(name);
        if !self.called.contains(&fitted) {
            self.called.push(fitted.clone());
        }
        // Before the id is awaited: an open turn of the user's would take it for one that it has to answer.
        self.turn_to(Speaker::Assistant);
        let id = self.ids.fit(given);
        let (result, point) = (None, None);
        self.awaited.push(Awaited { given, id: id.clone(), name, result, failed: false, point });
        let call = ToolUse { tool_use_id: id, name: fitted, input: input(arguments) };
        self.turn_to(Speaker::Assistant).calls.push(Block::ToolUse(call));
    }

    /// The first result of a call counts. One that answers no call is told as text.
    fn result(&mut self, message: &'a Message, mut blocks: Vec<Block<'a>>) {
        let given = message.tool_call_id.as_deref().unwrap_or_default();
        let name = message.rest.get("name").and_then(Value::as_str).unwrap_or_default();
        let point = blocks.pop_if(|block| matches!(block, Block::CachePoint(_)));
        blocks.retain(says);
        let seeing = self.target.family.seeing_results;
        let (words, shown): (Vec<_>, Vec<_>) = blocks
            .into_iter()
            .partition(|block| matches!(block, Block::Text(_)) || seeing && is_shown(block));
        let mut words = words;
        if words.is_empty() {
            words
                .push(Block::Text(if shown.is_empty() { "(empty)" } else { "(see below)" }.into()));
        }
        let by_name = |call: &Awaited<'_>| name.is_empty() || call.name == name;
        let means = |call: &Awaited<'_>| {
            if given.is_empty() { by_name(call) } else { call.given == given }
        };
        let waiting = self.awaited.iter().position(|call| call.result.is_none() && means(call));
        match waiting.or_else(|| self.awaited.iter().position(means)) {
            Some(place) => {
                let call = &mut self.awaited[place];
                if call.result.is_none() {
                    call.failed =
                        message.rest.get("is_error").is_some_and(|failed| *failed == true);
                    (call.result, call.point) = (Some(words), point);
                }
                self.turn_to(Speaker::User).said.extend(shown);
            }
            None => {
                words.insert(0, Block::Text("The result of a tool:".into()));
                self.say(Speaker::User, words);
                self.say(Speaker::User, shown);
            }
        }
    }

    fn turn_to(&mut self, speaker: Speaker) -> &mut Open<'a> {
        if self.open.as_ref().is_some_and(|open| open.speaker != speaker) {
            self.close();
        }
        self.open.get_or_insert_with(|| {
            let said =
                if speaker == Speaker::User { std::mem::take(&mut self.shown) } else { Vec::new() };
            Open { speaker, reasoning: Vec::new(), said, calls: Vec::new() }
        })
    }

    fn close(&mut self) {
        let Some(Open { speaker, reasoning, said, calls }) = self.open.take() else { return };
        let content = match speaker {
            Speaker::Assistant => {
                // What a client marks at the end of its message stands after the calls.
                let (mut said, mut calls) = (said, calls);
                if !calls.is_empty() {
                    calls.extend(said.pop_if(|block| matches!(block, Block::CachePoint(_))));
                }
                // Reasoning that led to nothing is not taken back.
                let reasoning =
                    reasoning.into_iter().filter(|_| !said.is_empty() || !calls.is_empty());
                reasoning.collect::<Vec<_>>().into_iter().chain(said).chain(calls).collect()
            }
            Speaker::User | Speaker::System => {
                // Nothing may stand between results, so one point after them stands for all of theirs.
                let point = self.awaited.iter_mut().rev().find_map(|call| call.point.take());
                let results = self.awaited.drain(..).map(Awaited::answered);
                results.chain(point).chain(said).collect()
            }
        };
        self.done.push(Turn { role: speaker, content });
    }
}

impl<'a> Awaited<'a> {
    fn answered(self) -> Block<'a> {
        let (content, status) = match self.result {
            Some(content) => (content, self.failed.then_some("error")),
            None => (vec![Block::Text("no result".into())], Some("error")),
        };
        Block::ToolResult(ToolResult { tool_use_id: self.id, content, status })
    }
}

fn is_shown(block: &Block<'_>) -> bool {
    matches!(block, Block::Image(_) | Block::Document(_) | Block::Video(_))
}

/// The arguments of a call: a model's own words, so they may be no object, or several, or cut in the middle of a character.
fn input(arguments: &str) -> Json<'_> {
    let first = serde_json::Deserializer::from_str(arguments).into_iter::<&RawValue>().next();
    if let Some(Ok(json)) =
        first.filter(|json| json.as_ref().is_ok_and(|j| j.get().starts_with('{')))
    {
        if is_sound(json.get()) {
            return Json::AsItCame(json);
        }
        let mended = without_lone_surrogates(json.get().as_bytes());
        if let Some(json) = mended.and_then(|json| serde_json::from_slice(&json).ok()) {
            return Json::Made(json);
        }
    }
    if !arguments.trim().is_empty() {
        tracing::warn!("The arguments of a call in a chat are no JSON object: they are left out.");
    }
    Json::Empty
}

/// A call in words, for a family that goes on with another's conversation and cannot call tools.
fn told<'a>(name: &str, arguments: &str) -> Block<'a> {
    Block::Text(format!("I called the tool `{name}` with {arguments}").into())
}
