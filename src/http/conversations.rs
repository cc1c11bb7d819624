//! The conversations that pipes keep, for the users that they belong to: listed, shown, deleted.

use super::{error::HttpError, request_context::RequestContext};
use crate::store_conversations::{parse, unavailable_error};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};
use pipe_sdk::{Message, PipeError};
use serde_json::{Value, json};
use store::{ConversationEntry, ConversationName};

/// The largest number of conversations in one list, and the number without a `limit`.
const MAX_LISTED: u32 = 100;

/// The parameters of a request.
#[derive(Default)]
struct Parameters {
    user: Option<String>,
    after: String,
    after_user: String,
    limit: u32,
}

/// The conversations that a request may use.
enum Scope {
    /// The conversations of one user, or of an API key, which is a user of its own.
    User(String),
    /// All, with the host's own key.
    All,
}

/// `GET /conversations?user=…&after=…&after_user=…&limit=…`.
pub async fn list(
    context: RequestContext,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let parameters = Parameters::parse(request.query_string())?;
    let owner = match scope(&context, &parameters)? {
        Scope::User(owner) => Some(owner),
        Scope::All => None,
    };
    let after_owner = owner.clone().unwrap_or(parameters.after_user);
    let after = ConversationName { owner: after_owner, id: parameters.after };
    let conversations = context.state.store.conversations();
    let listed = conversations.list(owner, after, parameters.limit.saturating_add(1)).await;
    let mut listed = listed.map_err(|error| unavailable_error(&error))?;
    let has_more = listed.len() > parameters.limit as usize;
    listed.truncate(parameters.limit as usize);
    let id = |entry: Option<&ConversationEntry>| entry.map(|entry| entry.name.id.clone());
    Ok(HttpResponse::Ok().json(json!({
        "object": "list",
        "data": listed.iter().map(entry_object).collect::<Vec<_>>(),
        "first_id": id(listed.first()),
        "last_id": id(listed.last()),
        "last_user": listed.last().map(|entry| &entry.name.owner),
        "has_more": has_more,
    })))
}

/// `GET /conversations/{id}?user=…`.
pub async fn show(
    context: RequestContext,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let parameters = Parameters::parse(request.query_string())?;
    let name = ConversationName { owner: owner(&context, &parameters)?, id: id.into_inner() };
    let loaded = context.state.store.conversations().load(name.clone()).await;
    let loaded = loaded.map_err(|error| unavailable_error(&error))?;
    let (entry, content) = loaded.ok_or_else(|| not_found(&name.id))?;
    let conversation = parse(content).await?;
    let mut object = entry_object(&entry);
    let messages: Vec<&Message> = conversation.turns.iter().flatten().collect();
    object["instructions"] = json!(conversation.instructions);
    object["summary"] = json!(conversation.summary.map(|summary| summary.text));
    object["messages"] = json!(messages);
    Ok(HttpResponse::Ok().json(object))
}

/// `DELETE /conversations/{id}?user=…`.
pub async fn delete(
    context: RequestContext,
    id: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let parameters = Parameters::parse(request.query_string())?;
    let (owner, id) = (owner(&context, &parameters)?, id.into_inner());
    match delete_all(&context, Some(owner), Some(id.clone())).await? {
        0 => Err(not_found(&id)),
        _ => Ok(HttpResponse::Ok()
            .json(json!({"id": id, "object": "conversation.deleted", "deleted": true}))),
    }
}

/// `DELETE /conversations?user=…`: all conversations of a user.
pub async fn delete_of_user(
    context: RequestContext,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let parameters = Parameters::parse(request.query_string())?;
    let is_everybody = parameters.user.as_deref() == Some("*");
    let owner = match scope(&context, &parameters)? {
        Scope::User(_) if is_everybody && context.key().is_none() => None,
        Scope::User(owner) => Some(owner),
        Scope::All => {
            let rule = "user: name the user whose conversations are deleted, or `*` for all users";
            return Err(PipeError::bad_field("user", rule).into());
        }
    };
    let deleted = delete_all(&context, owner, None).await?;
    Ok(HttpResponse::Ok().json(json!({"object": "conversation.deleted", "deleted": deleted})))
}

async fn delete_all(
    context: &RequestContext,
    owner: Option<String>,
    id: Option<String>,
) -> Result<u64, HttpError> {
    let deleted = context.state.store.conversations().delete(owner, id).await;
    let deleted = deleted.map_err(|error| unavailable_error(&error))?;
    tracing::info!(deleted, "Deleted conversations on request.");
    Ok(deleted)
}

/// Returns the owner of a single conversation. With the host's own key and without a user, it
/// belongs to the requests that name none.
fn owner(context: &RequestContext, parameters: &Parameters) -> Result<String, HttpError> {
    match scope(context, parameters)? {
        Scope::User(owner) => Ok(owner),
        Scope::All => Ok(String::new()),
    }
}

/// Returns the conversations that a request may use. Only the host's own key may name another user
/// than the request's.
fn scope(context: &RequestContext, parameters: &Parameters) -> Result<Scope, HttpError> {
    let own = context.user().map(|user| user.id.clone()).filter(|id| !id.is_empty());
    match (own, &parameters.user) {
        (Some(own), Some(user)) if own != *user => {
            let message = "user: only the host's own key may name another user";
            Err(HttpError::new(StatusCode::FORBIDDEN, message).param(Some("user".into())))
        }
        (Some(own), _) => Ok(Scope::User(own)),
        (None, Some(user)) => Ok(Scope::User(user.clone())),
        (None, None) => Ok(Scope::All),
    }
}

fn not_found(id: &str) -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, format!("there is no conversation `{id}`"))
}

/// Returns a conversation without its content, in the shape of OpenAI's conversations
/// (<https://platform.openai.com/docs/api-reference/conversations>).
fn entry_object(entry: &ConversationEntry) -> Value {
    let ConversationEntry { name, turns, bytes, created, updated, expires, .. } = entry;
    json!({
        "id": name.id, "object": "conversation", "user": name.owner, "turns": turns, "bytes": bytes,
        "created_at": created / 1000, "updated_at": updated / 1000, "expires_at": expires / 1000,
    })
}

impl Parameters {
    /// Parses the query of a request.
    fn parse(query: &str) -> Result<Self, PipeError> {
        let mut parameters = Self { limit: MAX_LISTED, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "user" => parameters.user = Some(value.into_owned()),
                "after" => parameters.after = value.into_owned(),
                "after_user" => parameters.after_user = value.into_owned(),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LISTED).contains(limit));
                    parameters.limit = limit.ok_or_else(|| {
                        let rule = format!("limit: must be from 1 to {MAX_LISTED}");
                        PipeError::bad_field("limit", rule)
                    })?;
                }
                name => {
                    let known = "`user`, `after`, `after_user` or `limit`";
                    let rule = format!("{name}: is not known here: send {known}");
                    return Err(PipeError::bad_field(name, rule));
                }
            }
        }
        Ok(parameters)
    }
}
