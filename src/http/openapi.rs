//! `/openapi.json`: the description of every route.
//!
//! It is made of the tables that the host works by: [`ROUTES`] has the paths and what opens them,
//! the [`Shape`](super::shape::Shape) of a body is the one that bodies are checked against. Only
//! the schemas of responses are written by hand, in `openapi/schemas.json`; `tests/api/openapi.rs`
//! holds real responses against them.

mod operations;
mod schema;

use super::route::{Access, PREFIXES, ROUTES, Route};
use actix_web::{
    HttpResponse,
    http::header::{self, ContentType},
};
use operations::{Body, OPERATIONS, Operation, Success};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The `OpenAPI` document.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The schemas of responses.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// `GET /openapi.json`.
pub async fn show() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(DOCUMENT.as_str())
}

/// Returns the `OpenAPI` document (<https://spec.openapis.org/oas/v3.1.0>).
fn document() -> Value {
    let mut schemas: Map<String, Value> = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let mut paths = Map::new();
    for route in ROUTES {
        let Some(operation) = find(route) else { continue };
        if let Some(Body::Json { name, shape }) = &operation.body {
            schemas.insert((*name).to_owned(), schema::to_json_schema(shape));
        }
        let (path, parameters) = path_parameters(route.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] =
            operation_object(route, operation, parameters);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pipewright",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("Every path is also served behind `{}`. Model routes accept any API key; all others need `PIPELINES_API_KEY`.", PREFIXES.join("` and `")),
        },
        "tags": operations::TAGS.iter().map(|(name, text)| json!({"name": name, "description": text})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    })
}

/// Returns the description of a route.
fn find(route: &Route) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|one| one.method == route.method.as_str() && one.path == route.path)
}

/// Returns the path as `OpenAPI` writes it, with its parameters: `{id:.+}` becomes `{id}`.
fn path_parameters(pattern: &str) -> (String, Vec<Value>) {
    let (mut path, mut parameters) = (String::new(), Vec::new());
    for (at, piece) in pattern.split('{').enumerate() {
        let Some((name, after)) = piece.split_once('}').filter(|_| at > 0) else {
            path += piece;
            continue;
        };
        let (name, rule) = name.split_once(':').unwrap_or((name, ""));
        path += &format!("{{{name}}}{after}");
        let mut parameter = json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}});
        if rule == ".+" {
            parameter["description"] = "It may hold slashes.".into();
        }
        parameters.push(parameter);
    }
    (path, parameters)
}

fn operation_object(route: &Route, operation: &Operation, mut parameters: Vec<Value>) -> Value {
    let query = operation.query.iter().map(|(name, schema, text)| {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        json!({"name": name, "in": "query", "required": false, "schema": schema, "description": text})
    });
    parameters.extend(query);
    let mut object = json!({
        "operationId": operation_id(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses(route, operation),
        "security": match route.access {
            Access::Open => json!([]),
            Access::Models | Access::Admin => json!([{"bearer": []}, {"x-api-key": []}]),
        },
    });
    if let Some(body) = &operation.body {
        object["requestBody"] = body.to_object();
    }
    object
}

/// Returns a name for generated functions, as in `post_chat_completions`.
fn operation_id(Operation { method, path, .. }: &Operation) -> String {
    let (path, _) = path_parameters(path);
    let is_page = path.len() > 1 && path.ends_with('/');
    let words = path.split(|char: char| !char.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let name = format!("{}_{}", method.to_ascii_lowercase(), words.join("_"));
    match (words.is_empty(), is_page) {
        (true, _) => format!("{name}root"),
        (false, true) => format!("{name}_page"),
        (false, false) => name,
    }
}

/// Returns the Responses Object of a route.
fn responses(route: &Route, operation: &Operation) -> Value {
    let mut responses = Map::new();
    for success in operation.success {
        responses.insert(success.status.to_string(), success.to_object());
    }
    let by_access: &[u16] = match route.access {
        Access::Open => &[],
        Access::Models => &[401, 429],
        Access::Admin => &[401, 403, 429],
    };
    let by_body: &[u16] = if operation.body.is_some() { &[400, 408, 413, 415, 429] } else { &[] };
    let is_anthropics = route.path.starts_with("/messages");
    let usual = if is_anthropics { "AnthropicError" } else { "Error" };
    for status in by_access.iter().chain(by_body).chain(operation.errors) {
        let own = operation.error_schema.filter(|(own, _)| own == status);
        let error = own.map_or(usual, |(_, schema)| schema);
        responses.entry(status.to_string()).or_insert_with(|| {
            let content = json!({"application/json": {"schema": reference(error)}});
            json!({"description": describe_status(*status), "content": content})
        });
    }
    responses.sort_keys();
    responses.into()
}

fn describe_status(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be so; the error names the field.",
        401 => "The key is missing or wrong.",
        403 => "The key does not open this, or a filter or the provider refuses it.",
        404 => "There is no such thing.",
        408 => "The body did not come in time.",
        409 => "It contradicts what is there.",
        413 => "The body is too large.",
        415 => "The body is not of this type.",
        422 => "The values cannot be so; the error names the field.",
        429 => "Too many requests, by a limit or with a wrong key.",
        500 => "The host's credentials are refused, or the host has a defect.",
        502 => "The upstream failed.",
        503 => "Not now: try again later.",
        504 => "The upstream did not answer in time.",
        508 => "Pipes call each other in a circle.",
        _ => "An error.",
    }
}

/// Returns a reference to a schema of the document.
fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

impl Success {
    fn to_object(&self) -> Value {
        let mut content = Map::new();
        for (kind, schema) in self.content {
            let schema = match *schema {
                "" => json!({"type": "string"}),
                schema => reference(schema),
            };
            content.insert((*kind).to_owned(), json!({"schema": schema}));
        }
        let mut object = json!({"description": self.description});
        if !content.is_empty() {
            object["content"] = content.into();
        }
        object
    }
}

impl Body {
    fn to_object(&self) -> Value {
        let content = match self {
            Self::Json { name, .. } => json!({"application/json": {"schema": reference(name)}}),
            Self::JsonOrForm { shapes, form } => {
                let schemas: Vec<_> =
                    shapes.iter().map(|shape| schema::to_json_schema(shape)).collect();
                json!({
                    "application/json": {"schema": {"anyOf": schemas}},
                    "multipart/form-data": {"schema": form_schema(form)},
                })
            }
            Self::Form { form } => json!({"multipart/form-data": {"schema": form_schema(form)}}),
        };
        json!({"required": true, "content": content})
    }
}

/// Returns the schema of a form: a file, and texts with these names before it.
fn form_schema(texts: &[&str]) -> Value {
    let mut properties = Map::new();
    for text in texts {
        properties.insert((*text).to_owned(), json!({"type": "string"}));
    }
    properties.insert("file".into(), json!({"type": "string", "format": "binary"}));
    json!({"type": "object", "required": ["file"], "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let name = |method: &str, path: &str| format!("{method} {path}");
        let routes: BTreeSet<_> =
            ROUTES.iter().map(|route| name(route.method.as_str(), route.path)).collect();
        let described: BTreeSet<_> =
            OPERATIONS.iter().map(|one| name(one.method, one.path)).collect();
        assert_eq!(routes, described);
    }

    #[test]
    fn every_reference_leads_to_a_schema_and_every_schema_is_referred_to() {
        let document = document();
        let text = document.to_string();
        let begin = "\"#/components/schemas/";
        let referred: BTreeSet<_> = text
            .split(begin)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default())
            .collect();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let known: BTreeSet<_> = schemas.keys().map(String::as_str).collect();
        assert_eq!(referred, known);
        let ids: Vec<_> = OPERATIONS.iter().map(operation_id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }
}
