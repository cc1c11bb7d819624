//! Results of tools as text for a model.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

/// The largest text of a result, in bytes.
const MAX_RESULT_BYTES: usize = 64 << 10;

/// Returns the text of a result. What is no text is named.
pub(super) fn result_text(result: &CallToolResult) -> String {
    let blocks: Vec<String> = result.content.iter().map(block_text).collect();
    let mut text = blocks.join("\n\n");
    if text.trim().is_empty() {
        let structured = result.structured_content.as_ref().map(ToString::to_string);
        text = structured.unwrap_or_else(|| "The tool gave no text.".into());
    }
    limit_text(text)
}

/// Returns a text that is not larger than a result may be.
pub(super) fn limit_text(mut text: String) -> String {
    let end = text.floor_char_boundary(MAX_RESULT_BYTES);
    if end < text.len() {
        text.truncate(end);
        text += "\n[The rest is left out.]";
    }
    text
}

fn block_text(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[An image ({}) is left out.]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[A sound ({}) is left out.]", audio.mime_type),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("{uri}:\n{text}"),
            ResourceContents::BlobResourceContents { uri, .. } => {
                format!("[The content of {uri} is left out.]")
            }
            _ => "[A resource is left out.]".into(),
        },
        ContentBlock::ResourceLink(link) => format!("{}: {}", link.name, link.uri),
        _ => "[Content of an unknown kind is left out.]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn text(result: Value) -> String {
        result_text(&serde_json::from_value(result).unwrap())
    }

    #[test]
    fn a_result_is_its_texts_or_its_structure() {
        let blocks = json!([
            {"type": "text", "text": "7 °C"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "A"}},
        ]);
        let shown = "7 °C\n\n[An image (image/png) is left out.]\n\nfile:///a:\nA";
        assert_eq!(text(json!({"content": blocks, "structuredContent": {"t": 7}})), shown);
        assert_eq!(text(json!({"content": [], "structuredContent": {"t": 7}})), r#"{"t":7}"#);
        assert_eq!(text(json!({"content": []})), "The tool gave no text.");
    }

    #[test]
    fn a_long_result_is_cut() {
        let long = "ä".repeat(MAX_RESULT_BYTES);
        let cut = text(json!({"content": [{"type": "text", "text": long}]}));
        assert!(cut.len() < MAX_RESULT_BYTES + 40 && cut.ends_with("left out.]"));
    }
}
