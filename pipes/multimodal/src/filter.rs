//! Descriptions for models of any connection of Open WebUI, as a filter.

use crate::{Multimodal, attachments};
use pipe_sdk::{FilterBody, FilterCall, Message, Result};
use serde_json::{Value, json};

impl Multimodal {
    /// Returns the chat with descriptions in the place of its images.
    pub(crate) async fn apply_to_inlet(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { mut body, host, .. } = call;
        let model = body.base_model().or(body.model()).unwrap_or_default();
        let Some(describer) = &self.describer else { return Ok(body) };
        if !self.describes_for(model, host.backend()) {
            return Ok(body);
        }
        let Some(mut messages) = messages(&body) else { return Ok(body) };
        if !attachments::has_images(&messages) {
            return Ok(body);
        }
        let attachments = attachments::find(&mut messages)?;
        let images = self.loader.load(&mut messages, &attachments, host.context().caller()).await?;
        describer.describe(&images, &host).await.replace_images(&mut messages, &images);
        // The other messages stay as they came.
        if let Some(Value::Array(all)) = body.0.get_mut("messages") {
            for (place, _) in &images.0 {
                if let (Some(old), Some(new)) =
                    (all.get_mut(place.message), messages.get(place.message))
                {
                    *old = json!(new);
                }
            }
        }
        Ok(body)
    }
}

/// Returns the messages of a chat, unless they are written in another way than a chat's.
fn messages(body: &FilterBody) -> Option<Vec<Message>> {
    serde_json::from_value(Value::Array(body.messages().to_vec())).ok()
}
