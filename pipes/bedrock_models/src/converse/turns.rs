//! The conversation as Bedrock takes it: turns that alternate, and a result for every call (bedrock.md §1C).
//!
//! What clients send is looser: several messages in a row by the same side, blank texts, calls without results and results without calls,
//! ids that come again. Here it is put right, always in the same way, so that the same conversation gives the same bytes.

use super::{
    Target,
    body::{Block, Json, Speaker, ToolResult, ToolUse, Turn},
    image::image,
};
use crate::{
    family::{Family, Tools},
    names::{Ids, Names},
};
use pipe_sdk::{Body, Content, Message, Part, PipeError, Result, Role, ToolCall};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A conversation under way.
pub struct Turns<'a> {
    /// The system prompt, text by text.
    pub system: Vec<Cow<'a, str>>,
    /// The tools that have been called, each once.
    pub called: Vec<Cow<'a, str>>,
    done: Vec<Turn<'a>>,
    open: Option<Open<'a>>,
    awaited: Vec<Awaited<'a>>,
    ids: Ids,
}

/// The turn that is being written.
struct Open<'a> {
    speaker: Speaker,
    said: Vec<Block<'a>>,
    calls: Vec<Block<'a>>,
}

/// A call of the last assistant's turn. The user's turn after it begins with the result of each, in order.
struct Awaited<'a> {
    /// The id that the client gave it.
    given: &'a str,
    /// The id that Bedrock gets.
    id: String,
    result: Option<Vec<Block<'a>>>,
}

impl<'a> Turns<'a> {
    /// Reads the whole conversation.
    pub fn of(body: &'a Body, target: &Target, names: &mut Names) -> Result<Self> {
        let mut turns = Self {
            system: Vec::new(),
            called: Vec::new(),
            done: Vec::new(),
            open: None,
            awaited: Vec::new(),
            ids: Ids::default(),
        };
        let is_system = |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let leading = body.messages.iter().take_while(|message| is_system(message)).count();
        for (place, message) in body.messages.iter().enumerate() {
            let parts = parts(message, place, target)?;
            match message.role {
                Role::System | Role::Developer if place < leading => turns.instruct(parts),
                Role::System | Role::Developer => turns.interject(parts),
                Role::User => turns.say(Speaker::User, parts),
                Role::Assistant => {
                    turns.say(Speaker::Assistant, parts);
                    turns.call(&message.tool_calls, target, names);
                }
                Role::Tool | Role::Function => turns.result(message, parts),
            }
        }
        Ok(turns)
    }

    /// The system prompt and the turns, with a first and a last turn that the family takes.
    pub fn settled(mut self, family: &Family) -> Result<(Vec<Cow<'a, str>>, Vec<Turn<'a>>)> {
        self.close();
        if !self.awaited.is_empty() {
            self.turn_to(Speaker::User);
            self.close();
        }
        let Self { mut system, done: mut turns, .. } = self;
        if turns.is_empty() && system.is_empty() {
            return Err(PipeError::bad_field("messages", "the chat has no text"));
        }
        if turns.first().is_none_or(|turn| turn.role == Speaker::Assistant) {
            turns.insert(0, user("."));
        }
        settle_end(&mut turns, family);
        if !family.system
            && let Some(first) = turns.first_mut()
        {
            first.content.splice(0..0, system.drain(..).map(Block::Text));
        }
        Ok((system, turns))
    }

    fn instruct(&mut self, parts: Vec<Block<'a>>) {
        let text = |part| if let Block::Text(text) = part { Some(text) } else { None };
        self.system.extend(parts.into_iter().filter_map(text));
    }

    /// Instructions in the middle. Most families take none there, so they go to the user's side, in a frame that tells them apart.
    fn interject(&mut self, parts: Vec<Block<'a>>) {
        let framed = |part| match part {
            Block::Text(text) => Block::Text(format!("<system>\n{text}\n</system>").into()),
            part => part,
        };
        self.say(Speaker::User, parts.into_iter().map(framed).collect());
    }

    fn say(&mut self, speaker: Speaker, parts: Vec<Block<'a>>) {
        if !parts.is_empty() {
            self.turn_to(speaker).said.extend(parts);
        }
    }

    fn call(&mut self, calls: &'a [ToolCall], target: &Target, names: &mut Names) {
        for call in calls {
            if target.family.tools != Tools::Yes {
                self.say(Speaker::Assistant, vec![told(call)]);
                continue;
            }
            let name = names.fit(&call.function.name);
            if !self.called.contains(&name) {
                self.called.push(name.clone());
            }
            // Before the id is awaited: an open turn of the user's would take it for one that it has to answer.
            self.turn_to(Speaker::Assistant);
            let id = self.ids.fit(&call.id);
            self.awaited.push(Awaited { given: &call.id, id: id.clone(), result: None });
            let input = input(&call.function.arguments);
            let call = Block::ToolUse(ToolUse { tool_use_id: id, name, input });
            self.turn_to(Speaker::Assistant).calls.push(call);
        }
    }

    /// The first result of a call counts. One that answers no call is told as text.
    fn result(&mut self, message: &'a Message, mut parts: Vec<Block<'a>>) {
        let given = message.tool_call_id.as_deref().unwrap_or_default();
        if parts.is_empty() {
            parts.push(Block::Text("(empty)".into()));
        }
        let means = |call: &Awaited<'_>| given.is_empty() || call.given == given;
        let waiting = self.awaited.iter().position(|call| call.result.is_none() && means(call));
        match waiting.or_else(|| self.awaited.iter().position(means)) {
            Some(place) => {
                self.awaited[place].result.get_or_insert(parts);
                self.turn_to(Speaker::User);
            }
            None => {
                parts.insert(0, Block::Text("The result of a tool:".into()));
                self.say(Speaker::User, parts);
            }
        }
    }

    fn turn_to(&mut self, speaker: Speaker) -> &mut Open<'a> {
        if self.open.as_ref().is_some_and(|open| open.speaker != speaker) {
            self.close();
        }
        self.open.get_or_insert(Open { speaker, said: Vec::new(), calls: Vec::new() })
    }

    fn close(&mut self) {
        let Some(Open { speaker, said, calls }) = self.open.take() else { return };
        let content = match speaker {
            Speaker::User => self.awaited.drain(..).map(Awaited::answered).chain(said).collect(),
            Speaker::Assistant => said.into_iter().chain(calls).collect(),
        };
        self.done.push(Turn { role: speaker, content });
    }
}

impl<'a> Awaited<'a> {
    fn answered(self) -> Block<'a> {
        let (content, status) = match self.result {
            Some(content) => (content, None),
            None => (vec![Block::Text("no result".into())], Some("error")),
        };
        Block::ToolResult(ToolResult { tool_use_id: self.id, content, status })
    }
}

/// A conversation that ends with the assistant's words is to be continued; families that cannot are asked to.
fn settle_end(turns: &mut Vec<Turn<'_>>, family: &Family) {
    let Some(Turn { role: Speaker::Assistant, content }) = turns.last_mut() else { return };
    if !family.prefill {
        turns.push(user("Continue from exactly where you stopped."));
    } else if let Some(Block::Text(text)) = content.last_mut() {
        // Claude refuses blanks at the end.
        match text {
            Cow::Borrowed(text) => *text = text.trim_end(),
            Cow::Owned(text) => text.truncate(text.trim_end().len()),
        }
    }
}

fn user(text: &'static str) -> Turn<'static> {
    Turn { role: Speaker::User, content: vec![Block::Text(text.into())] }
}

/// What a message says, without blanks.
fn parts<'a>(message: &'a Message, place: usize, target: &Target) -> Result<Vec<Block<'a>>> {
    let text = |text: &'a str| (!text.trim().is_empty()).then_some(Block::Text(text.into()));
    match &message.content {
        None => Ok(Vec::new()),
        Some(Content::Text(said)) => Ok(text(said).into_iter().collect()),
        Some(Content::Parts(parts)) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for (part_place, part) in parts.iter().enumerate() {
                let field = || format!("messages[{place}].content[{part_place}]");
                match part {
                    Part::Text { text: said, .. } => blocks.extend(text(said)),
                    Part::ImageUrl { image_url, .. } => {
                        takes_image(message.role, target)
                            .map_err(|m| PipeError::bad_field(field(), m))?;
                        blocks.push(Block::Image(image(image_url, field)?));
                    }
                    Part::Other(part) => {
                        return Err(PipeError::bad_field(field(), not_taken(part)));
                    }
                }
            }
            Ok(blocks)
        }
    }
}

fn takes_image(role: Role, target: &Target) -> Result<(), String> {
    if !matches!(role, Role::User | Role::Tool | Role::Function) {
        return Err("images are taken in user messages and tool results only".into());
    }
    if target.vision == Some(false) {
        return Err(format!(
            "model `{}` takes no images: send text, or pick one that does",
            target.id
        ));
    }
    Ok(())
}

fn not_taken(part: &serde_json::Map<String, serde_json::Value>) -> String {
    match part.get("type").and_then(serde_json::Value::as_str) {
        Some(kind) => format!("parts of type `{kind}` are not taken: send text or images"),
        None => "a part needs a type, as in `text` or `image_url`".into(),
    }
}

/// The arguments of a call: a model's own words, so they may be no object, or several.
fn input(arguments: &str) -> Json<'_> {
    let first = serde_json::Deserializer::from_str(arguments).into_iter::<&RawValue>().next();
    match first {
        Some(Ok(json)) if json.get().starts_with('{') => Json::AsItCame(json),
        _ => Json::Empty,
    }
}

/// A call in words, for a family that goes on with another's conversation and cannot call tools as we ask it.
fn told<'a>(call: &ToolCall) -> Block<'a> {
    let function = &call.function;
    Block::Text(format!("I called the tool `{}` with {}", function.name, function.arguments).into())
}
