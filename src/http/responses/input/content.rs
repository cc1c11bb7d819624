//! The content of messages: parts of items as parts of a chat.

use pipe_sdk::{Content, Message, Part, text_of_part};
use serde_json::{Map, Value, json};

/// Appends to the content of a message.
pub fn append_content(message: &mut Message, content: Content) {
    message.content = Some(match message.content.take() {
        None => content,
        Some(before) => Content::Parts(into_parts(before).chain(into_parts(content)).collect()),
    });
}

/// Returns the content of a message as parts.
fn into_parts(content: Content) -> impl Iterator<Item = Part> {
    match content {
        Content::Text(text) => vec![Part::from_text(text)].into_iter(),
        Content::Parts(parts) => parts.into_iter(),
    }
}

/// Appends to the reasoning of a message.
pub fn append_reasoning(message: &mut Message, details: Vec<Value>) {
    let before = message.rest.entry("reasoning_details").or_insert_with(|| json!([]));
    if let Value::Array(before) = before {
        before.extend(details);
    }
}

/// Returns whether this is the output of a shell command.
pub fn is_shell_output(part: &Value) -> bool {
    part.get("stdout").is_some() || part.get("stderr").is_some()
}

/// Returns the output of one shell command, and its exit status.
pub fn shell_output(output: &Value) -> String {
    let text = |name: &str| output[name].as_str().unwrap_or_default();
    let end = &output["outcome"];
    let end = match end["exit_code"].as_i64() {
        Some(code) => format!("exit code {code}"),
        None => end["type"].as_str().unwrap_or("ended").to_owned(),
    };
    format!("{}{}[{end}]", text("stdout"), text("stderr"))
}

/// Returns the part as a part of a chat; `None` for one of an unknown type without text.
pub fn chat_part(value: Value) -> Result<Option<Part>, (&'static str, &'static str)> {
    let Value::Object(mut rest) = value else { return Err(("", "must be an object")) };
    let kind = match rest.shift_remove("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err((".type", "must be a text")),
        None => return Err((".type", "is missing")),
    };
    match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            rest.retain(|name, _| !matches!(name.as_str(), "annotations" | "logprobs"));
            match rest.shift_remove("text") {
                Some(Value::String(text)) => Ok(Some(Part::Text { text, rest })),
                None | Some(Value::Null) => Err((".text", "is missing")),
                Some(_) => Err((".text", "must be a text")),
            }
        }
        "input_image" | "image_url" | "computer_screenshot" => {
            let mut image = rest.shift_remove("image_url");
            if let Some(Value::Object(object)) = &mut image {
                image = object.shift_remove("url");
            }
            match image {
                Some(Value::String(image_url)) => Ok(Some(Part::ImageUrl { image_url, rest })),
                None | Some(Value::Null) => Err((
                    "",
                    "files are not kept here: send the image itself, as a data URL in image_url",
                )),
                Some(_) => Err((".image_url", "must be a text")),
            }
        }
        "input_file" if rest.get("file_id").is_some_and(Value::is_string) => {
            Err(("", "files are not kept here: send the file itself, as a data URL in file_data"))
        }
        "input_file" => Ok(Some(Part::Other(Map::from_iter([
            type_field("file"),
            ("file".into(), rest.into()),
        ])))),
        "refusal" | "input_audio" | "file" => {
            let (name, kind) = type_field(&kind);
            rest.shift_insert(0, name, kind);
            Ok(Some(Part::Other(rest)))
        }
        _ => {
            let words = text_of_part(&Value::Object(rest));
            Ok(words.map(Part::from_text))
        }
    }
}

fn type_field(kind: &str) -> (String, Value) {
    ("type".into(), kind.into())
}
