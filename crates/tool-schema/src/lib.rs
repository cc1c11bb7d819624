//! Names and schemas of tools in the forms that model services accept, and their calls in the forms
//! that the client expects.
//!
//! Clients send schemas of every generator: Pydantic, Zod, MCP servers, `OpenAPI` conversions.
//! Services accept parts of JSON Schema, each another one. A schema is repaired towards its
//! meaning; what the service has no keyword for is said in the description.
//!
//! - [`limit_nesting`] cuts a schema that is nested too deep.
//! - [`repair_schema`] makes a schema valid JSON Schema 2020-12.
//! - [`merge_composition`] makes one object of a root that `anyOf`, `oneOf` or `allOf` compose.
//! - [`add_missing_items`] adds the `items` that OpenAI demands of a list.
//! - [`simplify_schema`] writes a schema in the fewest keywords.
//! - [`SentTools`] maps the names of tools, [`ArgumentShape`] arguments whose schema was changed in
//!   form, and [`restore_calls`] does the reverse for the chunks of an answer.
//!
//! ```
//! use serde_json::{Value, json};
//! use tool_schema::{KeywordSet, simplify_schema};
//!
//! let schema = json!({
//!     "type": "object",
//!     "properties": {"city": {"$ref": "#/$defs/City"}},
//!     "$defs": {"City": {"type": "string", "minLength": 2}},
//!     "additionalProperties": false,
//! });
//! let Value::Object(schema) = schema else { unreachable!() };
//! let simplified = simplify_schema(&schema, KeywordSet::Minimal);
//! assert_eq!(
//!     simplified.schema,
//!     json!({
//!         "type": "object",
//!         "properties": {"city": {"type": "string", "description": "Fewest characters: 2."}},
//!     })
//! );
//! assert_eq!(simplified.note, "No other parameters.");
//! ```

mod arguments;
mod composition;
mod description;
mod items;
mod keywords;
mod names;
mod nesting;
mod pattern;
mod references;
mod repair;
mod restored_calls;
mod simplify;
mod subschemas;

pub use arguments::ArgumentShape;
pub use composition::{COMPOSITION_KEYWORDS, merge_composition};
pub use description::move_to_description;
pub use items::add_missing_items;
pub use keywords::allows_object;
pub use names::{SentTools, ToolUseIds, sanitize_name, shorten_id};
pub use nesting::limit_nesting;
pub use repair::repair_schema;
pub use restored_calls::restore_calls;
pub use simplify::{KeywordSet, SimplifiedSchema, simplify_schema};
