//! `pipewright models list`: the models of a running server.

use super::{print, server_client::ServerClient};
use reqwest::Method;
use serde_json::Value;
use std::fmt::Write;

/// A model of the list.
pub struct ListedModel {
    /// The id that clients send.
    pub id: String,
    /// The name for people.
    pub name: String,
}

/// Prints the ids and names of all models.
pub async fn list(server: &ServerClient) -> anyhow::Result<()> {
    let models = fetch(server, "all").await?;
    let width = models.iter().map(|model| model.id.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for ListedModel { id, name } in &models {
        writeln!(text, "{id:<width$}  {name}")?;
    }
    print(&text)
}

/// Returns the models of this type (`all`, `chat`, `embedding`, …).
pub async fn fetch(server: &ServerClient, kind: &str) -> anyhow::Result<Vec<ListedModel>> {
    let list = server.fetch_json(Method::GET, &format!("/models?type={kind}")).await?;
    let models = list["data"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let model = |one: &Value| ListedModel { id: text(&one["id"]), name: text(&one["name"]) };
    Ok(models.iter().map(model).collect())
}
